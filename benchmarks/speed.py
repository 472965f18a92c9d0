"""One pass of UniStyle against two networks in a row that do the same: find a region, restyle it.

    python -m benchmarks.speed --checkpoint checkpoints/unistyle-materials.safetensors
    python -m benchmarks.speed --sizes 256x256 512x512 1920x1080 3840x2160 --batches 1 8 --device cuda --precision bf16

UniStyle is timed as users run it (`restyle`: `UniStyle.restyle_batch`, from bytes to images; the network sees a large
photo reduced), and as the network alone at the photo's own size, with a sample laid over the region and without. The
other side is `benchmarks.two_networks`, from floats to floats. Its weights are random, and UniStyle's are too without a
checkpoint: time and arithmetic do not depend on them. All run eagerly, or UniStyle compiled with `--compile`;
channels_last, in the same precision, in turn, with the style's statistics prepared beforehand. Times on CUDA are those
between two events on its stream.

`GMAC` are the multiply-accumulates of convolutions and matrix products, in 1e9. `GB` is what every operation reads and
writes. Both rates are compared with what this device reaches in this run: a large matrix product or convolution, and a
copy. Neither can be passed, and the nearer of the two is what limits a side.
"""

import copy
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.two_networks import TwoNetworks
from unistyle.checkpoint.checkpoint import Checkpoint, load_checkpoint
from unistyle.commands.arguments import argument, parser_of, read, run, whole_number
from unistyle.devices import PRECISIONS, pick_precision
from unistyle.files.tensors import as_bytes
from unistyle.network.encoder import EncoderConfig
from unistyle.network.laying import Samples
from unistyle.network.model import NetworkConfig, UniStyleNetwork
from unistyle.restyle.pipeline import UniStyle
from unistyle.styles.bank import StyleBank
from unistyle.styles.swatches import TILE, Swatches

NAME = "python -m benchmarks.speed"
MATERIALS = ("fabric", "foliage", "glass", "leather", "metal", "paper", "plastic", "stone", "water", "wood")


def size(text: str) -> tuple[int, int]:
    """WIDTHxHEIGHT -> (height, width)."""
    width, _, height = text.partition("x")
    return int(height), int(width)


@dataclass
class Settings:
    """Time one pass of UniStyle, and two networks in a row that do the same.

    python -m benchmarks.speed --checkpoint checkpoints/unistyle-materials.safetensors
    python -m benchmarks.speed --sizes 256x256 1920x1080 --batches 1 8 --device cuda --precision bf16
    """

    checkpoint: str | None = argument(None, metavar="PATH")
    """File, folder or hub id. Without it, the default network with random weights."""
    sizes: list[tuple[int, int]] | None = argument(None, type=size, nargs="+", metavar="WxH")
    """Sizes of the photos. Without it, 512x512."""
    batches: list[int] = argument([1], type=whole_number(1), nargs="+")
    """How many photos one pass has."""
    runs: int = argument(11, type=whole_number(1))
    """How often each side is timed."""
    warm_up: int = argument(3, type=whole_number(0))
    """How often each side runs before that."""
    alone: bool = False
    """Leave the two networks out."""
    device: str = "cpu"
    """cpu or cuda."""
    precision: str = argument("fp32", choices=PRECISIONS)
    """What the networks compute in."""
    compile: bool = False
    """Compile UniStyle. The first run of each size then takes a minute."""
    threads: int | None = argument(None, type=whole_number(1))
    """CPU threads. Without it, what torch chooses."""


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
    """Counts the bytes of the tensors that operations read and write. Views move none."""

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
    """Median, lowest and highest time in ms, and `work`. The sides take turns, so that other load meets them alike."""
    for call in sides.values():
        for _ in range(warm_up):
            call()
    times = {name: [] for name in sides}
    for _ in range(runs):
        for name, call in sides.items():
            times[name].append(milliseconds(call, device))
    return {
        name: dict(ms=statistics.median(t), low=min(t), high=max(t), work=work(sides[name]))
        for name, t in times.items()
    }


def public(network: UniStyleNetwork, code: Tensor, tile: Tensor, settings: Settings) -> UniStyle:
    """The class that users have, with one style: code `b 1 d` and tile `b 1 3 t t` in [0, 1] of a batch's first."""
    swatch = Swatches(code[0].float().cpu(), as_bytes(tile[0]).cpu(), torch.ones(1))
    checkpoint = Checkpoint(copy.deepcopy(network), StyleBank.of((("style", "only"),), swatch), {})
    model = UniStyle(checkpoint, settings.device, settings.precision)
    if settings.compile:
        model.compile()
    return model


