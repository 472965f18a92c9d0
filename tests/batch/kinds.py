"""Every kind of photo that people have, and what each has to come to."""

import io
import os
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from tests.batch import kinds_of_samples
from tests.helpers import UPRIGHT, chunk, make_photo, png

PHOTO = make_photo()
DEEP = np.random.default_rng(0).integers(0, 65536, (48, 64, 4), dtype=np.uint16)
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
NOT_UTF8 = os.fsdecode(b"caf\xe9.png")
Kind = Callable[
    [Path], np.ndarray | str
]  # writes a file; returns the pixels that it shows, or why it cannot be used


def stored(image: Image.Image = PHOTO, format: str | None = None, **options) -> Kind:
    """A photo as Pillow writes it, and as it reads it again."""

    def make(path: Path) -> np.ndarray:
        image.copy().save(path, format, **options)  # Pillow leaves settings in what it saves
        with Image.open(path) as file:
            return np.asarray(file.convert("RGBA" if file.has_transparency_data else "RGB"))

    return make


def exact(image: Image.Image, wanted: np.ndarray, **options) -> Kind:
    """A photo as Pillow writes it, and what it has to be read as."""

    def make(path: Path) -> np.ndarray:
        image.copy().save(path, **options)
        return wanted

    return make


def raw(data: bytes, outcome: np.ndarray | str) -> Kind:
    def make(path: Path) -> np.ndarray | str:
        path.write_bytes(data)
        return outcome

    return make


def tiff(values: np.ndarray, outcome: np.ndarray | str, **options) -> Kind:
    def make(path: Path) -> np.ndarray | str:
        tifffile.imwrite(path, values, **options)
        return outcome

    return make


def link(target: Path | str, outcome: np.ndarray | str) -> Kind:
    def make(path: Path) -> np.ndarray | str:
        path.symlink_to(target)
        return outcome

    return make


def turned(orientation: int) -> Kind:
    def make(path: Path) -> np.ndarray:
        exif = Image.Exif()
        exif[0x0112] = orientation
        return UPRIGHT[orientation](stored(exif=exif)(path))

    return make


def heic(path: Path) -> np.ndarray:
    pytest.importorskip("pillow_heif")
    return stored()(path)


def pipe(path: Path) -> str:
    os.mkfifo(path)
    return "is no regular file"


def failing(reason: str) -> Kind:
    """A good photo that fails for something beside it."""
    return raw(encoded("PNG"), reason)


def frames() -> dict:
    """Options for Pillow to write a second picture after the first."""
    return dict(save_all=True, append_images=[make_photo(seed=2)])


