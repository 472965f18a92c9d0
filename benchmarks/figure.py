"""The figure of the README: sample photos, the masks found, and the photos in several materials.

    python docs/make_figure.py --out docs/figure.jpg

A row a photo; columns: photo, mask, then a material of the bank each.
"""

import argparse
from pathlib import Path

from PIL import Image, ImageDraw, ImageOps

from unistyle import UniStyle
from unistyle.files.samples import sample_photos

ROOT = Path(__file__).parent.parent

MATERIALS = ("stone", "wood", "metal", "foliage", "water", "leather")


def row(model: UniStyle, path: Path, materials: tuple[str, ...], cell: tuple[int, int]) -> list[Image.Image]:
    """Photo, mask, and the photo in each material, cells of (width, height)."""
    photo = ImageOps.fit(Image.open(path).convert("RGB"), (512, 384), Image.Resampling.LANCZOS)
    results = [model.restyle(photo, to=name) for name in materials]
    images = [photo, results[0].mask.convert("RGB"), *(result.image for result in results)]
    return [image.resize(cell, Image.Resampling.LANCZOS) for image in images]


def sheet(rows: list[list[Image.Image]], titles: list[str], gap: int = 4, head: int = 18) -> Image.Image:
    """Rows of cells below their titles."""
    width, height = rows[0][0].size
    page = Image.new("RGB", (len(titles) * (width + gap), head + len(rows) * (height + gap)), "white")
    draw = ImageDraw.Draw(page)
    for column, title in enumerate(titles):
        draw.text((column * (width + gap) + 4, 3), title, fill="black")
        for line, cells in enumerate(rows):
            page.paste(cells[column], (column * (width + gap), head + line * (height + gap)))
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", default=ROOT / "checkpoints/unistyle-materials.safetensors")
    parser.add_argument("--materials", nargs="+", default=MATERIALS, help="styles of the bank")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/figure.jpg")
    args = parser.parse_args()
    model = UniStyle.from_pretrained(args.checkpoint)
    rows = [row(model, path, tuple(args.materials), (208, 156)) for path in sample_photos()]
    sheet(rows, ["photo", "mask", *args.materials]).save(args.out, quality=88)


if __name__ == "__main__":
    main()
