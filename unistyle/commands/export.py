"""Programs for elsewhere: `unistyle export`."""

import argparse
import sys
from pathlib import Path

from PIL import ImageOps

from unistyle.checkpoint.checkpoint import load_checkpoint
from unistyle.export.check import CHECK_SIZES, TOLERANCE, check
from unistyle.export.programs import export_onnx, export_torch
from unistyle.files.photos import read_image


def _export(args: argparse.Namespace) -> int:
    checkpoint = load_checkpoint(args.checkpoint)
    path = args.export(checkpoint, args.out, args.to)
    print(
        f"{path}: {path.stat().st_size / 1e6:.1f} MB, for {args.to or 'any style of the bank, or other codes'}"
    )
    return 0


def _check(args: argparse.Namespace) -> int:
    photos = (
        ImageOps.fit(read_image(path).convert("RGB"), CHECK_SIZES[i % len(CHECK_SIZES)][::-1])
        for i, path in enumerate(args.photos)
    )
    worst = 0
    print(f"{'photo':40}{'height x width':>16}{'image':>7}{'alpha':>7}{'share':>10}{'covered':>9}")
    for path, each in zip(
        args.photos, check(load_checkpoint(args.checkpoint), args.file, photos), strict=True
    ):
        size = " x ".join(map(str, each.size))
        row = f"{size:>16}{each.image:7}{each.alpha:7}{each.share:10.5f}{each.covered:9.2f}"
        print(f"{Path(path).name[-39:]:40}{row}", flush=True)
        worst = max(worst, each.image, each.alpha)
    print(f"largest difference from the network: {worst} of 255; accepted: {TOLERANCE}")
    return int(worst > TOLERANCE)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m unistyle.export", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    kinds = {"onnx": ("an .onnx file", export_onnx), "torch": ("a .pt2 file of torch.export", export_torch)}
    for name, (what, export) in kinds.items():
        sub = commands.add_parser(name, help=f"write {what}", description=f"Write {what}.")
        sub.set_defaults(run=_export, export=export)
        sub.add_argument("checkpoint", metavar="CHECKPOINT", help="file, folder or hub id")
        sub.add_argument("--out", type=Path, required=True, metavar="FILE", help=what)
        sub.add_argument(
            "--to",
            metavar="STYLE",
            help="stone, or one exemplar: stone/quarry; for every material found (default: styles are an input)",
        )
    text = "compare an .onnx file with the network, on photos of ten sizes"
    sub = commands.add_parser("check", help=text, description=f"{text[0].upper()}{text[1:]}.")
    sub.set_defaults(run=_check)
    sub.add_argument("checkpoint", metavar="CHECKPOINT", help="that the file was made of")
    sub.add_argument("file", metavar="FILE", help="made by the command onnx")
    sub.add_argument("photos", nargs="+", metavar="PHOTO", help="each is cut to one of ten sizes")
    return parser


def main(argv: list[str] | None = None) -> int:
    """0: done; 1: `check` found a larger difference than accepted; 2: bad usage or input, or what the export needs
    is not installed."""
    try:
        args = _parser().parse_args(argv)
        return args.run(args)
    except SystemExit as stop:  # argparse, which has said why
        return stop.code
    except ImportError as error:
        print(f"python -m unistyle.export: error: {error}; pip install 'unistyle[onnx]'", file=sys.stderr)
    except (ValueError, OSError) as error:
        print(f"python -m unistyle.export: error: {error}", file=sys.stderr)
    return 2