@torch.inference_mode()
def compare(
    ours: UniStyleNetwork, theirs: TwoNetworks | None, shape: tuple[int, int, int], settings: Settings
) -> dict[str, dict]:
    """Both sides on random photos of a shape (batch, height, width)."""
    device, dtype = torch.device(settings.device), pick_precision(settings.precision)
    batch, height, width = shape
    photo = torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(0))
    photo = photo.to(device, memory_format=torch.channels_last)
    style = photo[:1, :, :256, :256]
    code = ours.encode_style(style).expand(batch, -1, -1)
    tile = torch.rand(1, 1, 3, TILE, TILE, device=device).expand(batch, -1, -1, -1, -1)
    samples = Samples(tile, torch.ones(batch, 1, device=device))
    model, given = public(ours, code, tile, settings), list((photo * 255).round().byte().cpu())
    sides: dict[str, Callable[[], object]] = {"restyle": lambda: model.restyle_batch(given, "style")}
    sides["network"] = lambda: ours(photo, code, samples=samples)
    sides["no sample"] = lambda: ours(photo, code)
    if theirs is not None:
        moments = [part.expand(batch, -1, -1) for part in theirs.encode_style(style)]
        sides["LR-ASPP + AdaIN"] = lambda: theirs(photo, *moments)
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        return measure(sides, settings.runs, settings.warm_up, device)


def rows(results: dict[str, dict], shape: tuple[int, int, int], most: tuple[float, float]) -> list[str]:
    """One line for each side; time and arithmetic also as a multiple of the first side's."""
    first, lines = next(iter(results.values())), []
    for name, x in results.items():
        (gmac, gb), seconds = x["work"], x["ms"] / 1e3
        lines.append(f"{f'{shape[2]}x{shape[1]}':>10}{shape[0]:6}  {name:16}{x['ms']:9.1f}{x['low']:9.1f}"
                     f"{x['high']:9.1f}{shape[0] / seconds:10.1f}{gmac:9.2f}{gmac / seconds / most[0]:6.0%}"
                     f"{gb:8.2f}{gb / seconds / most[1]:6.0%}{x['ms'] / first['ms']:8.2f}"
                     f"{gmac / first['work'][0]:8.2f}")  # fmt: skip
    return lines


def networks(settings: Settings) -> tuple[UniStyleNetwork, TwoNetworks | None]:
    """Both sides on their device."""
    if settings.checkpoint:
        network = load_checkpoint(settings.checkpoint).network
    else:
        network = UniStyleNetwork(NetworkConfig(EncoderConfig(pretrained=False), MATERIALS))
    device = torch.device(settings.device)
    ours, theirs = (
        model and model.eval().to(device, memory_format=torch.channels_last)
        for model in (network, None if settings.alone else TwoNetworks())
    )
    for part in (ours.encoder, ours.segmenter, ours.stylizer) if settings.compile else ():
        part.compile(dynamic=False, options={"freezing": True} if device.type == "cpu" else None)
    return ours, theirs


def device_name(device: torch.device) -> str:
    """The GPU, or the CPU with its threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} threads"


def print_table(settings: Settings) -> None:
    """Both sides for every size and batch."""
    if settings.threads:
        torch.set_num_threads(settings.threads)
    ours, theirs = networks(settings)
    device = torch.device(settings.device)
    most = limits(device, pick_precision(settings.precision))
    about = (
        f"{device_name(device)}, {settings.precision}, torch {torch.__version__}, median of {settings.runs}"
    )
    print(f"{about}; weights: {settings.checkpoint or 'random'}")
    print(f"this device: {most[0]:.0f} GMAC/s, {most[1]:.0f} GB/s")
    print(f"{'size':>10}{'batch':>6}  {'':16}{'ms':>9}{'lowest':>9}{'highest':>9}{'photos/s':>10}{'GMAC':>9}{'':>6}"
          f"{'GB':>8}{'':>6}{'time x':>8}{'GMAC x':>8}")  # fmt: skip
    for side in settings.sizes or [(512, 512)]:
        for batch in settings.batches:
            shape = (batch, *side)
            print(*rows(compare(ours, theirs, shape, settings), shape, most), sep="\n", flush=True)


def main(argv: list[str] | None = None) -> int:
    return run(NAME, lambda: print_table(read(parser_of(NAME, Settings), Settings, argv)))


if __name__ == "__main__":
    sys.exit(main())
