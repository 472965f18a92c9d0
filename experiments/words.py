"""A vocabulary out of photos that lie elsewhere: a folder a word, with links to the photos that stand for it.

python -m experiments.vocabulary configs/words.yaml --data ../shared/data --out cache/words
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml


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


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser("python -m experiments.vocabulary", description=__doc__.splitlines()[0])
    parser.add_argument("words", type=Path, help="YAML file: a word, and patterns of its photos below --data")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(argv)
    try:
        for word, count in link(yaml.safe_load(args.words.read_text()), args.data, args.out).items():
            print(f"{word}: {count} photos")
    except FileNotFoundError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
