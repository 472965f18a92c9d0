"""The style bank of a checkpoint: what is in it, and what joins, leaves or is renamed.

Commands: `python -m unistyle.bank --help`. Weights, vocabulary and notes go from checkpoint to checkpoint as they are.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from unistyle.checkpoint.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from unistyle.checkpoint.style_files import StyleFile, load_style, save_style
from unistyle.commands.arguments import whole_number
from unistyle.errors import UsageError
from unistyle.evaluation.thumbnails import thumbnails
from unistyle.files.photos import read_image
from unistyle.files.samples import sample_photo
from unistyle.files.writing import save_png
from unistyle.restyle.pipeline import UniStyle
from unistyle.styles.bank import StyleBank
from unistyle.styles.codes import code_space
from unistyle.styles.exemplars import bank_of, own_mask, pick, read_exemplars, style_folders


def join(checkpoint: Checkpoint, bank: StyleBank, space: str, source: object, replaces: bool) -> StyleBank:
    """`StyleBank.joined` with a bank whose codes are of a code space. Raises ValueError, "SOURCE: REASON"."""
    own = code_space(checkpoint.network)
    if space != own:
        raise ValueError(
            f"{source}: its style codes are of the code space {space}, those of this checkpoint of {own}, so they mean "
            "nothing here; add the style again from its photos (python -m unistyle.bank add)"
        )
    try:
        return checkpoint.bank.joined(bank, replaces)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error


def write(args: argparse.Namespace, checkpoint: Checkpoint, bank: StyleBank, done: str) -> None:
    """Write the checkpoint with another bank to `--out`, and say what was done and where it was written."""
    path = save_checkpoint(args.out, replace(checkpoint, bank=bank), half=None)
    print(f"{done}; {_count(bank)} in {path}")


def _count(bank: StyleBank) -> str:
    return f"{len(bank.styles)} styles with {len(bank.names)} exemplars"


def _news(before: StyleBank, after: StyleBank) -> str:
    """What a bank has that it had not, for a line that says what was done."""
    old = {name: before.codes[row] for row, name in enumerate(before.names)}
    new = [
        name
        for row, name in enumerate(after.names)
        if name not in old or not old[name].equal(after.codes[row])
    ]
    return ", ".join("/".join(name) for name in new) or "nothing, as all of it was there"


def _list(args: argparse.Namespace) -> None:
    if args.photo and not args.sheet:
        raise UsageError("--photo is the photo of the sheet; give --sheet PNG as well")
    checkpoint = load_checkpoint(args.checkpoint)
    bank = checkpoint.bank
    if args.sheet:
        photo = read_image(args.photo or sample_photo())
        save_png(thumbnails(UniStyle(checkpoint), photo), args.sheet)
    print(f"materials that it finds: {', '.join(checkpoint.network.config.materials)}")
    for style in bank.styles:
        print(f"{style}: {', '.join(bank.names[row][1] for row in bank.rows(style))}")
    print(_count(bank) + (f"; sheet in {args.sheet}" if args.sheet else ""))


def _add(args: argparse.Namespace) -> int:
    checkpoint = load_checkpoint(args.checkpoint)
    folders = style_folders(args.styles)
    with tqdm(total=sum(map(len, folders.values())), desc="style photos") as bar:
        found, problems = read_exemplars(checkpoint.network, folders, args.whole, lambda *_: bar.update())
    for problem in problems:
        print(f"not used: {problem}", file=sys.stderr)
    bank = checkpoint.bank.joined(bank_of(pick(checkpoint.network, found, args.exemplars)), args.replace)
    count = sum(map(len, found.values()))
    read = f"of {count} photos, {sum(own_mask(e.path) is not None for own in found.values() for e in own)} with masks"
    write(args, checkpoint, bank, f"added {_news(checkpoint.bank, bank)} ({read})")
    return int(bool(problems))


def _remove(args: argparse.Namespace) -> None:
    checkpoint = load_checkpoint(args.checkpoint)
    write(args, checkpoint, checkpoint.bank.without(*args.styles), f"removed {', '.join(args.styles)}")


def _rename(args: argparse.Namespace) -> None:
    checkpoint = load_checkpoint(args.checkpoint)
    write(args, checkpoint, checkpoint.bank.renamed(args.old, args.new), f"renamed {args.old} to {args.new}")


def _merge(args: argparse.Namespace) -> None:
    checkpoint = first = load_checkpoint(args.checkpoint)
    for source in args.others:
        other = load_checkpoint(source)
        bank = join(checkpoint, other.bank, code_space(other.network), source, args.replace)
        checkpoint = replace(checkpoint, bank=bank)
    write(args, checkpoint, checkpoint.bank, f"merged: {_news(first.bank, checkpoint.bank)}")


def _export(args: argparse.Namespace) -> None:
    checkpoint = load_checkpoint(args.checkpoint)
    bank = checkpoint.bank.only(checkpoint.bank.find(args.style))
    path = save_style(args.out, StyleFile(bank, code_space(checkpoint.network)))
    print(f"exported {', '.join('/'.join(name) for name in bank.names)} to {path}")


def _import(args: argparse.Namespace) -> None:
    checkpoint = first = load_checkpoint(args.checkpoint)
    for source in args.files:
        bank, space = load_style(source)
        checkpoint = replace(checkpoint, bank=join(checkpoint, bank, space, source, args.replace))
    write(args, checkpoint, checkpoint.bank, f"imported: {_news(first.bank, checkpoint.bank)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m unistyle.bank", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)

    def command(
        name: str,
        text: str,
        run: Callable[[argparse.Namespace], int | None],
        out: str | None = "the new checkpoint",
    ) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(run=run)
        sub.add_argument("checkpoint", metavar="CHECKPOINT", help="file, folder or hub id")
        if out:
            sub.add_argument("--out", type=Path, required=True, metavar="FILE", help=out)
        return sub

    show = command("list", "what it finds, and its styles with their exemplars", _list, out=None)
    show.add_argument("--sheet", type=Path, metavar="PNG", help="write a picture of every exemplar")
    show.add_argument("--photo", metavar="PHOTO", help="restyled on the sheet (default: a cup of coffee)")
    add = command("add", "new styles from folders of photos, without training", _add)
    add.add_argument(
        "--styles", type=Path, required=True, metavar="FOLDER", help="a folder a style, photos inside"
    )
    add.add_argument(
        "--whole", action="store_true", help="a style is its whole photos, whatever is found in them"
    )
    add.add_argument(
        "--exemplars",
        type=whole_number(1),
        default=3,
        metavar="N",
        help="photos a style that stand for it (default: 3)",
    )
    remove = command("remove", "take styles or exemplars out", _remove)
    remove.add_argument("styles", nargs="+", metavar="STYLE", help="stone, or one exemplar: stone/quarry")
    rename = command("rename", "give a style another name", _rename)
    rename.add_argument("old", metavar="OLD", help="a style; the material that is found keeps its name")
    rename.add_argument("new", metavar="NEW")
    merge = command("merge", "add the styles of other checkpoints", _merge)
    merge.add_argument("others", nargs="+", metavar="OTHER", help="file, folder or hub id")
    export = command("export", "write one style as a file", _export, out="the style file, .safetensors")
    export.add_argument("style", metavar="STYLE", help="stone, or one exemplar: stone/quarry")
    take = command("import", "add styles from files", _import)
    take.add_argument("files", nargs="+", metavar="STYLE_FILE", help="files written by export")
    for sub in (add, merge, take):
        sub.add_argument(
            "--replace", action="store_true", help="of two styles of one name keep the one that is added"
        )
    return parser


def main(argv: list[str] | None = None) -> int:
    """0: done; 1: done without some photos, each named with its reason; 2: bad usage or input, and nothing written."""
    try:
        args = _parser().parse_args(argv)
        return args.run(args) or 0
    except SystemExit as stop:  # argparse, which has said why
        return stop.code
    # Unusable arguments, checkpoints, style files and photos are all ValueErrors; an OSError is the output.
    except (ValueError, OSError) as error:
        print(f"python -m unistyle.bank: error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
