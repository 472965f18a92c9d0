"""The figure of the README: sample photos, the masks found, and the photos in several materials.

    python -m benchmarks.figure --out docs/figure.jpg
    python -m benchmarks.figure --out docs/sheet.jpg --materials all
    python -m benchmarks.figure --out sheet.jpg --materials all --photos a.jpg b.jpg

There is one row for each photo. Its columns are the photo, the mask, and the photo in each of the materials.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

from unistyle import UniStyle
from unistyle.checkpoint.shipped import default_checkpoint
from unistyle.commands.arguments import argument, parser_of, read, run
from unistyle.evaluation.sheets import page
from unistyle.files.photos import read_image
from unistyle.files.samples import sample_photos

NAME = "python -m benchmarks.figure"
MATERIALS = ["stone", "wood", "metal", "foliage", "water", "leather"]
CELL, GAP = 208, 4  # pixels of each picture, and between them


@dataclass
class Settings:
    """Draw sample photos, the masks found, and the photos in several materials.

    python -m benchmarks.figure --out docs/figure.jpg
    """

    out: Path = argument(Path("docs/figure.jpg"), metavar="JPEG")
    """The picture to write."""
    checkpoint: str = argument(default_checkpoint(), metavar="PATH")
    """File, folder or hub id."""
    materials: list[str] = argument(MATERIALS, nargs="+", metavar="STYLE")
    """Styles of the bank; `all` takes every one."""
    photos: list[Path] = argument([], nargs="+", metavar="FILE")
    """The photos, in place of scikit-image's."""


def row(model: UniStyle, path: Path, materials: Sequence[str]) -> list[Image.Image]:
    """Photo, mask, and the photo in each material."""
    photo = ImageOps.fit(read_image(path), (512, 384), Image.Resampling.LANCZOS)
    results = [model.restyle(photo, to=name) for name in materials]
    return [photo, results[0].mask, *(result.image for result in results)]


def sheet(model: UniStyle, photos: Sequence[Path], materials: Sequence[str]) -> Image.Image:
    """The rows of some photos below their titles."""
    rows = [row(model, path, materials) for path in photos]
    return page(["photo", "mask", *materials], rows, CELL, GAP)


def draw(settings: Settings) -> None:
    model = UniStyle.from_pretrained(settings.checkpoint)
    materials = model.styles if settings.materials == ["all"] else settings.materials
    sheet(model, settings.photos or sample_photos(), materials).save(settings.out, quality=88)


def main(argv: list[str] | None = None) -> int:
    return run(NAME, lambda: draw(read(parser_of(NAME, Settings), Settings, argv)))


if __name__ == "__main__":
    sys.exit(main())
