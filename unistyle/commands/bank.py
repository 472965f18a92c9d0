"""The style bank of a checkpoint: `unistyle bank`. Weights, vocabulary and notes stay as they are."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from unistyle.checkpoint.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from unistyle.checkpoint.style_files import StyleFile, load_style, save_style
from unistyle.checkpoint.tensors import STYLE, is_kind
from unistyle.commands.arguments import (
    Commands,
    argument,
    checkpoint_out,
    parser_of_commands,
    png,
    run_command,
    whole_number,
)
from unistyle.commands.samples import Samples, give_samples
from unistyle.errors import UsageError
from unistyle.evaluation.sheets import bank_sheet
from unistyle.files.folders import own_mask
from unistyle.files.photos import read_image
from unistyle.files.samples import sample_photo
from unistyle.files.writing import save_png
from unistyle.restyle.pipeline import UniStyle
from unistyle.styles.bank import StyleBank
from unistyle.styles.choice import pick
from unistyle.styles.codes import code_space
from unistyle.styles.exemplars import bank_of, read_exemplars, style_folders


@dataclass
class Bank:
    """What all commands of the bank take."""

    checkpoint: str = argument(positional=True, metavar="CHECKPOINT")
    """File, folder or hub id."""


@dataclass
class Changed(Bank):
    """What the commands take that write another checkpoint."""

    out: Path = argument(type=checkpoint_out, metavar="FILE")
    """The new checkpoint."""


@dataclass
class List(Bank):
    """Say which materials a checkpoint finds, and list its styles with their exemplars.

    unistyle bank list checkpoints/unistyle-materials.safetensors --sheet styles.png
    """

    sheet: Path | None = argument(None, type=png, metavar="PNG")
    """Write a picture of every exemplar."""
    photo: str | None = argument(None, metavar="PHOTO")
    """The photo that is restyled on the sheet. Without it, a cup of coffee."""


@dataclass
class Add(Changed):
    """Add new styles from folders of photos, without training.

    unistyle bank add checkpoints/unistyle-materials.safetensors --styles rust/ --out rust.safetensors
    """

    styles: Path = argument(metavar="FOLDER")
    """One folder for each style, with photos inside; or photos alone, whose style is named after the folder."""
    whole: bool = False
    """A style is its whole photos, whatever material is found in them."""
    exemplars: int = argument(3, type=whole_number(1), metavar="N")
    """How many photos stand for each style."""
    replace: bool = False
    """Of two styles of one name, keep the one that is added."""


@dataclass
class Remove(Changed):
    """Take styles or exemplars out.

    unistyle bank remove mine.safetensors rust stone/quarry --out less.safetensors
    """

    styles: list[str] = argument(positional=True, nargs="+", metavar="STYLE")
    """stone, or one exemplar of it: stone/quarry."""


@dataclass
class Rename(Changed):
    """Give a style another name.

    unistyle bank rename mine.safetensors rust 'old iron' --out mine.safetensors
    """

    old: str = argument(positional=True, metavar="OLD")
    """The style as it is called now. The material that is found keeps its name."""
    new: str = argument(positional=True, metavar="NEW")
    """Its new name."""


@dataclass
class Merge(Changed):
    """Add the styles of other checkpoints, or of style files that `unistyle bank export` wrote.

    unistyle bank merge mine.safetensors rust-style.safetensors theirs.safetensors --out both.safetensors
    """

    others: list[str] = argument(positional=True, nargs="+", metavar="OTHER")
    """Checkpoint (file, folder or hub id) or style file."""
    replace: bool = False
    """Of two styles of one name, keep the one that is added."""


@dataclass
class Export(Bank):
    """Write one style as a small file of its own.

    unistyle bank export mine.safetensors rust --out rust-style.safetensors
    """

    style: str = argument(positional=True, metavar="STYLE")
    """stone, or one exemplar of it: stone/quarry."""
    out: Path = argument(metavar="FILE")
    """The style file, .safetensors."""


def show(settings: List) -> None:
    """Print what a checkpoint finds and its styles; draw the sheet."""
    if settings.photo and not settings.sheet:
        raise UsageError("--photo is the photo of the sheet; give --sheet PNG as well")
    checkpoint = load_checkpoint(settings.checkpoint)
    bank = checkpoint.bank
    if settings.sheet:
        photo = read_image(settings.photo or sample_photo())
        save_png(bank_sheet(UniStyle(checkpoint), photo), settings.sheet)
    print(f"materials that it finds: {', '.join(checkpoint.network.config.materials)}")
    for style in bank.styles:
        print(f"{style}: {', '.join(bank.names[row][1] for row in bank.rows(style))}")
    print(_count(bank) + (f"; sheet in {settings.sheet}" if settings.sheet else ""))


def add(settings: Add) -> int:
    """Write the checkpoint with new styles; 1 where photos could not be used."""
    checkpoint = load_checkpoint(settings.checkpoint)
    folders = style_folders(settings.styles)
    with tqdm(total=sum(map(len, folders.values())), desc="style photos") as bar:
        found, problems = read_exemplars(checkpoint.network, folders, settings.whole, lambda *_: bar.update())
    for problem in problems:
        print(f"not used: {problem}", file=sys.stderr)
    chosen = bank_of(pick(checkpoint.network, found, settings.exemplars))
    bank = checkpoint.bank.joined(chosen, settings.replace)
    photos = [exemplar.path for own in found.values() for exemplar in own]
    read = f"of {len(photos)} photos, {sum(own_mask(path) is not None for path in photos)} with masks"
    write(settings, checkpoint, bank, f"added {_news(checkpoint.bank, bank)} ({read})")
    return int(bool(problems))


def remove(settings: Remove) -> None:
    """Write the checkpoint without some styles."""
    checkpoint = load_checkpoint(settings.checkpoint)
    bank = checkpoint.bank.without(*settings.styles)
    write(settings, checkpoint, bank, f"removed {', '.join(settings.styles)}")


def rename(settings: Rename) -> None:
    """Write the checkpoint with a style under another name."""
    checkpoint = load_checkpoint(settings.checkpoint)
    bank = checkpoint.bank.renamed(settings.old, settings.new)
    write(settings, checkpoint, bank, f"renamed {settings.old} to {settings.new}")


def merge(settings: Merge) -> None:
    """Write the checkpoint with the styles of others."""
    checkpoint = first = load_checkpoint(settings.checkpoint)
    for source in settings.others:
        other = _styles_of(source)
        checkpoint = replace(checkpoint, bank=join(checkpoint, other, source, settings.replace))
    write(settings, checkpoint, checkpoint.bank, f"merged: {_news(first.bank, checkpoint.bank)}")


def _styles_of(source: str) -> StyleFile:
    """The styles of a checkpoint or of a style file."""
    if is_kind(source, STYLE):
        return load_style(source)
    other = load_checkpoint(source)
    return StyleFile(other.bank, code_space(other.network))


def join(checkpoint: Checkpoint, other: StyleFile, source: object, replaces: bool) -> StyleBank:
    """`StyleBank.joined` with styles whose codes have to mean the same. Raises ValueError, "SOURCE: REASON"."""
    own = code_space(checkpoint.network)
    if other.space != own:
        raise ValueError(
            f"{source}: its style codes are of the code space {other.space}, those of this checkpoint of {own}, so "
            "they mean nothing here; add the style again from its photos (unistyle bank add)"
        )
    try:
        return checkpoint.bank.joined(other.bank, replaces)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error


def export(settings: Export) -> None:
    """Write a style file."""
    checkpoint = load_checkpoint(settings.checkpoint)
    bank = checkpoint.bank.only(checkpoint.bank.find(settings.style))
    path = save_style(settings.out, StyleFile(bank, code_space(checkpoint.network)))
    print(f"exported {', '.join('/'.join(name) for name in bank.names)} to {path}")


def write(settings: Changed, checkpoint: Checkpoint, bank: StyleBank, done: str) -> None:
    """Write the checkpoint with another bank, and say what was done and where it was written."""
    path = save_checkpoint(settings.out, replace(checkpoint, bank=bank), half=None)
    print(f"{done}; {_count(bank)} in {path}")


def _count(bank: StyleBank) -> str:
    return f"{len(bank.styles)} styles with {len(bank.names)} exemplars"


def _news(before: StyleBank, after: StyleBank) -> str:
    """What a bank has that it did not have before, for the line that says what was done."""
    old = {name: before.codes[row] for row, name in enumerate(before.names)}
    new = [
        name
        for row, name in enumerate(after.names)
        if name not in old or not old[name].equal(after.codes[row])
    ]
    return ", ".join("/".join(name) for name in new) or "nothing, as all of it was there"


COMMANDS: Commands = {
    "list": (List, show),
    "add": (Add, add),
    "remove": (Remove, remove),
    "rename": (Rename, rename),
    "merge": (Merge, merge),
    "export": (Export, export),
    "samples": (Samples, give_samples),
}


def parser() -> argparse.ArgumentParser:
    """The parser of this command."""
    return parser_of_commands("unistyle bank", "The style bank of a checkpoint.", COMMANDS)


def main(argv: Sequence[str] | None = None) -> int:
    """0: done; 1: done without some photos, each named with its reason; 2: bad usage or input, and nothing written."""
    return run_command("unistyle bank", parser(), COMMANDS, argv)
