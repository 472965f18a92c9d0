"""Measuring: `unistyle evaluate`."""

import argparse
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from tqdm import tqdm

from unistyle.evaluation.failures import failure_sheet, failures
from unistyle.evaluation.measures import (
    evaluate_bank,
    evaluate_masks,
    evaluate_outside,
    evaluate_style,
    predicted_mask,
)
from unistyle.evaluation.methods import (
    colour_method,
    gatys_method,
    network_method,
    photo_method,
    whole_method,
)
from unistyle.evaluation.pairs import make_pairs, photo_name, split_photos
from unistyle.evaluation.rows import Row, table, write_rows
from unistyle.evaluation.sheets import contact_sheet, sheet_photos
from unistyle.files.writing import save_png
from unistyle.restyle.pipeline import UniStyle
from unistyle.teachers.gatys import GatysConfig
from unistyle.teachers.vgg import VGG19


def _style_rows(args: argparse.Namespace) -> Iterator[Row]:
    vgg = VGG19(args.vgg_weights).to(args.device)
    methods = {
        "network": lambda: network_method(_model(args).network, args.strength),
        "whole": lambda: whole_method(_model(args).network),
        "gatys": lambda: gatys_method(vgg, GatysConfig(iterations=args.iterations), args.cache),
        "photo": lambda: photo_method,
        "colour": lambda: colour_method,
    }
    method, contents = methods[args.method](), split_photos(args.data, args.split)
    pairs = make_pairs(contents, contents + split_photos(args.data, "train"), args.pairs, args.seed)
    yield from evaluate_style(tqdm(pairs, desc=args.method), method, vgg, args.device)


def _bank_rows(args: argparse.Namespace) -> Iterator[Row]:
    model, vgg = _model(args), VGG19(args.vgg_weights).to(args.device)
    contents, train = split_photos(args.data, args.split), split_photos(args.data, "train")
    pairs = make_pairs(contents, contents + train, args.pairs, args.seed)
    exemplars = {photo_name(photo): photo for photo in contents + train}
    yield from evaluate_bank(model, tqdm(pairs, desc="bank"), exemplars, vgg, args.to)


def _mask_rows(args: argparse.Namespace) -> Iterator[Row]:
    photos = tqdm(split_photos(args.data, args.split), desc="masks")
    yield from evaluate_masks(_model(args).network, photos, args.device)


def _outside_rows(args: argparse.Namespace) -> Iterator[Row]:
    model = _model(args)
    yield from evaluate_outside(
        model, tqdm(split_photos(args.data, args.split), desc="outside"), model.styles
    )


def _report(args: argparse.Namespace) -> None:
    rows = list(args.rows(args))
    print(table(rows))
    if bounded := [row for row in rows if row.get("boundary")]:
        print("\nannotated mask below 95 % of the frame:\n" + table(bounded))
    if args.out:
        write_rows(rows, args.out)


def _sheet(args: argparse.Namespace) -> None:
    model, photos = _model(args), sheet_photos(split_photos(args.data, args.split))
    sheet = contact_sheet(model, tqdm(photos, desc="sheet"), args.styles or model.styles)
    save_png(sheet, args.out)


def _failures(args: argparse.Namespace) -> None:
    network, photos = _model(args).network, split_photos(args.data, args.split)
    find = lambda image: predicted_mask(network, image.to(args.device))  # noqa: E731
    failed = failures(find, tqdm(photos, desc="masks"))
    for kind, group in groupby(failed, key=lambda f: f.kind):
        group = list(group)
        save_png(failure_sheet(group), args.out / f"{kind}.png")
        names = ", ".join(f"{photo_name(f.photo)} {f.score:.2f}" for f in group)
        print(f"{kind}: {len(group)} of {len(photos)}: {names}")


def _model(args: argparse.Namespace) -> UniStyle:
    if args.checkpoint is None:
        raise SystemExit("--checkpoint is missing: give a .safetensors file, a folder with one, or a hub id")
    return UniStyle.from_pretrained(args.checkpoint, device=args.device)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m unistyle.evaluation", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True, metavar="style|bank|masks|outside|sheet|failures")

    def command(
        name: str, text: str, run=_report, rows=None, out="file of the rows, .csv or .json"
    ) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(run=run, rows=rows)
        sub.add_argument(
            "--data", type=Path, required=True, help="folder of image/, mask/, train.txt, val.txt"
        )
        sub.add_argument("--checkpoint", help="file, folder or hub id")
        sub.add_argument("--split", default="val", help="default: val")
        sub.add_argument("--device", default="cpu")
        sub.add_argument("--out", type=Path, required=run is not _report, help=out)
        return sub

    style = command("style", "statistics of restyled regions against their style's", rows=_style_rows)
    methods = ("network", "whole", "gatys", "photo", "colour")
    style.add_argument("--method", choices=methods, default="network", help="default: network")
    style.add_argument("--iterations", type=int, default=GatysConfig.iterations, help="of the Gatys method")
    style.add_argument("--strength", type=float, default=1.0, help="of the network method (default: 1)")
    style.add_argument("--cache", type=Path, help="folder of finished Gatys results")
    bank = command("bank", "the same with styles named from the checkpoint's bank", rows=_bank_rows)
    bank.add_argument("--to", help="a style of the bank (default: the material of each pair's style)")
    for sub in (style, bank):
        sub.add_argument("--pairs", type=int, default=120, help="default: %(default)s")
        sub.add_argument("--seed", type=int, default=0, help="of the list of pairs (default: %(default)s)")
        sub.add_argument("--vgg-weights", type=Path, help="safetensors file (default: from the hub)")
    command("masks", "predicted masks against annotated ones", rows=_mask_rows)
    command("outside", "what differs outside the mask: nothing should", rows=_outside_rows)
    sheet = command("sheet", "photos against styles of the bank, to look at", run=_sheet, out="PNG")
    sheet.add_argument("--styles", nargs="+", help="styles of the bank (default: all)")
    command("failures", "masks that failed, a PNG a kind of failure", run=_failures, out="folder")
    return parser


def main(argv: list[str] | None = None) -> None:
    args = _parser().parse_args(argv)
    args.run(args)