def encoded(format: str, image: Image.Image = PHOTO, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def half(format: str, **options) -> Kind:
    data = encoded(format, make_photo(200, 200), **options)
    return raw(data[: len(data) // 2], "cannot be read as an image")


def scanlines(values: np.ndarray) -> bytes:
    return b"".join(b"\0" + row.tobytes() for row in values)


def deep(channels: int, color: int) -> Kind:
    rows = scanlines(DEEP[..., :channels].astype(">u2"))
    return raw(png(64, 48, rows, depth=16, color=color), (DEEP[..., :channels] >> 8).astype(np.uint8))


def interlaced() -> Kind:
    pixels = np.asarray(PHOTO)
    rows = b"".join(scanlines(pixels[y::down, x::right]) for x, y, right, down in ADAM7)
    data = bytearray(png(64, 48, rows))
    data[16:33] = chunk(b"IHDR", data[16:28] + b"\1")[8:]
    return raw(bytes(data), pixels)


def ycck() -> Kind:
    """Adobe's marker says by its last byte that the first three channels are YCbCr."""
    data = bytearray(encoded("JPEG", PHOTO.convert("CMYK")))
    data[data.index(b"Adobe") + 11] = 2
    with Image.open(io.BytesIO(data)) as image:
        return raw(bytes(data), np.asarray(image.convert("RGB")))


def with_alpha(mode: str = "RGBA") -> Image.Image:
    image = PHOTO.convert(mode.removesuffix("A"))
    image.putalpha(make_photo(seed=1).convert("L"))
    return image


def broken_crc() -> bytes:
    data = bytearray(encoded("PNG"))
    data[29] ^= 1  # the first byte after the header, of its checksum
    return bytes(data)


RGBA = np.asarray(with_alpha())
GREY16 = np.repeat(np.rint(DEEP[..., :1] / 257).astype(np.uint8), 3, axis=2)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

GOOD: dict[str, Kind] = {
    "grey.jpg": stored(PHOTO.convert("L")),
    "cmyk.jpg": stored(PHOTO.convert("CMYK")),
    "ycck.jpg": ycck(),
    "progressive.jpg": stored(progressive=True),
    "subsampled.jpg": stored(subsampling="4:2:0"),
    "damaged exif.jpg": stored(exif=b"Exif\0\0II*\0\xff\xff\xff\xff"),
    **{f"orientation {number}.jpg": turned(number) for number in UPRIGHT},
    "two.mpo": stored(format="MPO", **frames()),
    "1 bit.png": stored(PHOTO.convert("1")),
    "8 bit grey.png": stored(PHOTO.convert("L")),
    "16 bit grey.png": exact(Image.fromarray(DEEP[..., 0]), GREY16),
    "16 bit.png": deep(3, color=2),
    "16 bit alpha.png": deep(4, color=6),
    "palette.png": stored(PHOTO.quantize(16)),
    "palette, transparent.png": stored(with_alpha().quantize(16)),
    "transparent colour.png": stored(transparency=PHOTO.getpixel((60, 40))),
    "alpha.png": exact(with_alpha(), RGBA),
    "grey alpha.png": exact(with_alpha("LA"), np.asarray(with_alpha("LA").convert("RGBA"))),
    "interlaced.png": interlaced(),
    "animated.png": exact(PHOTO, np.asarray(PHOTO), **frames()),
    "profile.png": stored(icc_profile=SRGB),
    "lossy.webp": stored(),
    "lossless.webp": exact(PHOTO, np.asarray(PHOTO), lossless=True),
    "alpha, webp.webp": exact(with_alpha(), RGBA, lossless=True, exact=True),
    "animated, webp.webp": exact(PHOTO, np.asarray(PHOTO), lossless=True, **frames()),
    "lzw.tif": exact(PHOTO, np.asarray(PHOTO), compression="tiff_lzw"),
    "float.tif": tiff((DEEP[..., 0] / 65535).astype(np.float32), GREY16),
    "16 bit deep.tif": tiff(DEEP[..., :3], (DEEP[..., :3] >> 8).astype(np.uint8), photometric="rgb"),
    "tiles.tif": tiff(np.asarray(PHOTO), np.asarray(PHOTO), photometric="rgb", tile=(16, 32)),
    "pages.tif": exact(PHOTO, np.asarray(PHOTO), **frames()),
    "windows.bmp": exact(PHOTO, np.asarray(PHOTO)),
    "still.gif": stored(),
    "moving.gif": stored(**frames()),
    "phone.avif": stored(),
    "phone 2.heic": heic,
    "wavelets.jp2": stored(),
    "targa.tga": exact(PHOTO, np.asarray(PHOTO)),
    "netpbm.ppm": exact(PHOTO, np.asarray(PHOTO)),
    "1x1.png": stored(make_photo(1, 1)),
    "1x40.png": stored(make_photo(40, 1)),
    "40x1.png": stored(make_photo(1, 40)),
    "panorama.png": stored(make_photo(20, 20000)),
    "wrong ending.jpg": stored(format="PNG"),
    "UPPER.JPEG": stored(),
    "two  words.png": stored(),
    "写真 été 📷.png": stored(),
    "new\nline.png": stored(),
    "-dash.png": stored(),
    "100%s {x} [a] #1.png": stored(),
    f"{'x' * 246}.png": stored(),
    NOT_UTF8: stored(),
    "folder.jpg/inside.png": stored(),
    "link.png": link("interlaced.png", np.asarray(PHOTO)),
}

BAD: dict[str, Kind] = {
    "half.jpg": half("JPEG"),
    "half a png.png": half("PNG"),
    "half a webp.webp": half("WEBP"),
    "half a gif.gif": half("GIF"),
    "half a tif.tif": half("TIFF"),
    "empty.jpg": raw(b"", "the file is empty"),
    "text.jpg": raw(b"not an image", "of an unknown kind (it starts with b'not an image')"),
    "zeros.jpg": raw(bytes(5000), "of an unknown kind"),
    "page.jpg": raw(b"<!DOCTYPE html><html></html>", "it starts with b'<!DOCTYPE html>"),
    "script.jpg": raw(encoded("EPS"), "PostScript is a program"),
    "half a header.png": raw(encoded("PNG")[:20], "cannot be read as an image"),
    "broken checksum.png": raw(broken_crc(), "cannot be read as an image: damaged"),
    "bomb.png": raw(png(60000, 60000, b""), "too large: Image size (3600000000 pixels), at most 512000000"),
    "black.png": raw(
        png(30000, 20000, bytes(3751 * 20000), depth=1, color=0), "too large: 30000x20000 pixels"
    ),
    "text bomb.png": raw(
        png(1, 1, bytes(4), chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(8 << 20)))), "too large"
    ),
    "colours of floats.tif": tiff(DEEP[..., :3] / 2.0, "; wanted 0 to 1", photometric="rgb"),
    "floats beyond 1.tif": tiff(np.float32([[0, 300]]), "values from 0 to 300; wanted 0 to 1"),
    "dangling.jpg": link("nowhere.jpg", "is a link to nowhere.jpg, which leads nowhere"),
    "itself.jpg": link("itself.jpg", "is a link to itself.jpg, which leads nowhere"),
    "pipe.jpg": pipe,
    "forbidden.png": failing("cannot be read: Permission denied"),
    "vanishing.png": failing("no such file"),
    "without a mask.png": failing("no mask"),
    "mask of another size.png": failing("mask of size (3, 3) for a photo of size (64, 48)"),
}
KINDS = GOOD | BAD | kinds_of_samples.GOOD | kinds_of_samples.BAD
assert len({Path(name).with_suffix("") for name in KINDS}) == len(KINDS), "two would be written to one file"
