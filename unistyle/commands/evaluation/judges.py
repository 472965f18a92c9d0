"""What independent judges say of results: `unistyle evaluate judges`."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from unistyle.checkpoint.shipped import default_checkpoint
from unistyle.commands.arguments import ROWS, argument, number, whole_number
from unistyle.data.labelled import materials_of
from unistyle.devices import pick_device
from unistyle.evaluation.judges import ObjectJudge, two_judges
from unistyle.evaluation.judging import fitted, judge_accuracy, judged_rows, size_rows
from unistyle.evaluation.methods import Method, gatys_method, photo_method, public_method, whole_method
from unistyle.evaluation.pairs import annotated_split, make_pairs
from unistyle.evaluation.rows import Row, columns, summary, write_rows
from unistyle.restyle.pipeline import UniStyle
from unistyle.teachers.gatys import GatysConfig
from unistyle.teachers.saliency import Bars
from unistyle.teachers.vgg import VGG19, read_vgg


@dataclass
class Judges:
    """Ask independent judges which material the results show, and whether the object is still there. Results are made
    by the public call: the style's region is found by the network.

    unistyle evaluate judges --data DATA/fmd
    unistyle evaluate judges --data DATA/fmd --sizes 256 512 1024 --strengths 0.5 0.7 1 --pairs 60 --out rows.csv
    """

    data: Path = argument(metavar="FOLDER")
    """Folder with image/MATERIAL/STEM.jpg, mask/MATERIAL/STEM.png, train.txt and val.txt (docs/data.md)."""
    methods: list[str] = argument(
        ["photo", "network"], nargs="+", choices=("photo", "network", "whole", "gatys")
    )
    """What restyles: nothing (the untouched photo); the public call; the network blind to regions; the Gatys
    optimisation, always at 256 pixels."""
    sizes: list[int] = argument([256], nargs="+", type=whole_number(64), metavar="PIXELS")
    """Longer sides of the photos that the network restyles. All are judged at 256."""
    strengths: list[float] = argument(
        [1.0], nargs="+", type=number(float, 0, 1, "a number from 0 to 1"), metavar="X"
    )
    """Strengths of the network. Several show how much of the object each share of new material costs."""
    pairs: int = argument(90, type=whole_number(1))
    """How many pairs: a photo of val with a style photo of train."""
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
    """Where the fitted judges, and results of the Gatys method, are kept."""
    out: Path | None = argument(None, type=ROWS, metavar="FILE")
    """Also write one row for each method and pair, as .csv or .json."""


def methods_of(settings: Judges, model: UniStyle, vgg: VGG19) -> Iterator[tuple[str, int, Method]]:
    """Title, longer side of the photo, and method of every column."""
    for name in settings.methods:
        if name == "network":
            for size in settings.sizes:
                for strength in settings.strengths:
                    yield f"{size} px, {strength:g}", size, public_method(model, strength)
        elif name == "whole":
            yield "whole", 256, whole_method(model.network)
        elif name == "gatys":
            yield "gatys", 256, gatys_method(vgg, GatysConfig(iterations=60), settings.cache / "gatys")
        else:
            yield "photo", 256, photo_method


def ask(settings: Judges) -> None:
    """Fit the judges as far as the cache does not hold them, and print what they say of every method."""
    val, train = (annotated_split(settings.data, split) for split in ("val", "train"))
    pairs = make_pairs(val, train, settings.pairs, settings.seed)
    styles = {pair.style.path for pair in pairs}  # which the judges must not have seen
    vgg = read_vgg(settings.vgg_weights)
    model = UniStyle.from_pretrained(settings.checkpoint, pick_device("cpu"))
    judge = two_judges(materials_of(settings.data / "image"), settings.resnet18, settings.lite2)
    fitted(judge, [photo for photo in train if photo.path not in styles], settings.cache, Bars())
    objects = ObjectJudge(settings.lite2)
    print(f"the judge names {judge_accuracy(judge, val):.3f} of the {len(val)} photos of val", flush=True)
    rows: list[Row] = []
    table: list[Row] = []
    for title, size, method in methods_of(settings, model, vgg):
        own = list(judged_rows(tqdm(pairs, desc=title), method, judge, objects, vgg, size))
        for row in own:
            named: Row = {"method": title}
            rows.append(named | row)
        table.append(_means(title, own))
    print(columns(table))
    if len(settings.sizes) > 1 and "network" in settings.methods:
        own = list(size_rows(tqdm(pairs, desc="sizes"), public_method(model), vgg, settings.sizes))
        middle = summary(own)["sizes"]["median"]
        print(f"sizes alike: median Gram distance between {settings.sizes[0]} px and the others {middle:.3f}")
    if settings.out:
        write_rows(rows, settings.out)


def _means(title: str, rows: list[Row]) -> Row:
    """Means of what the judges say, medians of distances."""
    about = summary(rows)
    kinds = {name: "mean" if name in ("new", "old", "probability", "object") else "median" for name in about}
    row: Row = {"method": title, "pairs": len(rows)}
    return row | {name: about[name][kind] for name, kind in kinds.items()}
