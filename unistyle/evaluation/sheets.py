"""Pictures to look at: photos against styles, and masks that failed, sorted by the kind of failure."""

from collections.abc import Iterable, Sequence

from PIL import Image, ImageDraw

from unistyle.data.labelled import LabelledPhoto
from unistyle.files.photos import read_image, read_mask
from unistyle.files.tensors import to_tensor
from unistyle.maths.masks import AREA, has_boundary
from unistyle.restyle.pipeline import UniStyle


def page(titles: Sequence[str], rows: Sequence[Sequence[Image.Image]], cell: int) -> Image.Image:
    """Rows of pictures below their titles, each `cell` pixels wide and three quarters as high."""
    height, title = cell * 3 // 4, 16
    sheet = Image.new("RGB", (cell * len(titles), title + height * len(rows)), "white")
    for column, text in enumerate(titles):
        ImageDraw.Draw(sheet).text((column * cell + 4, 2), text, fill="black")
    for y, row in enumerate(rows):
        for x, image in enumerate(row):
            sheet.paste(image.convert("RGB").resize((cell, height)), (x * cell, title + y * height))
    return sheet


def sheet_photos(photos: Iterable[LabelledPhoto]) -> list[LabelledPhoto]:
    """The first photo of each material that shows an object, and not the material alone."""
    chosen = {}
    for photo in photos:
        mask = to_tensor(read_mask(photo.mask))
        if has_boundary(mask > 0.5) and mask.mean() >= AREA:
            chosen.setdefault(photo.label, photo)
    return list(chosen.values())


def contact_sheet(
    model: UniStyle, photos: Iterable[LabelledPhoto], styles: Sequence[str], cell=320
) -> Image.Image:
    """A photo a row with the mask found, a style of the bank a column."""
    rows = []
    for photo in photos:
        results = [model.restyle(photo.path, to=style) for style in styles]
        rows.append([read_image(photo.path), results[0].mask, *(result.image for result in results)])
    return page(["photo", "mask", *styles], rows, cell)
