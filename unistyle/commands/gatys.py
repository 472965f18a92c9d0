"""The optimisation by itself: `unistyle gatys`."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tqdm import tqdm

from unistyle.commands.arguments import argument, number, parser_of, read, run, whole_number
from unistyle.data.transfer import Transfer, read_sized
from unistyle.devices import pick_device
from unistyle.errors import UsageError
from unistyle.files.tensors import to_pil
from unistyle.files.writing import save_png
from unistyle.teachers.cache import GatysCache
from unistyle.teachers.gatys import GatysConfig, restyle
from unistyle.teachers.vgg import read_vgg

above_zero = number(float, 0, what="a number from 0 up")


@dataclass
class Gatys:
    """Restyle photos by optimisation on VGG-19 features, the teacher of the network. It takes seconds to minutes for
    each photo.

    unistyle gatys photo.jpg --style wall.jpg --out teacher.png
    unistyle gatys photos/*.jpg --style wall.jpg --out teacher/ --cache cache/gatys
    """

    photo: list[Path] = argument(positional=True, nargs="+", metavar="PHOTO")
    """One photo, or several with a folder as --out."""
    style: Path = argument(metavar="PHOTO")
    """The style photo."""
    out: Path = argument(metavar="PATH")
    """The PNG to write; for several photos a folder."""
    mask: Path | None = argument(None, metavar="PATH")
    """Where to restyle, white on black, for a single photo. Without it, everywhere."""
    style_mask: Path | None = argument(None, metavar="PATH")
    """Where the style is, white on black. Without it, in the whole style photo."""
    size: int = argument(256, type=whole_number(16), metavar="PIXELS")
    """Longer side of the photos."""
    iterations: int = argument(GatysConfig.iterations, type=whole_number(0))
    """Steps of the optimisation."""
    style_weight: float = argument(GatysConfig.style_weight, type=above_zero)
    """Weight of the style against the content, whose weight is 1."""
    vgg_weights: Path | None = argument(None, metavar="FILE")
    """Weights of VGG-19 as safetensors. Without it they come from the hub."""
    cache: Path | None = argument(None, metavar="FOLDER")
    """Where finished results are kept, for later runs."""
    device: str = "cpu"
    """auto, cpu, cuda, cuda:1, mps."""


def parser() -> argparse.ArgumentParser:
    """The parser of this command."""
    return parser_of("unistyle gatys", Gatys)


def gatys(settings: Gatys) -> None:
    """Restyle each photo, and write it."""
    several = len(settings.photo) > 1
    if several and (settings.mask or settings.out.suffix):
        raise UsageError("several photos need a folder as --out and take no --mask")
    if settings.out.suffix.lower() not in ("", ".png"):
        raise UsageError(f"--out {settings.out}: results are PNGs; give it the ending .png, or a folder")
    config = GatysConfig(iterations=settings.iterations, style_weight=settings.style_weight)
    device = pick_device(settings.device)
    style = read_sized(settings.style, settings.style_mask, settings.size)
    vgg = read_vgg(settings.vgg_weights).to(device)
    make = GatysCache(settings.cache, vgg, config).restyle if settings.cache else None
    for path in settings.photo:
        photo = read_sized(path, settings.mask, settings.size)
        transfer = Transfer(*(x.to(device) for x in (photo[0], style[0], photo[1], style[1])))
        out = settings.out if settings.out.suffix else settings.out / f"{path.stem}.png"
        with tqdm(total=config.iterations, desc=path.name) as bar:
            progress = partial(_show, bar)
            result = make(transfer, progress) if make else restyle(vgg, *transfer, config, progress)
        save_png(to_pil(result[0]), out)


def _show(bar: tqdm, iteration: int, values: dict[str, float]) -> None:
    bar.set_postfix({name: f"{value:.3g}" for name, value in values.items()}, refresh=False)
    bar.update(iteration - bar.n)


def main(argv: Sequence[str] | None = None) -> int:
    """0: done; 2: bad usage or input."""
    return run("unistyle gatys", lambda: gatys(read(parser(), Gatys, argv)))
