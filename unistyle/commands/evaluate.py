"""Measuring a checkpoint on annotated photos: `unistyle evaluate`."""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

from tqdm import tqdm

from unistyle.checkpoint.shipped import default_checkpoint
from unistyle.commands.arguments import (
    ROWS,
    Commands,
    argument,
    number,
    parser_of_commands,
    png,
    run_command,
    whole_number,
)
from unistyle.commands.evaluation.blind import Blind, blind
from unistyle.commands.evaluation.compare import Compare, compare
from unistyle.commands.evaluation.judges import Judges, ask
from unistyle.commands.evaluation.scenes import Scenes, score_scenes
from unistyle.devices import pick_device
from unistyle.evaluation.failures import failure_sheet, failures
from unistyle.evaluation.measures import (
    evaluate_bank,
    evaluate_masks,
    evaluate_outside,
    evaluate_style,
    predicted_mask,
)
from unistyle.evaluation.methods import (
    Method,
    colour_method,
    gatys_method,
    photo_method,
    public_method,
    whole_method,
)
from unistyle.evaluation.pairs import SIZE, annotated_split, make_pairs, photo_name
from unistyle.evaluation.rows import Row, table, write_rows
from unistyle.evaluation.sheets import contact_sheet, sheet_photos
from unistyle.files.writing import save_png
from unistyle.restyle.pipeline import UniStyle
from unistyle.teachers.gatys import GatysConfig
from unistyle.teachers.vgg import read_vgg

METHODS = ("network", "whole", "gatys", "photo", "colour")


@dataclass
class Evaluation:
    """What all measurements take."""

    data: Path = argument(metavar="FOLDER")
    """Folder with image/MATERIAL/STEM.jpg, mask/MATERIAL/STEM.png, train.txt and val.txt (docs/data.md)."""
    checkpoint: str = argument(default_checkpoint(), metavar="PATH")
    """File, folder or hub id."""
    split: str = "val"
    """The photos to measure on: those named in SPLIT.txt."""
    device: str = "cpu"
    """auto, cpu, cuda, cuda:1, mps."""


@dataclass
class Measured(Evaluation):
    """What measurements take that give rows of scores."""

    out: Path | None = argument(None, type=ROWS, metavar="FILE")
    """Also write one row for each photo or pair, as .csv or .json."""


@dataclass
class Pairs(Measured):
    """What measurements of pairs of photo and style take."""

    pairs: int = argument(120, type=whole_number(1))
    """How many pairs of photo and style."""
    seed: int = 0
    """Seed of the list of pairs."""
    size: int = argument(SIZE, type=whole_number(32), metavar="PIXELS")
    """Longer side of the photos that the public call restyles. All are compared at 256."""
    vgg_weights: Path | None = argument(None, metavar="FILE")
    """Weights of VGG-19 as safetensors. Without it they come from the hub."""


@dataclass
class Style(Pairs):
    """Compare restyled regions with their style: distances of statistics, content, shading.

    unistyle evaluate style --data DATA/fmd
    unistyle evaluate style --data DATA/fmd --method gatys --iterations 60 --cache cache/gatys --out gatys.csv
    """

    method: str = argument("network", choices=METHODS)
    """What restyles: the public call, which finds the style's region by itself; the network blind to regions; the Gatys
    optimisation; nothing (the untouched photo); recolouring alone. All but the first see photos of 256 pixels."""
    iterations: int = argument(GatysConfig.iterations, type=whole_number(0))
    """Steps of the Gatys method."""
    strength: float = argument(1.0, type=number(float, 0, 1, "a number from 0 to 1"))
    """Strength of the network method, from 0 to 1."""
    cache: Path | None = argument(None, metavar="FOLDER")
    """Where finished results of the Gatys method are kept."""


@dataclass
class Bank(Pairs):
    """The same with styles named from the checkpoint's bank.

    unistyle evaluate bank --data DATA/fmd --pairs 60
    """

    to: str | None = argument(None, metavar="STYLE")
    """A style of the bank. Without it, the material of each pair's style photo."""


@dataclass
class Masks(Measured):
    """Compare where the main object is found with annotated masks.

    unistyle evaluate masks --data DATA/fmd
    """


@dataclass
class Outside(Measured):
    """Count the values that differ outside the mask. There should be none.

    unistyle evaluate outside --data DATA/fmd
    """


@dataclass(kw_only=True)
class Sheet(Evaluation):
    """Draw a sheet to look at: photos against styles of the bank.

    unistyle evaluate sheet --data DATA/fmd --out sheet.png
    """

    out: Path = argument(type=png, metavar="PNG")
    """The picture to write."""
    styles: list[str] | None = argument(None, nargs="+", metavar="STYLE")
    """Styles of the bank. Without it, all of them."""


