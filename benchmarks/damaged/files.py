"""Photos and videos of many kinds, damaged: every one is made by its number alone."""

import io
from collections.abc import Callable
from functools import cache
from typing import Any

import av
import numpy as np
import skimage.data
import tifffile
from PIL import Image, features

from benchmarks.fuzz.damage import Rng, cut_out, flip, garbage, insert, pick, truncate, zeros

SIZE = (60, 40)  # width and height of the photos before they are damaged
FRAMES = 12


def flip_start(rng: Rng, blob: bytes) -> bytes:
    """Bits where the header is: what the file says of its size, samples and parts."""
    return flip(rng, blob, 0, min(64, len(blob)))


def flip_any(rng: Rng, blob: bytes) -> bytes:
    return flip(rng, blob, 0, len(blob))


def large_number(rng: Rng, blob: bytes) -> bytes:
    """Four bytes near the start become a number that is too large for what is there."""
    at, number = int(rng.integers(min(200, len(blob) - 4))), pick(rng, [0, 2**16 - 1, 2**31 - 1, 2**32 - 1])
    return blob[:at] + int(number).to_bytes(4, str(pick(rng, ["little", "big"]))) + blob[at + 4 :]


DAMAGE = {
    kind.__name__: kind
    for kind in (truncate, flip_start, flip_any, large_number, insert, cut_out, zeros, garbage)
}


@cache
def photo() -> Image.Image:
    return Image.fromarray(skimage.data.coffee()[:400, :600]).resize(SIZE)


def pillow(format: str, mode: str = "RGB", **options: Any) -> Callable[[], bytes]:
    """A photo as Pillow writes it."""

    def make() -> bytes:
        buffer, image = io.BytesIO(), photo().convert(mode)
        if mode in ("RGBA", "LA"):
            image.putalpha(Image.linear_gradient("L").resize(SIZE))
        image.save(buffer, format, **options)
        return buffer.getvalue()

    return make


def tiff(bits: int, **options: Any) -> Callable[[], bytes]:
    """A photo as tifffile writes it, of 8 or 16 bits a sample."""

    def make() -> bytes:
        buffer, values = io.BytesIO(), np.asarray(photo()).astype(f"uint{bits}") * (257 if bits == 16 else 1)
        tifffile.imwrite(buffer, values, photometric="rgb", **options)
        return buffer.getvalue()

    return make


def video(ending: str, codec: str, pixels: str = "yuv420p") -> Callable[[], bytes]:
    """Frames that move, as FFmpeg writes them."""

    def make() -> bytes:
        buffer, picture = io.BytesIO(), np.asarray(photo().resize((64, 48)))
        with av.open(
            buffer, "w", format={"mkv": "matroska", "ts": "mpegts"}.get(ending, ending)
        ) as container:
            stream = container.add_stream(codec, rate=12)
            stream.width, stream.height, stream.pix_fmt = 64, 48, pixels
            for number in range(FRAMES):
                frame = av.VideoFrame.from_ndarray(np.roll(picture, 2 * number, 1), "rgb24")
                container.mux(stream.encode(frame.reformat(format=pixels)))
            container.mux(stream.encode())
        return buffer.getvalue()

    return make


# Turned by 90 degrees.
EXIF = {"exif": b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"}
PHOTOS = {
    "plain.jpg": pillow("JPEG"), "progressive.jpg": pillow("JPEG", progressive=True, **EXIF),
    "grey.jpg": pillow("JPEG", "L"), "cmyk.jpg": pillow("JPEG", "CMYK"), "plain.png": pillow("PNG", **EXIF),
    "alpha.png": pillow("PNG", "RGBA"), "palette.png": pillow("PNG", "P"), "grey.png": pillow("PNG", "LA"),
    "deep.png": pillow("PNG", "I;16"), "bits.png": pillow("PNG", "1"), "lossy.webp": pillow("WEBP"),
    "lossless.webp": pillow("WEBP", "RGBA", lossless=True), "plain.gif": pillow("GIF", "P"),
    "plain.bmp": pillow("BMP"), "palette.bmp": pillow("BMP", "P"), "plain.tga": pillow("TGA", "RGBA"),
    "packed.tga": pillow("TGA", compression="tga_rle"), "plain.ppm": pillow("PPM"), "grey.pgm": pillow("PPM", "L"),
    "plain.tif": tiff(8), "deep.tif": tiff(16),
    "planes.tif": tiff(16, planarconfig="separate"), "tiles.tif": tiff(8, tile=(16, 16)),
    "deflate.tif": tiff(16, compression="deflate"), "lzw.tif": pillow("TIFF", compression="tiff_lzw"),
    "jpeg.tif": pillow("TIFF", compression="jpeg"), "fax.tif": pillow("TIFF", "1", compression="group4"),
}  # fmt: skip
PHOTOS |= {"plain.jp2": pillow("JPEG2000")} if features.check("jpg_2000") else {}
PHOTOS |= {"plain.avif": pillow("AVIF")} if features.check("avif") else {}
VIDEOS = {
    "h264.mp4": video("mp4", "libx264"), "mpeg4.mp4": video("mp4", "mpeg4"), "vp9.webm": video("webm", "libvpx-vp9"),
    "h264.mkv": video("mkv", "libx264"), "frames.avi": video("avi", "mjpeg", "yuvj420p"),
    "h264.mov": video("mov", "libx264"), "broadcast.mts": video("mpegts", "mpeg2video"),
}  # fmt: skip


@cache
def whole(name: str) -> bytes:
    """A file before it is damaged."""
    return (PHOTOS | VIDEOS)[name]()


def damaged(number: int, names: tuple[str, ...]) -> tuple[str, str, bytes]:
    """The file of a number, of one of the kinds `names`: its name, NUMBER-KIND, how it is damaged, and its bytes."""
    rng = np.random.default_rng(number)
    name, kind = str(pick(rng, names)), str(pick(rng, DAMAGE))
    blob = DAMAGE[kind](rng, whole(name))
    if rng.random() < 0.3:  # again: what one reader forgives, another one sees
        blob = flip_any(rng, blob) if blob else blob
    return f"{number}-{name}", kind, blob
