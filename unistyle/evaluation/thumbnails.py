"""A style bank as one picture: a photo restyled as a whole with every exemplar.

A checkpoint holds the codes of its exemplars and not their photos, so this is what can be seen of them.
"""

from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from unistyle.restyle.pipeline import UniStyle

SIDE = 192  # pixels of a thumbnail's longer side
SEEN = 2 * SIDE  # at which the network sees the photo: at SIDE itself grain is coarse and shapes are lost
COLUMNS = 6  # thumbnails in a row at most
GAP = 12  # pixels around the page and between styles that share a row; a third of it between thumbnails
FONT = 13  # pixels of the letters
LINE = 16  # pixels from one line of text to the next


class Cell(NamedTuple):
    """A picture, and the two lines under it."""

    image: Image.Image
    title: str
    text: str = ""


def thumbnails(model: UniStyle, photo: Image.Image) -> Image.Image:
    """The page: the RGB photo, then the styles in the bank's order, an exemplar a thumbnail. A style starts a block of
    its own: several blocks share a row where all styles are short, and a long style takes several."""
    photo = _within(photo, SEEN)
    everywhere = Image.new("L", photo.size, 255)
    groups = [[Cell(_within(photo, SIDE), "photo")]]
    for style in model.bank.styles:
        names = [model.bank.names[row] for row in model.bank.rows(style)]
        images = (model.restyle(photo, "/".join(name), everywhere).image for name in names)
        groups.append([Cell(_within(i, SIDE), *name) for i, name in zip(images, names, strict=True)])
    block = min(COLUMNS, max(map(len, groups)))
    return page([group[i : i + block] for group in groups for i in range(0, len(group), block)], block)


def _within(image: Image.Image, side: int) -> Image.Image:
    image = image.copy()
    image.thumbnail((side, side))
    return image


def page(blocks: list[list[Cell]], block: int) -> Image.Image:
    """Blocks of at most `block` cells side by side, as many in a row as there is room for, on white."""
    beside, step = max(1, COLUMNS // block), GAP // 3
    across = block * (SIDE + step) - step + GAP
    down = max(cell.image.height for cells in blocks for cell in cells) + 2 * LINE + GAP
    size = GAP + min(beside, len(blocks)) * across, GAP + -(-len(blocks) // beside) * down
    sheet = Image.new("RGB", size, "white")
    for i, cells in enumerate(blocks):
        row, column = divmod(i, beside)
        for k, cell in enumerate(cells):
            _draw(sheet, cell, (GAP + column * across + k * (SIDE + step), GAP + row * down))
    return sheet


def _draw(sheet: Image.Image, cell: Cell, corner: tuple[int, int]) -> None:
    (x, y), font, draw = corner, ImageFont.load_default(FONT), ImageDraw.Draw(sheet)
    sheet.paste(cell.image, corner)
    for i, (text, colour) in enumerate(((cell.title, "black"), (cell.text, "#666"))):
        draw.text(
            (x, y + cell.image.height + 2 + i * LINE), shorten(text, SIDE, font), fill=colour, font=font
        )


def shorten(text: str, width: float, font: ImageFont.FreeTypeFont) -> str:
    """A text in one line of at most `width` pixels: what is too long loses its middle."""
    text = short = " ".join(text.split())
    keep = len(text)
    while keep > 1 and font.getlength(short) > width:
        keep -= 1
        short = f"{text[: -(-keep // 2)].rstrip()}…{text[len(text) - keep // 2 :].lstrip()}"
    return short
