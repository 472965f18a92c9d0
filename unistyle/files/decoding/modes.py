"""Images as Pillow holds them, of any mode, as plain ones: 8 bits, colours not multiplied by the opacity."""

import numpy as np
from PIL import Image

from unistyle.files.decoding import png, samples, tiff
from unistyle.files.decoding.directories import Tag
from unistyle.files.decoding.layout import MIN_IS_WHITE

# Formats of which Pillow scales whole numbers of mode I to 16 bits.
SCALED = ("PNG", "PPM")
# Formats in which programs leave the opacity zero where they mean none; no photo is wholly transparent.
CARELESS = ("TGA", "BMP", "DIB", "ICO", "CUR")


def plain(image: Image.Image) -> Image.Image:
    """The picture of an image with samples of 8 bits that are what its file says, and with an honest opacity.

    What Pillow has right is given back as it is; the given image stays as it was. `info` goes along. Raises ImageError
    for samples of which the white is not known, and for files that are not read.
    """
    if image.format == "TIFF":
        image = _reopened(image)
    elif image.format == "PNG":
        image = png.with_its_opacity(image)
    elif image.format in CARELESS:
        return _opaque(image)
    if image.mode.startswith("I") or image.mode == "F":
        return _eight_bits(image)
    return image.convert("LA") if image.mode == "La" else image


def _reopened(image: Image.Image) -> Image.Image:
    """A TIFF image that somebody opened and has not read yet, in the file that stands for it."""
    file = getattr(image, "fp", None)
    if file is None or not getattr(image, "tile", None):
        return image
    place = file.tell()
    other = tiff.readable(file, image.tell() or None)
    file.seek(place)
    return image if other is file else Image.open(other, formats=["TIFF"])


def _opaque(image: Image.Image) -> Image.Image:
    """An image without its opacity where that is zero everywhere, or where a Targa file says that it has none."""
    if image.mode not in ("RGBA", "LA"):
        return image
    attributes = _attribute_bits(image) if image.format == "TGA" else None
    if attributes == 0 or image.getchannel("A").getextrema() == (0, 0):
        info, image = image.info, image.convert(image.mode[:-1])
        image.info = dict(info)
    return image


def _attribute_bits(image: Image.Image) -> int | None:
    """How many bits of each pixel the header of a Targa file gives to the opacity; None where the file is closed."""
    file = getattr(image, "fp", None)
    if file is None:
        return None
    place = file.tell()
    file.seek(17)
    attributes = file.read(1)[0] & 15
    file.seek(place)
    return attributes


def _eight_bits(image: Image.Image) -> Image.Image:
    """A grey image of whole numbers or floats: mode L, or LA where one of its values is transparent."""
    values = np.asarray(image)
    grey = _grey(image, values)
    if getattr(image, "tag_v2", {}).get(Tag.PHOTOMETRIC) == MIN_IS_WHITE:
        grey = 255 - grey
    plain = Image.fromarray(grey)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        plain.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    plain.info = {name: value for name, value in image.info.items() if name != "transparency"}
    return plain


def _grey(image: Image.Image, values: np.ndarray) -> np.ndarray:
    what = f"image of mode {image.mode}"
    if image.mode == "F":
        return samples.floats(values, what)
    if image.mode == "I" and image.format not in SCALED:
        return samples.whole_numbers(values, what)
    # A TIFF file that was read already still says how many of the 16 bits are used.
    bits = getattr(image, "tag_v2", {}).get(Tag.BITS, (16,))[0]
    low, high = int(values.min()), int(values.max())
    if not 8 < bits <= 16 or low < 0 or high >= 1 << bits:
        raise samples.out_of_range(what, low, high, f"whole numbers of {bits} bits")
    return samples.eight_bits(values, bits)
