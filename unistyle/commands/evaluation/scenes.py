"""What photos are made of, measured: `unistyle evaluate scenes`."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import yaml
from tqdm import tqdm

from unistyle.checkpoint.shipped import default_checkpoint
from unistyle.commands.arguments import ROWS, argument, whole_number
from unistyle.data.composites import composites
from unistyle.devices import pick_device
from unistyle.errors import UsageError
from unistyle.evaluation.pairs import annotated_split
from unistyle.evaluation.rows import columns, write_rows
from unistyle.evaluation.scenes import (
    counts_of,
    list_scenes,
    named_right,
    pick_sets,
    set_row,
    single_material,
)
from unistyle.restyle.pipeline import UniStyle


@dataclass
class Scenes:
    """Compare the materials that are found with scenes labelled pixel by pixel, and with composites whose labels are
    exact.

    unistyle evaluate scenes --data DATA/scenes --annotated DATA/fmd
    """

    data: Path = argument(metavar="FOLDER")
    """Folder with image/NAME.jpg and label/NAME.png (docs/data.md)."""
    annotated: Path | None = argument(None, metavar="FOLDER")
    """Also measure photos of one material, named in val.txt of this folder, and composites of them."""
    sets: Path = argument(Path("configs/scenes.yaml"), metavar="YAML")
    """Names of the labels, and the sets that are scored apart."""
    composites: int = argument(60, type=whole_number(1), metavar="N")
    """How many composites."""
    seed: int = 0
    """Seed of the composites."""
    checkpoint: str = argument(default_checkpoint(), metavar="PATH")
    """File, folder or hub id."""
    device: str = "cpu"
    """auto, cpu, cuda, cuda:1, mps."""
    out: Path | None = argument(None, type=ROWS, metavar="FILE")
    """Also write one row for each set, as .csv or .json."""


def read_sets(path: Path) -> tuple[list[str], dict]:
    """The names of the labels, and the patterns of each set. Raises UsageError for a file that does not hold them."""
    try:
        about = yaml.safe_load(path.read_text())
        names, sets = about["materials"], about["sets"]
        list(names), {name: dict(patterns) for name, patterns in sets.items()}
    except (yaml.YAMLError, TypeError, KeyError, ValueError, AttributeError) as error:
        raise UsageError(
            f"{path}: wanted materials (a list) and sets (take and leave for each), as in configs/scenes.yaml; got "
            f"{type(error).__name__}: {error}"
        ) from error
    return names, sets


def score_scenes(settings: Scenes) -> None:
    """Print the scores of each set of scenes, of photos of one material, and of composites."""
    names, sets = read_sets(settings.sets)
    scenes = list_scenes(settings.data)
    chosen = pick_sets(scenes, sets)
    device = pick_device(settings.device)
    network = UniStyle.from_pretrained(settings.checkpoint, device).network
    score = partial(counts_of, network, names=names)
    counts = list(score(tqdm((scene.read() for scene in scenes), total=len(scenes), desc="scenes")))
    rows = [set_row(name, [counts[i] for i in rows], names) for name, rows in chosen.items()]
    if settings.annotated:
        photos = annotated_split(settings.annotated, "val")
        single = list(score(tqdm(single_material(photos), total=len(photos), desc="one material"), main=True))
        rows.append(set_row("one material", single, names))
        made = composites(photos, settings.composites, settings.seed)
        mixed = list(score(tqdm(made, total=settings.composites, desc="composites")))
        rows.append(set_row("composites", mixed, names))
        print(f"photos of one material named right: {sum(map(named_right, single))} of {len(photos)}")
    print(columns(rows))
    if settings.out:
        write_rows(rows, settings.out)