@dataclass(kw_only=True)
class Failures(Evaluation):
    """Draw the masks that failed, one sheet for each kind of failure.

    unistyle evaluate failures --data DATA/fmd --out failures/
    """

    out: Path = argument(metavar="FOLDER")
    """Where the sheets are written."""


def _model(settings: Evaluation) -> UniStyle:
    return UniStyle.from_pretrained(settings.checkpoint, device=settings.device)


def method_of(settings: Style, vgg) -> Method:
    """The method that the settings name."""
    makers: dict[str, Callable[[], Method]] = {
        "network": lambda: public_method(_model(settings), settings.strength),
        "whole": lambda: whole_method(_model(settings).network),
        "gatys": lambda: gatys_method(vgg, GatysConfig(iterations=settings.iterations), settings.cache),
        "photo": lambda: photo_method,
        "colour": lambda: colour_method,
    }
    return makers[settings.method]()


def style_rows(settings: Style) -> Iterator[Row]:
    """Scores of a method, one row for each pair."""
    device, contents = pick_device(settings.device), annotated_split(settings.data, settings.split)
    vgg = read_vgg(settings.vgg_weights).to(device)
    method = method_of(settings, vgg)
    styles = contents + annotated_split(settings.data, "train")
    pairs = make_pairs(contents, styles, settings.pairs, settings.seed)
    size = settings.size if settings.method == "network" else SIZE
    yield from evaluate_style(tqdm(pairs, desc=settings.method), method, vgg, device, size)


def bank_rows(settings: Bank) -> Iterator[Row]:
    """Scores of styles of the bank, one row for each pair."""
    contents, train = annotated_split(settings.data, settings.split), annotated_split(settings.data, "train")
    model = _model(settings)
    vgg = read_vgg(settings.vgg_weights).to(model.device)
    pairs = make_pairs(contents, contents + train, settings.pairs, settings.seed)
    exemplars = {photo_name(photo): photo for photo in contents + train}
    yield from evaluate_bank(model, tqdm(pairs, desc="bank"), exemplars, vgg, settings.to, settings.size)


def mask_rows(settings: Masks) -> Iterator[Row]:
    """Scores of predicted masks, one row for each photo."""
    photos, model = annotated_split(settings.data, settings.split), _model(settings)
    yield from evaluate_masks(model.network, tqdm(photos, desc="masks"), model.device)


def outside_rows(settings: Outside) -> Iterator[Row]:
    """What differs outside the mask, one row for each photo."""
    photos, model = annotated_split(settings.data, settings.split), _model(settings)
    yield from evaluate_outside(model, tqdm(photos, desc="outside"), model.styles)


def report(rows_of: Callable[..., Iterator[Row]], settings: Measured) -> None:
    """Print the summary of the rows, and write them."""
    rows = list(rows_of(settings))
    print(table(rows))
    if bounded := [row for row in rows if row.get("boundary")]:
        print("\nannotated mask below 95 % of the frame:\n" + table(bounded))
    if settings.out:
        write_rows(rows, settings.out)


def draw_sheet(settings: Sheet) -> None:
    """Write the sheet of photos against styles."""
    photos, model = sheet_photos(annotated_split(settings.data, settings.split)), _model(settings)
    sheet = contact_sheet(model, tqdm(photos, desc="sheet"), settings.styles or model.styles)
    save_png(sheet, settings.out)


def draw_failures(settings: Failures) -> None:
    """Write one sheet for each kind of failure, and print which photos are on it."""
    photos, model = annotated_split(settings.data, settings.split), _model(settings)
    failed = failures(
        lambda image: predicted_mask(model.network, image.to(model.device)), tqdm(photos, desc="masks")
    )
    for kind, each in groupby(failed, key=lambda f: f.kind):
        group = list(each)
        save_png(failure_sheet(group), settings.out / f"{kind}.png")
        names = ", ".join(f"{photo_name(f.photo)} {f.score:.2f}" for f in group)
        print(f"{kind}: {len(group)} of {len(photos)}: {names}")


COMMANDS: Commands = {
    "style": (Style, partial(report, style_rows)),
    "bank": (Bank, partial(report, bank_rows)),
    "masks": (Masks, partial(report, mask_rows)),
    "outside": (Outside, partial(report, outside_rows)),
    "scenes": (Scenes, score_scenes),
    "judges": (Judges, ask),
    "compare": (Compare, compare),
    "blind": (Blind, blind),
    "sheet": (Sheet, draw_sheet),
    "failures": (Failures, draw_failures),
}


def parser() -> argparse.ArgumentParser:
    """The parser of this command."""
    return parser_of_commands("unistyle evaluate", "Measure a checkpoint on annotated photos.", COMMANDS)


def main(argv: Sequence[str] | None = None) -> int:
    """0: done; 2: bad usage or input."""
    return run_command("unistyle evaluate", parser(), COMMANDS, argv)
