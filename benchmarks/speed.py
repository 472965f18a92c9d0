"""One pass of UniStyle against two networks in a row that do the same: find a region, restyle it.

    python benchmarks/speed.py --checkpoint checkpoints/unistyle-materials.safetensors
    python benchmarks/speed.py --sizes 256x256 512x512 1920x1080 3840x2160 --batches 1 8 --device cuda --precision bf16

The other side is torchvision's LR-ASPP MobileNetV3-Large for the mask, then AdaIN (Huang and Belongie, "Arbitrary Style
Transfer in Real-time with Adaptive Instance Normalization": VGG-19 to relu4_1, AdaIN, mirrored decoder) for the
picture. Its weights are random, and UniStyle's too without a checkpoint: time and arithmetic do not depend on them.
Both sides run eagerly (--compile: UniStyle compiled), channels_last, in the same precision, in turn, with the style's
statistics prepared beforehand; times on CUDA are those between two events on its stream.

GMAC: multiply-accumulates of convolutions and matrix products. GB: what every operation reads and writes. Both, a
second, are compared with what this device reaches in this run: a large matrix product or convolution, and a copy.
Neither can be passed, and the nearer of the two is what limits a side.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import vgg19
from torchvision.models.segmentation import lraspp_mobilenet_v3_large

from unistyle.checkpoint.checkpoint import load_checkpoint
from unistyle.devices import PRECISIONS, pick_precision
from unistyle.maths.features import moments, regional_adain
from unistyle.network.composite import composite
from unistyle.network.encoder import EncoderConfig
from unistyle.network.model import NetworkConfig, UniStyleNetwork

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


class Traffic(TorchDispatchMode):
    """Counts the bytes of the tensors that operations read and write; views move none."""

    def __init__(self):
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if not function.is_view:
            moved = tree_flatten((args, kwargs, result))[0]
            self.bytes += sum(x.numel() * x.element_size() for x in moved if isinstance(x, Tensor))
        return result


def work(run: Callable[[], object]) -> tuple[float, float]:
    """Multiply-accumulates in 1e9, and bytes moved in 1e9, of one call."""
    with FlopCounterMode(display=False) as counter, Traffic() as traffic:
        run()
    return counter.get_total_flops() / 2e9, traffic.bytes / 1e9


@torch.inference_mode()
def limits(device: torch.device, dtype: torch.dtype) -> tuple[float, float]:
    """GMAC/s of a large matrix product or convolution, whichever is faster, and GB/s of a copy on this device."""
    n, side = (8192, 256) if device.type == "cuda" else (2048, 64)
    a = torch.rand(n, n, device=device, dtype=dtype)
    conv = nn.Conv2d(256, 256, 3).to(device, dtype, memory_format=torch.channels_last)
    x = torch.rand(1, 256, side, side, device=device, dtype=dtype).contiguous(
        memory_format=torch.channels_last
    )
    big = torch.rand(2**28 if device.type == "cuda" else 2**25, device=device)
    out = torch.empty_like(big)
    tasks = (
        (lambda: a @ a, n**3),
        (lambda: conv(x), (side - 2) ** 2 * 256 * 256 * 9),
        (lambda: out.copy_(big), 8 * big.numel()),
    )
    product, convolution, copy = (
        amount / min(milliseconds(run, device) for _ in range(7)) / 1e6 for run, amount in tasks
    )
    return max(product, convolution), copy


def measure(sides: dict[str, Callable[[], object]], runs: int, warm_up: int, device) -> dict[str, dict]:
    """Median, lowest and highest time in ms, GMACs and GB; the sides take turns, so that other load meets them
    alike."""
    for run in sides.values():
        for _ in range(warm_up):
            run()
    times = {name: [] for name in sides}
    for _ in range(runs):
        for name, run in sides.items():
            times[name].append(milliseconds(run, device))
    return {
        name: dict(ms=statistics.median(t), low=min(t), high=max(t), work=work(sides[name]))
        for name, t in times.items()
    }


@torch.inference_mode()
def compare(
    ours: UniStyleNetwork, theirs: TwoNetworks | None, shape: tuple[int, int, int], args
) -> dict[str, dict]:
    """Both sides on random photos of a shape (batch, height, width)."""
    device, dtype = torch.device(args.device), pick_precision(args.precision)
    batch, height, width = shape
    photo = torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(0))
    photo = photo.to(device, memory_format=torch.channels_last)
    style = photo[:1, :, :256, :256]
    code = ours.encode_style(style).expand(batch, -1, -1)
    sides = {"UniStyle": lambda: ours(photo, code)}
    if theirs is not None:
        moments = [part.expand(batch, -1, -1) for part in theirs.encode_style(style)]
        sides["LR-ASPP + AdaIN"] = lambda: theirs(photo, *moments)
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        return measure(sides, args.runs, args.warm_up, device)


def rows(results: dict[str, dict], shape: tuple[int, int, int], most: tuple[float, float]) -> list[str]:
    """A line a side; time and arithmetic also as a multiple of the first side's."""
    first, lines = next(iter(results.values())), []
    for name, x in results.items():
        (gmac, gb), seconds = x["work"], x["ms"] / 1e3
        lines.append(f"{f'{shape[2]}x{shape[1]}':>10}{shape[0]:6}  {name:16}{x['ms']:9.1f}{x['low']:9.1f}"
                     f"{x['high']:9.1f}{shape[0] / seconds:10.1f}{gmac:9.2f}{gmac / seconds / most[0]:6.0%}"
                     f"{gb:8.2f}{gb / seconds / most[1]:6.0%}{x['ms'] / first['ms']:8.2f}"
                     f"{gmac / first['work'][0]:8.2f}")  # fmt: skip
    return lines


