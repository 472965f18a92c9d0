"""Two ways to restyle, compared by somebody who does not know which is which."""

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from PIL import Image
from scipy.stats import binomtest

from unistyle.evaluation.methods import Method
from unistyle.evaluation.pairs import Pair, photo_name, sized_pair
from unistyle.evaluation.sheets import page
from unistyle.files.atomic import atomic
from unistyle.files.photos import read_image
from unistyle.files.tensors import to_pil
from unistyle.files.writing import save_png

ROWS = 5  # pairs on a sheet
CELL = 320  # pixels of a picture's width
CHOICES = ("1", "2", "0")
Show = Callable[[Pair], Image.Image]


def shown(method: Method, longest: int) -> Show:
    """The results of a method for photos with a longer side of `longest` pixels, as pictures."""
    return lambda pair: to_pil(method(sized_pair(pair, longest))[0])


def from_folder(folder: Path) -> Show:
    """Results that lie in a folder as PHOTO__STYLE.png, by the stems of both. Raises ImageError for one that is
    missing."""
    return lambda pair: read_image(folder / f"{pair.content.path.stem}__{pair.style.path.stem}.png")


def write_sheets(pairs: Sequence[Pair], first: Show, second: Show, out: Path, seed: int) -> Iterator[Path]:
    """Write `sheet-N.png` with ROWS pairs each, and at the end `key.json`; gives the sheets as they are written.

    A row shows photo, style and the two results in random order, which only the key tells: number -> "12" where the
    first way stands first, "21" otherwise.
    """
    rng = random.Random(seed)
    key = {str(number): rng.choice(("12", "21")) for number in range(1, len(pairs) + 1)}
    for start in range(0, len(pairs), ROWS):
        rows, names = [], []
        for number, pair in enumerate(pairs[start : start + ROWS], start + 1):
            results = [first(pair), second(pair)]
            photos = [read_image(pair.content.path), read_image(pair.style.path)]
            rows.append([*photos, *(results if key[str(number)] == "12" else results[::-1])])
            names.append(str(number))
        titles = [f"photo ({names[0]} to {names[-1]}, from the top)", "style", "1", "2"]
        path = out / f"sheet-{start // ROWS + 1}.png"
        save_png(page(titles, rows, CELL, gap=4), path)
        yield path
    with atomic(out / "key.json") as temporary:
        temporary.write_text(
            json.dumps({"key": key, "pairs": [[photo_name(p) for p in pair] for pair in pairs]})
        )


def read_answers(path: Path, count: int) -> dict[str, str]:
    """Answers by number, from lines `NUMBER CHOICE`: 1 or 2 for the better result, 0 for neither. Raises ValueError for
    anything else, and for a number that is not there or is answered twice."""
    answers: dict[str, str] = {}
    for line in filter(str.strip, path.read_text().splitlines()):
        number, _, choice = line.replace(",", " ").partition(" ")
        choice = choice.strip()
        if choice not in CHOICES or not number.isdecimal() or not 1 <= int(number) <= count:
            raise ValueError(
                f"{path}: got {line!r}; wanted a number from 1 to {count} and 1, 2 or 0, such as '7 2'"
            )
        if answers.setdefault(str(int(number)), choice) != choice:
            raise ValueError(f"{path}: {number} is answered twice, and differently")
    return answers


def sign_test(answers: Mapping[str, str], key: Mapping[str, str]) -> dict[str, float]:
    """How often the first and the second way were chosen, how often neither, and the probability `p` of a difference at
    least as large if both were equally good.

    Source: the two-sided sign test (Dixon and Mood, "The Statistical Sign Test", 1946); ties are left out.
    """
    chosen = [key[number][int(choice) - 1] for number, choice in answers.items() if choice != "0"]
    first, decided = chosen.count("1"), len(chosen)
    p = float(binomtest(first, decided).pvalue) if decided else 1.0
    return {"first": first, "second": decided - first, "neither": len(answers) - decided, "p": p}
