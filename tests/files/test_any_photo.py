"""Photos of random layouts, written by one library or by hand, read as what they were made of."""

import io
import struct
from typing import cast

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from tests.files.test_opacity import rows_of, targa
from tests.files.tiffs import Page, close, tiff
from tests.helpers import UPRIGHT, chunk, png
from unistyle.errors import ImageError
from unistyle.files.decoding.tiff import readable
from unistyle.files.photos import photo_from_pil, read_photo
from unistyle.files.places import Place

# The same examples each time, so that a failure is seen again.
bounded = settings(max_examples=80, deadline=None, derandomize=True, database=None)
SIZES = st.integers(1, 40)
ORDERS = st.sampled_from("<>")
SEEDS = st.integers(0, 2**16)


def shown(data: bytes) -> np.ndarray:
    """What is read of a file: (height, width, 3 or 4)."""
    photo = photo_from_pil(Image.open(readable(io.BytesIO(data))))
    return np.asarray(photo.with_rgb(photo.rgb))


def shares(values: np.ndarray, bits: int) -> np.ndarray:
    """Whole numbers as shares of the largest one."""
    return values / ((1 << bits) - 1)


def as_photo(share: np.ndarray, colours: int) -> np.ndarray:
    """Shares of grey or of colours, and of opacity where there is one more, as 8 bits of colours."""
    opacity = share[..., colours:]
    return np.dstack([np.broadcast_to(share[..., :colours], (*share.shape[:2], 3)), opacity]) * 255


@bounded
@given(SIZES, SIZES, st.integers(1, 16), st.sampled_from([0, 1, 2]), st.booleans(), st.booleans(), st.data())
def test_tiff_by_hand(height, width, bits, photometric, opaque, planar, data):
    colours = 3 if photometric == 2 else 1
    samples = colours + (not opaque)
    values = np.random.default_rng(data.draw(SEEDS)).integers(0, 1 << bits, (height, width, samples))
    page = Page(
        values,
        bits,
        photometric,
        extras=() if opaque else (2,),
        planar=planar and samples > 1,
        packed=data.draw(st.booleans()),
        tile=data.draw(st.sampled_from([None, (16, 16), (32, 16)])),
        rows=data.draw(st.integers(1, 50)),
        fill_order=data.draw(st.sampled_from([1, 2])),
        tags={274: ("H", turn := data.draw(st.sampled_from(list(UPRIGHT))))},
    )
    share = shares(values, bits)
    if photometric == 0:
        share[..., 0] = 1 - share[..., 0]
    wanted = UPRIGHT[turn](as_photo(share, colours))
    close(shown(tiff(page, order=data.draw(ORDERS))), wanted)


@bounded
@given(
    SIZES,
    SIZES,
    st.sampled_from(["u1", "u2", "f2", "f4", "f8"]),
    st.sampled_from(["minisblack", "miniswhite", "rgb"]),
    st.sampled_from([None, "unassalpha", "unspecified"]),
    st.booleans(),
    st.data(),
)
def test_tiff_by_tifffile(height, width, kind, photometric, extra, planar, data):
    colours = 3 if photometric == "rgb" else 1
    samples, top = colours + (extra is not None), 1.0 if kind[0] == "f" else 2 ** (8 * int(kind[1])) - 1
    random = np.random.default_rng(data.draw(SEEDS))
    values = (random.random((samples, height, width)) * top).astype(kind)
    planar = planar and samples > 1
    stored = values if planar else np.moveaxis(values, 0, -1)
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        stored if samples > 1 else values[0],
        photometric=photometric,
        planarconfig=("separate" if planar else "contig") if samples > 1 else None,
        extrasamples=[extra] if extra else None,
        compression=data.draw(st.sampled_from([None, "zlib"])),
        tile=data.draw(st.sampled_from([None, (16, 32)])),
        rowsperstrip=data.draw(st.integers(1, 50)),
        byteorder=data.draw(ORDERS),
        metadata=None,
    )
    again = tifffile.imread(io.BytesIO(buffer.getvalue()))  # which knows nothing of white and black
    again = np.moveaxis(again.reshape(stored.shape), 0, -1) if planar else again.reshape(stored.shape)
    share = again.astype(float) / top
    if photometric == "miniswhite":
        share[..., 0] = 1 - share[..., 0]
    close(
        shown(buffer.getvalue()), as_photo(share if extra == "unassalpha" else share[..., :colours], colours)
    )


