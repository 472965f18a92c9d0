"""How well materials are told apart, by checkpoints before and after `unistyle train vocabulary`.

    python -m benchmarks.new_materials checkpoints/unistyle-materials.safetensors found.safetensors \\
        --data DATA/fmd --photos rest

A material is found rightly in a photo where no other one covers more of it. For each checkpoint this prints how many
annotated photos of `val` are right, which of them are taken for a new material, the mean IU of the masks on the photos
with a boundary, and how many photos of each new material are right.
"""

import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from unistyle.checkpoint.checkpoint import load_checkpoint
from unistyle.commands.arguments import argument, parser_of, read, run
from unistyle.data.labelled import material_photos, materials_of
from unistyle.evaluation.measures import evaluate_masks
from unistyle.evaluation.pairs import annotated_split
from unistyle.network.model import UniStyleNetwork
from unistyle.training.materials.vocabulary import largest

NAME = "python -m benchmarks.new_materials"


@dataclass
class Settings:
    """Measure how well materials are told apart, before and after `unistyle train vocabulary`.

    python -m benchmarks.new_materials before.safetensors after.safetensors --data DATA/fmd --photos rest
    """

    checkpoints: list[str] = argument(positional=True, nargs="+", metavar="CHECKPOINT")
    """File, folder or hub id."""
    data: Path = argument(metavar="FOLDER")
    """Folder with image/MATERIAL/STEM.jpg, mask/MATERIAL/STEM.png, train.txt and val.txt."""
    photos: Path | None = argument(None, metavar="FOLDER")
    """One folder for each new material, with photos that were not trained on."""


def old_line(network: UniStyleNetwork, data: Path) -> str:
    """What becomes of the annotated photos of `val`."""
    val, old = annotated_split(data, "val"), materials_of(data / "image")
    bounded = [float(row["mean_iu"]) for row in evaluate_masks(network, val) if row["boundary"]]
    found = [largest(network, photo) for photo in val]
    right = sum(material == photo.path.parent.name for material, photo in zip(found, val, strict=True))
    taken = dict(Counter(material for material in found if material not in old))
    average = sum(bounded) / len(bounded) if bounded else float("nan")
    return f"old materials {right} of {len(val)}, taken for new ones {taken}, mean IU {average:.4f}"


def new_lines(network: UniStyleNetwork, folder: Path) -> list[str]:
    """What is found in the photos of each new material."""
    lines, photos = [], material_photos(folder)
    for label, material in enumerate(materials_of(folder)):
        own = Counter(largest(network, photo) for photo in photos if photo.label == label)
        lines.append(f"  {material}: {own[material]} of {own.total()}; {dict(own.most_common(4))}")
    return lines


def measure(settings: Settings) -> None:
    for name in settings.checkpoints:
        network = load_checkpoint(name).network
        print(f"{name}: {old_line(network, settings.data)}")
        for line in new_lines(network, settings.photos) if settings.photos else ():
            print(line)


def main(argv: list[str] | None = None) -> int:
    return run(NAME, lambda: measure(read(parser_of(NAME, Settings), Settings, argv)))


if __name__ == "__main__":
    sys.exit(main())
