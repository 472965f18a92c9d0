"""What independent judges say of results: `unistyle evaluate judges`."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tqdm import tqdm

from unistyle.checkpoint.shipped import default_checkpoint
from unistyle.commands.arguments import ROWS, argument, number, whole_number
from unistyle.data.labelled import materials_of
from unistyle.devices import pick_device
from unistyle.errors import UsageError
from unistyle.evaluation.judges import ObjectJudge, two_judges
from unistyle.evaluation.judging import Judged, fitted, judge_accuracy, judged_rows, results, size_rows
from unistyle.evaluation.methods import (
    Method,
    bank_method,
    gatys_method,
    photo_method,
    public_method,
    whole_method,
)
from unistyle.evaluation.pairs import SIZE, Pair, annotated_split, make_pairs
from unistyle.evaluation.rows import Row, columns, summary, write_rows
from unistyle.files.digest import digest
from unistyle.restyle.pipeline import UniStyle
from unistyle.teachers.gatys import GatysConfig
from unistyle.teachers.saliency import Bars
from unistyle.teachers.vgg import VGG19, read_vgg


@dataclass
class Judges:
    """Ask independent judges which material the results show, and whether the object is still there. Results are made
    by the public call: the style's region is found by the network.

    unistyle evaluate judges --data DATA/fmd --quick
    unistyle evaluate judges --data DATA/fmd --sizes 256 512 1024 --strengths 0.5 0.7 1 --pairs 60 --out rows.csv
    """

    data: Path = argument(metavar="FOLDER")
    """Folder with image/MATERIAL/STEM.jpg, mask/MATERIAL/STEM.png, train.txt and val.txt (docs/data.md)."""
    methods: list[str] = argument(
        ["photo", "network", "bank"], nargs="+", choices=("photo", "network", "bank", "whole", "gatys")
    )
    """What restyles: nothing (the untouched photo); the public call with the style photo; the public call with the name
    of the style photo's material; the network blind to regions; the Gatys optimisation. The first and the last two
    always see photos of 256 pixels."""
    sizes: list[int] = argument([256], nargs="+", type=whole_number(32), metavar="PIXELS")
    """Longer sides of the photos that the public call restyles. All are judged at 256."""
    strengths: list[float] = argument(
        [1.0], nargs="+", type=number(float, 0, 1, "a number from 0 to 1"), metavar="X"
    )
    """Strengths of the network. Several show how much of the object each share of new material costs."""
    pairs: int = argument(90, type=whole_number(1))
    """How many pairs: a photo of val with a style photo of train."""
    quick: bool = False
    """The first 30 pairs alone, for trials."""
    seed: int = 0
    """Seed of the list of pairs."""
    checkpoint: str = argument(default_checkpoint(), metavar="PATH")
    """File, folder or hub id."""
    resnet18: Path | None = argument(None, metavar="FILE")
    """Weights of ResNet-18 as safetensors in timm's layout. Without it they come from the hub."""
    lite2: Path | None = argument(None, metavar="FILE")
    """Weights of EfficientNet-Lite2, with its classifier. Without it they come from the hub."""
    vgg_weights: Path | None = argument(None, metavar="FILE")
    """Weights of VGG-19 as safetensors. Without it they come from the hub."""
    cache: Path = argument(Path("cache/judges"), metavar="FOLDER")
    """Where the fitted judges and the results are kept."""
    out: Path | None = argument(None, type=ROWS, metavar="FILE")
    """Also write one row for each method and pair, as .csv or .json."""


QUICK = 30  # pairs
FITTED = 90  # pairs whose style photos the judges never see, so that fewer pairs have the same judges
Column = tuple[
    str, int, Callable[[Pair], Method]
]  # title, longer side of the photo, and the method of a pair


def columns_of(settings: Judges, model: UniStyle, vgg: VGG19) -> Iterator[Column]:
    """What is judged, one column of the table each."""
    public = [(size, strength) for size in settings.sizes for strength in settings.strengths]
    others: dict[str, Callable[[], Method]] = {
        "photo": lambda: photo_method,
        "whole": lambda: whole_method(model.network),
        "gatys": lambda: gatys_method(vgg, GatysConfig(iterations=60), settings.cache / "gatys"),
    }
    for name in settings.methods:
        if name in others:
            yield name, SIZE, partial(_of_any_pair, others[name]())
            continue
        for size, strength in public:
            title = f"{size} px, {strength:g}"
            if name == "bank":
                yield f"bank {title}", size, partial(_of_the_bank, model, strength)
            else:
                yield title, size, partial(_of_any_pair, public_method(model, strength))


def _of_any_pair(method: Method, pair: Pair) -> Method:
    return method


def _of_the_bank(model: UniStyle, strength: float, pair: Pair) -> Method:
    return bank_method(model, pair.style.path.parent.name, strength)


def ask(settings: Judges) -> None:
    """Fit the judges as far as the cache does not hold them, and print what they say of every method."""
    val, train = (annotated_split(settings.data, split) for split in ("val", "train"))
    number = QUICK if settings.quick else settings.pairs
    pairs = make_pairs(val, train, max(number, FITTED), settings.seed)
    styles = {pair.style.path for pair in pairs}  # which the judges must not have seen
    pairs = pairs[:number]
    if not (unseen := [photo for photo in train if photo.path not in styles]):
        raise UsageError(
            "all photos of train serve as styles, so that none are left to fit the judges: fewer --pairs"
        )
    vgg = read_vgg(settings.vgg_weights)
    model = UniStyle.from_pretrained(settings.checkpoint, pick_device("cpu"))
    judge = two_judges(materials_of(settings.data / "image"), settings.resnet18, settings.lite2)
    judge, cells = fitted(judge, unseen, settings.cache, Bars())
    objects = ObjectJudge(settings.lite2)
    print(f"the judge names {judge_accuracy(judge, val):.3f} of the {len(val)} photos of val", flush=True)
    weights = digest(model.network, model.bank.codes, model.bank.names)

    def made(column: Column) -> Iterator[Judged]:
        title, size, method_of = column
        kept = settings.cache / "results"
        return results(tqdm(pairs, desc=title), method_of, size, kept, (title, weights))

    every = list(columns_of(settings, model, vgg))
    table = {column[0]: list(judged_rows(made(column), judge, objects, vgg, cells)) for column in every}
    print(columns([_means(title, rows) for title, rows in table.items()]))
    for first, *others in _of_several_sizes(every):
        rows = list(size_rows(zip(made(first), *map(made, others), strict=True), vgg))
        middle = summary(rows)["sizes"]["median"]
        print(f"{first[0]}: median Gram distance to its results at the other sizes {middle:.3f}")
    if settings.out:
        named: list[Row] = [{"method": title, **row} for title, rows in table.items() for row in rows]
        write_rows(named, settings.out)


def _of_several_sizes(every: Sequence[Column]) -> Iterator[list[Column]]:
    """The columns that differ in nothing but the size."""
    alike: dict[str, list[Column]] = {}
    for column in every:
        alike.setdefault(column[0].replace(f"{column[1]} px", ""), []).append(column)
    yield from (group for group in alike.values() if len(group) > 1)


def _means(title: str, rows: list[Row]) -> Row:
    """Means of what the judges say, medians of distances."""
    about = summary(rows)
    kinds = {name: "mean" if name in ("new", "old", "probability", "object") else "median" for name in about}
    row: Row = {"method": title, "pairs": len(rows)}
    return row | {name: about[name][kind] for name, kind in kinds.items()}
