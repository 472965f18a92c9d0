"""The transparent colour of a PNG file (its chunk tRNS), which Pillow compares with samples that it has changed."""

import numpy as np
from PIL import Image, ImageChops

LOW_BITS = {"L;2": 2, "L;4": 4, "L": 8, "RGB": 8}  # by Pillow's name for how the samples lie
DEEP_COLOURS = "RGB;16B"
LOWER_BYTES = "RGB;16L"  # reads the lower byte where `DEEP_COLOURS` reads the upper one


def with_its_opacity(image: Image.Image) -> Image.Image:
    """A PNG file as Pillow opened it, with the transparent colour as its samples are: of 2 and 4 bits scaled like them,
    and of colours of 16 bits compared in full.

    The image is given back where Pillow has it right, and where its pixels are read already.
    """
    colour, tile = image.info.get("transparency"), getattr(image, "tile", None)
    if colour is None or not tile or image.mode not in ("L", "RGB"):
        return image
    rawmode = tile[0][3] if isinstance(tile[0][3], str) else tile[0][3][0]
    if rawmode == DEEP_COLOURS and not image.tell():
        return _of_deep_colours(image, colour)
    if rawmode not in LOW_BITS:
        return image
    top = (1 << LOW_BITS[rawmode]) - 1
    scaled = tuple(
        (value & top) * 255 // top for value in np.atleast_1d(colour).tolist()
    )  # only these bits count
    image = image.copy()
    image.info["transparency"] = scaled if image.mode == "RGB" else scaled[0]
    return image


def _of_deep_colours(image, colour: tuple[int, int, int]) -> Image.Image:
    """The image with an opacity that is 0 where both bytes of all three samples are those of the colour."""
    place = image.fp.tell()
    with Image.open(image.fp) as lower:
        lower.tile = [tile._replace(args=LOWER_BYTES) for tile in lower.tile]
        lower.load()
    image.fp.seek(place)
    upper = image.copy()
    opacity = Image.new("L", image.size)
    for picture, shift in ((upper, 8), (lower, 0)):
        for band, value in zip(picture.split(), colour, strict=True):
            differs = band.point([255 * (number != value >> shift & 255) for number in range(256)])
            opacity = ImageChops.lighter(opacity, differs)
    upper.putalpha(opacity)
    del upper.info["transparency"]
    return upper
