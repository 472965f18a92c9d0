"""One pass of UniStyle against two networks in a row that do the same: find a region, restyle it.

    python benchmarks/speed.py --checkpoint checkpoints/unistyle-materials.safetensors

The other side is torchvision's LR-ASPP MobileNetV3-Large for the mask, then AdaIN (Huang and Belongie, "Arbitrary Style
Transfer in Real-time with Adaptive Instance Normalization": VGG-19 to relu4_1, AdaIN, mirrored decoder) for the
picture. Its weights are random, and UniStyle's too without a checkpoint: time and arithmetic do not depend on them.
Both sides run eagerly, channels_last, batch 1, in turn, with the style's statistics prepared beforehand.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import vgg19
from torchvision.models.segmentation import lraspp_mobilenet_v3_large

from unistyle.checkpoint import load_checkpoint
from unistyle.features import moments, regional_adain
from unistyle.network.composite import composite
from unistyle.network.encoder import EncoderConfig
from unistyle.network.unistyle import NetworkConfig, UniStyleNetwork

RELU4_1 = 20  # index in VGG-19's features
MATERIALS = ("fabric", "foliage", "glass", "leather", "metal", "paper", "plastic", "stone", "water", "wood")


class AdaIN(nn.Module):
    """Photo `b 3 h w` and style moments `b 1 512` -> restyled `b 3 h w` (Huang and Belongie, section 6)."""

    def __init__(self):
        super().__init__()
        self.encoder = vgg19(weights=None).features[: RELU4_1 + 1]
        layers: list[nn.Module] = []
        # Channels of the encoder from relu4_1 back to the image; "up" where the encoder pools.
        c = 512
        for step in (256, "up", 256, 256, 256, 128, "up", 128, 64, "up", 64, 3):
            if step == "up":
                layers.append(nn.Upsample(scale_factor=2, mode="nearest"))
            else:
                layers += [nn.Conv2d(c, step, 3, padding=1, padding_mode="reflect"), nn.ReLU()]
                c = step
        self.decoder = nn.Sequential(*layers[:-1])

    def forward(self, photo: Tensor, mean: Tensor, std: Tensor) -> Tensor:
        f = self.encoder(photo)
        return self.decoder(regional_adain(f, torch.ones_like(f[:, :1]), mean, std))


class TwoNetworks(nn.Module):
    """LR-ASPP for the mask, AdaIN for the picture, one laid over the photo by the other."""

    def __init__(self):
        super().__init__()
        self.segmenter = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None)
        self.stylizer = AdaIN()

    def encode_style(self, style: Tensor) -> tuple[Tensor, Tensor]:
        f = self.stylizer.encoder(style)
        return moments(f, torch.ones_like(f[:, :1]))

    def forward(self, photo: Tensor, mean: Tensor, std: Tensor) -> Tensor:
        alpha = 1 - self.segmenter(photo)["out"].softmax(1)[:, :1]
        restyled = F.interpolate(self.stylizer(photo, mean, std), size=photo.shape[-2:])
        return composite(photo, restyled, alpha)


def milliseconds(run: Callable[[], object], device: torch.device) -> float:
    """Time of one call, on CUDA between two events on its stream."""
    if device.type == "cuda":
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        run()
        end.record()
        torch.cuda.synchronize(device)
        return start.elapsed_time(end)
    begin = time.perf_counter()
    run()
    return (time.perf_counter() - begin) * 1e3


def gmacs(run: Callable[[], object]) -> float:
    """Multiply-accumulates of one call, in 1e9: convolutions and matrix products."""
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops() / 2e9


def measure(sides: dict[str, Callable[[], object]], runs: int, warm_up: int, device) -> dict[str, dict]:
    """Median, lowest and highest time in ms, and GMACs; the sides take turns, so that other load meets them alike."""
    for run in sides.values():
        for _ in range(warm_up):
            run()
    times = {name: [] for name in sides}
    for _ in range(runs):
        for name, run in sides.items():
            times[name].append(milliseconds(run, device))
    return {
        name: dict(ms=statistics.median(t), low=min(t), high=max(t), gmacs=gmacs(sides[name]))
        for name, t in times.items()
    }


@torch.inference_mode()
def compare(
    network: UniStyleNetwork, size: int, runs: int, warm_up: int, device: torch.device
) -> dict[str, dict]:
    """Both sides on one random photo of size x size."""
    generator = torch.Generator().manual_seed(0)
    photo = torch.rand(1, 3, size, size, generator=generator).to(device, memory_format=torch.channels_last)
    ours, theirs = (
        model.eval().to(device, memory_format=torch.channels_last) for model in (network, TwoNetworks())
    )
    code, style = ours.encode_style(photo), theirs.encode_style(photo)
    sides = {"UniStyle": lambda: ours(photo, code), "LR-ASPP + AdaIN": lambda: theirs(photo, *style)}
    return measure(sides, runs, warm_up, device)


def table(results: dict[str, dict]) -> str:
    """Results as text, each side's time and arithmetic also as a multiple of the first side's."""
    first = next(iter(results.values()))
    lines = [f"{'':18}{'ms':>9}{'lowest':>9}{'highest':>9}{'GMACs':>9}{'time x':>9}{'GMACs x':>9}"]
    for name, x in results.items():
        ratios = x["ms"] / first["ms"], x["gmacs"] / first["gmacs"]
        lines.append(f"{name:18}{x['ms']:9.1f}{x['low']:9.1f}{x['high']:9.1f}{x['gmacs']:9.2f}"
                     f"{ratios[0]:9.2f}{ratios[1]:9.2f}")  # fmt: skip
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--checkpoint", help="file, folder or hub id (default: the default network, random weights)"
    )
    parser.add_argument(
        "--size", type=int, default=512, help="side of the photo in pixels (default: %(default)s)"
    )
    parser.add_argument("--runs", type=int, default=11, help="timed runs of each side (default: %(default)s)")
    parser.add_argument(
        "--warm-up", type=int, default=3, help="untimed runs of each side (default: %(default)s)"
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: %(default)s)")
    parser.add_argument("--threads", type=int, help="CPU threads (default: torch's choice)")
    args = parser.parse_args(argv)
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.checkpoint:
        network, weights = load_checkpoint(args.checkpoint).network, args.checkpoint
    else:
        network, weights = (
            UniStyleNetwork(NetworkConfig(EncoderConfig(pretrained=False), MATERIALS)),
            "random",
        )
    device = torch.device(args.device)
    name = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"CPU, {torch.get_num_threads()} threads"
    )
    results = compare(network, args.size, args.runs, args.warm_up, device)
    print(
        f"{args.size} x {args.size}, {name}, torch {torch.__version__}, median of {args.runs}; weights: {weights}"
    )
    print(table(results))


if __name__ == "__main__":
    main()
