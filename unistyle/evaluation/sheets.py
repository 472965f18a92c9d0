"""Contact sheets: photos against styles, and a style bank as one picture.

Two layouts over one drawing function: `page` is a table below titles, and `bank_page` is blocks of pictures with
captions below them.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from unistyle.data.labelled import LabelledPhoto
from unistyle.files.photos import photo_from_pil, read_image, read_mask
from unistyle.files.tensors import to_tensor
from unistyle.maths.masks import AREA, has_boundary
from unistyle.restyle.pipeline import UniStyle

FONT = 13  # pixels of the letters
LINE = 16  # pixels from one line of text to the next
SIDE = 192  # pixels of the longer side of a picture of `bank_page`
SEEN = 2 * SIDE  # at which the network sees the photo: at SIDE itself grain is coarse and shapes are lost
COLUMNS = 6  # pictures in a row of `bank_page` at most
GAP = 12  # pixels around that page and between styles that share a row; a third of it between pictures
BLACK, GREY = "black", "#666"


class Text(NamedTuple):
    """A line of text on a sheet. What is wider than `width` pixels loses its middle."""

    corner: tuple[int, int]
    text: str
    width: int
    colour: str = BLACK


def _drawn(
    size: tuple[int, int], pictures: Iterable[tuple[tuple[int, int], Image.Image]], texts: Iterable[Text]
) -> Image.Image:
    """A white sheet with pictures and texts, each at its upper left corner."""
    sheet, font = Image.new("RGB", size, "white"), ImageFont.load_default(FONT)
    for corner, picture in pictures:
        sheet.paste(picture.convert("RGB"), corner)
    draw = ImageDraw.Draw(sheet)
    for corner, text, width, colour in texts:
        draw.text(corner, shorten(text, width, font), fill=colour, font=font)
    return sheet


def shorten(text: str, width: float, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """A text in one line of at most `width` pixels: what is too long loses its middle."""
    text = short = " ".join(text.split())
    keep = len(text)
    while keep > 1 and font.getlength(short) > width:
        keep -= 1
        short = f"{text[: -(-keep // 2)].rstrip()}…{text[len(text) - keep // 2 :].lstrip()}"
    return short


def page(
    titles: Sequence[str], rows: Sequence[Sequence[Image.Image]], cell: int, gap: int = 0
) -> Image.Image:
    """Rows of pictures below their titles, each `cell` pixels wide and three quarters as high, `gap` pixels apart."""
    width, height = cell + gap, cell * 3 // 4 + gap
    texts = [Text((column * width + 4, 0), title, cell - 8) for column, title in enumerate(titles)]
    pictures = [
        ((x * width, LINE + y * height), image.resize((cell, cell * 3 // 4)))
        for y, row in enumerate(rows)
        for x, image in enumerate(row)
    ]
    return _drawn((width * len(titles) - gap, LINE + height * len(rows) - gap), pictures, texts)


def sheet_photos(photos: Iterable[LabelledPhoto]) -> list[LabelledPhoto]:
    """The first photo of each material that shows an object, and not the material alone."""
    chosen: dict[int, LabelledPhoto] = {}
    for photo in photos:
        mask = to_tensor(read_mask(photo.mask_path))
        if has_boundary(mask > 0.5) and mask.mean() >= AREA:
            chosen.setdefault(photo.label, photo)
    return list(chosen.values())


def contact_sheet(
    model: UniStyle, photos: Iterable[LabelledPhoto], styles: Sequence[str], cell: int = 320
) -> Image.Image:
    """One row for each photo: the photo, the mask found, and the photo in each of some styles of the bank."""
    rows = []
    for photo in photos:
        results = [model.restyle(photo.path, to=style) for style in styles]
        seen = (photo_from_pil(result.image).srgb for result in results)
        rows.append([read_image(photo.path), results[0].mask, *seen])
    return page(["photo", "mask", *styles], rows, cell)


class Cell(NamedTuple):
    """A picture, and the two lines under it."""

    image: Image.Image
    title: str
    text: str = ""


def bank_sheet(model: UniStyle, photo: Image.Image) -> Image.Image:
    """A style bank as one picture: the RGB photo, then the photo restyled as a whole with every exemplar.

    A checkpoint holds the codes of its exemplars and not their photos, so this is what can be seen of them. Styles
    come in the bank's order, and each starts a block of its own. Several blocks share a row where all styles are
    short; a long style takes several blocks.
    """
    photo = _within(photo, SEEN)
    everywhere = Image.new("L", photo.size, 255)
    groups = [[Cell(_within(photo, SIDE), "photo")]]
    for style in model.bank.styles:
        names = [model.bank.names[row] for row in model.bank.rows(style)]
        images = (model.restyle(photo, "/".join(name), everywhere).image for name in names)
        groups.append([Cell(_within(i, SIDE), *name) for i, name in zip(images, names, strict=True)])
    block = min(COLUMNS, max(map(len, groups)))
    return bank_page([group[i : i + block] for group in groups for i in range(0, len(group), block)], block)


def _within(image: Image.Image, side: int) -> Image.Image:
    image = image.copy()
    image.thumbnail((side, side))
    return image


def bank_page(blocks: Sequence[Sequence[Cell]], block: int) -> Image.Image:
    """Blocks of at most `block` cells side by side, as many blocks in a row as there is room for."""
    beside, step = max(1, COLUMNS // block), SIDE + GAP // 3
    across = block * step - GAP // 3 + GAP
    down = max(cell.image.height for cells in blocks for cell in cells) + 2 * LINE + GAP
    placed = [
        ((GAP + i % beside * across + k * step, GAP + i // beside * down), cell)
        for i, cells in enumerate(blocks)
        for k, cell in enumerate(cells)
    ]
    size = GAP + min(beside, len(blocks)) * across, GAP + -(-len(blocks) // beside) * down
    texts = [text for corner, cell in placed for text in _captions(corner, cell)]
    return _drawn(size, [(corner, cell.image) for corner, cell in placed], texts)


def _captions(corner: tuple[int, int], cell: Cell) -> list[Text]:
    x, y = corner[0], corner[1] + cell.image.height + 2
    return [Text((x, y), cell.title, SIDE), Text((x, y + LINE), cell.text, SIDE, GREY)]
