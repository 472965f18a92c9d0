"""Image files from images: the formats of results."""

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from unistyle.errors import ImageError
from unistyle.files.about import with_density
from unistyle.files.atomic import atomic

try:
    from isal import isal_zlib
except (
    ImportError
):  # on processors that it is not made for: files are as large and take two to three times as long
    isal_zlib = None  # type: ignore[assignment]

FORMATS = {"png": ".png", "webp": ".webp", "jpg": ".jpg"}  # what results are written as, and their endings
SIDES = {"webp": 16383, "jpg": 65500}  # pixels a side at most, in libwebp and libjpeg
COLOR_TYPES = {"L": 0, "RGB": 2, "LA": 4, "RGBA": 6}  # Pillow's modes of 8 bits a channel in a PNG's header
UP = 2  # the PNG filter that keeps the difference to the row above
INCH = 0.0254  # metres
STRIP = 1 << 20  # bytes compressed at a time
LONGEST_EXIF = 65533  # bytes of a JPEG segment
LONGEST_XMP = LONGEST_EXIF - len(b"http://ns.adobe.com/xap/1.0/\0")
DENSEST_JPG = 65535  # pixels per inch


def encode_image(image: Image.Image, format: str = "png") -> bytes:
    """The bytes of an image file; what `image.info` has of icc_profile, exif, xmp (bytes) and dpi (across, down) goes
    with it.

    image: of mode L, LA, RGB or RGBA. format: png and webp are equal to the image to the bit, also under
    transparency; jpg is not (quality 95, 4:4:4), and lays transparency over white. Raises ImageError for
    another mode or a size that the format cannot hold, ValueError for another format.
    """
    if format not in FORMATS:
        raise ValueError(f"got format {format!r}; wanted one of {', '.join(FORMATS)}")
    if image.mode not in COLOR_TYPES:
        raise ImageError(f"image of mode {image.mode}; wanted {', '.join(COLOR_TYPES)}: convert it")
    if max(image.size) > SIDES.get(format, max(image.size)):
        size = f"{image.width}x{image.height} pixels"
        raise ImageError(f"{size}, and {format} holds at most {SIDES[format]} a side; give --format png")
    along = _Along(*(image.info.get(name) for name in ("icc_profile", "exif", "xmp", "dpi")))
    return {"png": _png, "webp": _webp, "jpg": _jpg}[format](image, along)


class _Along(NamedTuple):
    """What goes with an image."""

    profile: bytes | None
    exif: bytes | None
    xmp: bytes | None
    density: tuple[float, float] | None


def _webp(image: Image.Image, along: _Along) -> bytes:
    # In lossless files the quality is effort; more of it, or a higher method, takes several times as long for 8 %.
    buffer, effort = io.BytesIO(), {"method": 0, "quality": 0}
    exif = with_density(along.exif, along.density) if along.density else along.exif
    about = {"icc_profile": along.profile, "exif": exif or b"", "xmp": along.xmp or b""}
    image.save(buffer, "WEBP", lossless=True, exact=True, **about, **effort)
    return buffer.getvalue()


def _jpg(image: Image.Image, along: _Along) -> bytes:
    if image.mode in ("LA", "RGBA"):
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    exif, xmp, density = along.exif or b"", along.xmp or b"", along.density or (0, 0)
    about = {
        "icc_profile": along.profile,
        "exif": exif if len(exif) <= LONGEST_EXIF else b"",
        "xmp": xmp if len(xmp) <= LONGEST_XMP else b"",
        "dpi": density if max(density) <= DENSEST_JPG else (0, 0),
    }
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95, subsampling="4:4:4", **about)
    return buffer.getvalue()


def _png(image: Image.Image, along: _Along) -> bytes:
    """Five times as fast as Pillow's level 1, for files as large (python -m benchmarks.encoders)."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", *image.size, 8, COLOR_TYPES[image.mode], 0, 0, 0))]
    if along.profile:
        chunks.append((b"iCCP", b"ICC profile\0\0" + zlib.compress(along.profile)))
    if along.density:
        per_metre = (round(number / INCH) for number in along.density)
        chunks.append((b"pHYs", struct.pack(">IIB", *per_metre, 1)))
    if along.exif:
        chunks.append((b"eXIf", along.exif.removeprefix(b"Exif\0\0")))
    if along.xmp:
        chunks.append((b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + along.xmp))
    chunks += [(b"IDAT", data) for data in _deflate(image)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*c) for c in [*chunks, (b"IEND", b"")])


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(name)))


def _deflate(image: Image.Image) -> Iterator[bytes]:
    """The rows of an image, filtered and compressed, in pieces.

    NumPy and the compressor let other threads run meanwhile.
    """
    rows, packer = np.asarray(image).reshape(image.height, -1), _packer()
    above, step = np.zeros_like(rows[0]), max(1, STRIP // rows.shape[1])
    for top in range(0, len(rows), step):
        strip = rows[top : top + step]
        filtered = np.full((len(strip), 1 + rows.shape[1]), UP, np.uint8)
        np.subtract(strip, np.vstack([above, strip[:-1]]), out=filtered[:, 1:])
        above = strip[-1]
        if data := packer.compress(filtered):
            yield data
    yield packer.flush()


def _packer():
    """A compressor of zlib's format. Differences of photos hold few repeats but zeros, so that zlib itself is to look
    for runs alone."""
    return isal_zlib.compressobj(1) if isal_zlib else zlib.compressobj(1, strategy=zlib.Z_RLE)


def save_png(image: Image.Image, path: str | Path) -> None:
    """Write a PNG, complete or not at all; what `image.info` has goes with it as in `encode_image`."""
    with atomic(path) as temporary:
        temporary.write_bytes(encode_image(image))