def size(text: str) -> tuple[int, int]:
    """WIDTHxHEIGHT -> (height, width)."""
    width, _, height = text.partition("x")
    return int(height), int(width)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--checkpoint", help="file, folder or hub id (default: the default network, random weights)"
    )
    parser.add_argument(
        "--sizes",
        type=size,
        nargs="+",
        default=[(512, 512)],
        metavar="WxH",
        help="of the photos (default: 512x512)",
    )
    parser.add_argument("--batches", type=int, nargs="+", default=[1], help="photos a pass (default: 1)")
    parser.add_argument("--runs", type=int, default=11, help="timed runs of each side (default: %(default)s)")
    parser.add_argument(
        "--warm-up", type=int, default=3, help="untimed runs of each side (default: %(default)s)"
    )
    parser.add_argument("--alone", action="store_true", help="without the two networks")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: %(default)s)")
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32")
    parser.add_argument(
        "--compile", action="store_true", help="compile UniStyle (warm-up of a minute a size)"
    )
    parser.add_argument("--threads", type=int, help="CPU threads (default: torch's choice)")
    args = parser.parse_args(argv)
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.checkpoint:
        network, weights = load_checkpoint(args.checkpoint).network, args.checkpoint
    else:
        encoder = EncoderConfig(pretrained=False)
        network, weights = UniStyleNetwork(NetworkConfig(encoder, MATERIALS)), "random"
    device = torch.device(args.device)
    ours, theirs = (
        model and model.eval().to(device, memory_format=torch.channels_last)
        for model in (network, None if args.alone else TwoNetworks())
    )
    if args.compile:
        for part in (ours.encoder, ours.segmenter, ours.stylizer):
            part.compile(dynamic=False, options={"freezing": True} if device.type == "cpu" else None)
    name = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"CPU, {torch.get_num_threads()} threads"
    )
    most = limits(device, pick_precision(args.precision))
    print(f"{name}, {args.precision}, torch {torch.__version__}, median of {args.runs}; weights: {weights}")
    print(f"this device: {most[0]:.0f} GMAC/s, {most[1]:.0f} GB/s")
    print(f"{'size':>10}{'batch':>6}  {'':16}{'ms':>9}{'lowest':>9}{'highest':>9}{'photos/s':>10}{'GMAC':>9}{'':>6}"
          f"{'GB':>8}{'':>6}{'time x':>8}{'GMAC x':>8}")  # fmt: skip
    for side in args.sizes:
        for batch in args.batches:
            shape = (batch, *side)
            print(*rows(compare(ours, theirs, shape, args), shape, most), sep="\n", flush=True)


if __name__ == "__main__":
    main()
