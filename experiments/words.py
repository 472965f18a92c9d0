"""A vocabulary out of photos that lie elsewhere: `python -m experiments.words`."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from unistyle.commands.arguments import argument, parser_of, read, run


@dataclass
class Settings:
    """Make one folder per word, with links to the photos that stand for it.

    python -m experiments.words configs/words.yaml --data DATA --out cache/words
    """

    words: Path = argument(positional=True, metavar="YAML")
    """File with words, and for each the patterns of its photos below --data."""
    data: Path = argument(metavar="FOLDER")
    """Folder below which the photos lie."""
    out: Path = argument(metavar="FOLDER")
    """Folder for the links."""


def link(words: Mapping[str, Sequence[str]], data: Path, out: Path) -> dict[str, int]:
    """Link every file below `data` that a word's patterns name as `out/WORD/FOLDER_NAME`; how many each word has.

    Raises FileNotFoundError for a pattern that names no file. Links from before are left as they are.
    """
    counts = {}
    for word, patterns in words.items():
        folder = out / word
        folder.mkdir(parents=True, exist_ok=True)
        for pattern in patterns:
            if not (found := sorted(data.glob(pattern))):
                raise FileNotFoundError(f"{pattern}, of {word!r}, names no file below {data}")
            for path in found:
                place = folder / f"{path.parent.name}_{path.name}"
                if not place.is_symlink():
                    place.symlink_to(path.resolve())
        counts[word] = len(list(folder.iterdir()))
    return counts


def read_words(path: Path) -> dict[str, list[str]]:
    """The patterns of each word. Raises ValueError for a file that holds something else."""
    try:
        words = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not YAML ({' '.join(str(error).split())})") from error
    if not isinstance(words, dict) or not all(isinstance(patterns, list) for patterns in words.values()):
        raise ValueError(f"{path}: wanted words, each with a list of patterns of files")
    return words


def make(settings: Settings) -> None:
    for word, count in link(read_words(settings.words), settings.data, settings.out).items():
        print(f"{word}: {count} photos")


def parser():
    return parser_of("python -m experiments.words", Settings)


def main(argv: Sequence[str] | None = None) -> int:
    """0: done; 2: bad usage or input."""
    return run("python -m experiments.words", lambda: make(read(parser(), Settings, argv)))


if __name__ == "__main__":
    sys.exit(main())