@bounded
@given(SIZES, SIZES, st.sampled_from([1, 2, 4, 8, 16]), st.booleans(), st.booleans(), SEEDS)
def test_png_by_hand(height, width, bits, in_colours, transparent, seed):
    in_colours = in_colours and bits >= 8
    random = np.random.default_rng(seed)
    values = random.integers(0, 1 << bits, (height, width, 3 if in_colours else 1))
    values[:, : width // 2] = values[0, 0]
    colour = values[random.integers(height), random.integers(width)]
    extra = chunk(b"tRNS", colour.astype(">u2").tobytes()) if transparent else b""
    data = png(width, height, rows_of(values, bits), extra, bits, 2 if in_colours else 0)
    share = shares(values, bits)
    if transparent:
        share = np.dstack([share, (values != colour).any(axis=2)])
    close(shown(data), as_photo(share, values.shape[2]))


@bounded
@given(SIZES, SIZES, st.sampled_from([2, 4]), st.sampled_from([0, 8]), SEEDS)
def test_targa_by_hand(height, width, channels, attributes, seed):
    values = np.random.default_rng(seed).integers(1, 256, (height, width, channels), dtype=np.uint8)
    values = np.pad(values, ((0, 2), (0, 4), (0, 0)), mode="edge")  # Pillow wants 26 bytes, at the least
    share = values / 255 if attributes else values[..., :-1] / 255
    close(shown(targa(values, attributes, kind=3 if channels == 2 else 2)), as_photo(share, channels - 1))


@bounded
@given(
    SIZES,
    SIZES,
    st.sampled_from(
        [
            ("PNG", ["1", "L", "LA", "P", "RGB", "RGBA"]),
            ("TIFF", ["1", "L", "LA", "P", "RGB", "RGBA", "YCbCr"]),
            ("WEBP", ["RGB", "RGBA"]),
        ]
    ),
    st.sampled_from(list(UPRIGHT)),
    st.data(),
)
def test_files_of_pillow(height, width, format, turn, data):
    name, modes = format
    mode = data.draw(st.sampled_from(modes))
    random = np.random.default_rng(data.draw(SEEDS))
    image = Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8)).convert(mode)
    if mode.endswith("A"):
        image.putalpha(Image.fromarray(random.integers(0, 256, (height, width), dtype=np.uint8)))
    exif = Image.Exif()
    exif[0x0112] = turn
    options = {"lossless": True, "exact": True} if name == "WEBP" else {}
    if name == "TIFF":
        packed = ["tiff_lzw", "tiff_adobe_deflate", "packbits"]
        options["compression"] = data.draw(st.sampled_from([None, *packed]))
    buffer = io.BytesIO()
    image.copy().save(buffer, name, exif=exif, **options)
    wanted = np.asarray(image.convert("RGBA" if mode.endswith("A") else "RGB"))
    close(shown(buffer.getvalue()), UPRIGHT[turn](wanted), 2 if mode == "YCbCr" else 0)


@bounded
@given(SIZES, SIZES, st.sampled_from(["I", "I;16", "I;16B", "F", "L", "La", "RGBa"]), SEEDS)
def test_images_of_pillow(height, width, mode, seed):
    grey = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
    deep = grey.astype(np.uint16) * 257
    image = {
        "I": lambda: Image.fromarray(grey.astype(np.int32)),
        "I;16": lambda: Image.fromarray(deep),
        "I;16B": lambda: Image.frombytes("I;16B", (width, height), deep.astype(">u2").tobytes()),
        "F": lambda: Image.fromarray((grey / 255).astype(np.float32)),
    }.get(
        mode, lambda: ImageOps.invert(Image.fromarray(255 - grey)).convert("RGB" if mode == "RGBa" else "L")
    )()
    if mode.endswith("a"):
        image.putalpha(255)
        image = image.convert(mode)
    found = photo_from_pil(image)
    close(np.asarray(found.rgb), np.repeat(grey[..., None], 3, axis=2), 0)


@pytest.mark.filterwarnings("ignore::UserWarning")
@bounded
@given(st.binary(max_size=200), st.sampled_from([b"II*\0", b"MM\0*", b"II+\0\x08\0\0\0"]))
def test_noise_after_the_mark_of_a_tiff_is_refused(noise, mark):
    with pytest.raises((ImageError, OSError)):
        read_photo(cast(Place, Held(mark + struct.pack("<I", 8) + noise)))


class Held:
    """A file that is in memory."""

    def __init__(self, data: bytes):
        self.data = data

    def open(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self.data)
