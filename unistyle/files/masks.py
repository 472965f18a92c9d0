"""Masks as they are used: grey, white where to restyle. Pictures of labels, which look like masks, are refused."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageChops

from unistyle.errors import ImageError
from unistyle.files.decoding.tiff import readable
from unistyle.files.photos import Photo, mask_from_pil, read_photo
from unistyle.files.places import Place

COLORED = 48  # of 255 between two channels; what a camera or JPEG adds to a grey is less
STRAY = 0.001  # share of the pixels that may be coloured all the same
DARK = 64  # values below are those of labels, or of nothing to speak of
FEW = 12  # values that a picture of labels has; soft masks have more
WANTED = "wanted white (255) where to restyle, black (0) elsewhere"


def usable_mask(path: str | Place) -> Image.Image:
    """The mask in a file as 8-bit grey: white = inside, transparent = outside. Raises ImageError, "PATH: REASON", for
    a file that is no image, and for one that is a picture of labels (`checked`)."""
    photo = read_photo(path)
    try:
        mask = checked(photo)
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from error
    if mask.getextrema() == (0, 0) and (top := _deep_top(path)):
        raise ImageError(f"{path}: the mask is all but black: values 0 to {top} of 65535; {WANTED} (65535)")
    return mask


def checked(mask: Photo | Image.Image) -> Image.Image:
    """A mask of any mode as 8-bit grey: white = inside, transparent = outside.

    Raises ImageError for what is a picture of labels instead: in colours, as with a palette, or with a few values next
    to 0, such as 0 and 1. Nothing would be restyled with it, or everything a little. A mask that is black is one.
    """
    grey = mask_from_pil(mask)
    if not (isinstance(mask, Image.Image) and mask.mode in ("1", "L", "LA")):
        _refuse_colors(mask.srgb if isinstance(mask, Photo) else mask.convert("RGB"), grey)
    counts = grey.histogram()
    values = [value for value in range(1, 255) if counts[value]]  # 255 may stand for what has no label
    if values and len(values) <= FEW and values[-1] < DARK and sum(counts[1:DARK]) > counts[255]:
        raise ImageError(f"the mask is all but black: values 0 to {values[-1]} of 255; {WANTED}")
    return grey


def _refuse_colors(rgb: Image.Image, grey: Image.Image) -> None:
    """grey: the mask that it would be, black where it is transparent."""
    red, green, blue = rgb.split()
    spread = ImageChops.lighter(ImageChops.difference(red, green), ImageChops.difference(green, blue))
    if not sum(spread.histogram()[COLORED:]):
        return
    colored = (np.asarray(spread) >= COLORED) & (np.asarray(grey) > 0)
    if colored.mean() > STRAY:
        row, column = np.argwhere(colored)[0]
        color = rgb.getpixel((int(column), int(row)))
        raise ImageError(f"the mask is in colours, as pictures of labels are, such as {color}; {WANTED}")


def _deep_top(path: str | Place) -> int:
    """The largest value of a grey picture of 16 bits; 0 for other pictures."""
    with (
        (Path(path) if isinstance(path, str) else path).open("rb") as file,
        Image.open(readable(file)) as image,
    ):
        return int(np.asarray(image).max()) if image.mode.startswith("I") else 0
