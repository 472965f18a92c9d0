"""Programs for elsewhere: `unistyle export`."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PIL import ImageOps

from unistyle.checkpoint.checkpoint import load_checkpoint
from unistyle.commands.arguments import Commands, argument, parser_of_commands, run_command
from unistyle.export.check import CHECK_SIZES, TOLERANCE, check
from unistyle.export.programs import export_onnx, export_torch
from unistyle.files.photos import read_image


@dataclass
class Export:
    """What both kinds of program take."""

    checkpoint: str = argument(positional=True, metavar="CHECKPOINT")
    """File, folder or hub id."""
    out: Path = argument(metavar="FILE")
    """The file to write."""
    to: str | None = argument(None, metavar="STYLE")
    """The style of the main object: stone, or one exemplar of it: stone/quarry. Without it, styles are an input
    of the program."""


@dataclass
class Onnx(Export):
    """Write an .onnx file.

    unistyle export onnx checkpoints/unistyle-materials.safetensors --out model.onnx
    """


@dataclass
class Torch(Export):
    """Write a .pt2 file of torch.export.

    unistyle export torch checkpoints/unistyle-materials.safetensors --to stone --out stone.pt2
    """


@dataclass
class Check:
    """Compare an .onnx file with the network, on photos of ten sizes.

    unistyle export check checkpoints/unistyle-materials.safetensors model.onnx photos/*.jpg
    """

    checkpoint: str = argument(positional=True, metavar="CHECKPOINT")
    """The checkpoint that the file was made from."""
    file: Path = argument(positional=True, metavar="FILE")
    """A file made by `unistyle export onnx`."""
    photos: list[Path] = argument(positional=True, nargs="+", metavar="PHOTO")
    """Each photo is cut to one of ten sizes."""


def write(export: Callable[..., Path], settings: Export) -> None:
    """Write the program, and say how large it is."""
    path = export(load_checkpoint(settings.checkpoint), settings.out, settings.to)
    what = settings.to or "any style of the bank, or other codes"
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, for {what}")


def compare(settings: Check) -> int:
    """Prints a line for each photo; 1 where the largest difference is above what is accepted."""
    photos = (
        ImageOps.fit(read_image(path).convert("RGB"), CHECK_SIZES[i % len(CHECK_SIZES)][::-1])
        for i, path in enumerate(settings.photos)
    )
    worst, found = 0, check(load_checkpoint(settings.checkpoint), settings.file, photos)
    print(f"{'photo':40}{'height x width':>16}{'image':>7}{'alpha':>7}{'share':>10}{'covered':>9}")
    for path, each in zip(settings.photos, found, strict=True):
        size = " x ".join(map(str, each.size))
        row = f"{size:>16}{each.image:7}{each.alpha:7}{each.share:10.5f}{each.covered:9.2f}"
        print(f"{path.name[-39:]:40}{row}", flush=True)
        worst = max(worst, each.image, each.alpha)
    print(f"largest difference from the network: {worst} of 255; accepted: {TOLERANCE}")
    return int(worst > TOLERANCE)


COMMANDS: Commands = {
    "onnx": (Onnx, partial(write, export_onnx)),
    "torch": (Torch, partial(write, export_torch)),
    "check": (Check, compare),
}


def parser() -> argparse.ArgumentParser:
    """The parser of this command."""
    return parser_of_commands("unistyle export", "Write a checkpoint as a program for elsewhere.", COMMANDS)


def main(argv: Sequence[str] | None = None) -> int:
    """0: done; 1: `check` found a larger difference than is accepted; 2: bad usage or input, or what the export needs
    is not installed."""
    return run_command("unistyle export", parser(), COMMANDS, argv)
