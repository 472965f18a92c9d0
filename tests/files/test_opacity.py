"""What is transparent, in the formats that say it in their own ways."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from tests.files.tiffs import close
from tests.helpers import chunk, make_photo, png
from unistyle.files.photos import photo_from_pil, read_photo

SHAPE = (11, 13)


def rows_of(values: np.ndarray, bits: int) -> bytes:
    """Scanlines of PNG: no filter, each row from a byte of its own on."""
    rows = values.reshape(len(values), -1)
    digits = rows[..., None] >> np.arange(bits)[::-1] & 1
    return b"".join(
        b"\0" + np.packbits(row).tobytes() for row in digits.astype(np.uint8).reshape(len(rows), -1)
    )


def opacity(path) -> np.ndarray:
    photo = read_photo(path)
    assert photo.opacity is not None
    return np.asarray(photo.opacity)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("stray", [False, True])
def test_transparent_grey_of_png(tmp_path, bits, stray):
    """stray: bits of the chunk that the samples do not have, which do not count."""
    values = np.random.default_rng(bits).integers(0, 1 << min(bits, 3), SHAPE)
    values = values if bits < 16 else values * 257 + np.arange(13)
    colour = int(values[3, 4])
    written = colour | (0xFF00 if stray and 1 < bits < 16 else 0)
    path = tmp_path / "a.png"
    path.write_bytes(png(13, 11, rows_of(values, bits), chunk(b"tRNS", struct.pack(">H", written)), bits, 0))
    np.testing.assert_array_equal(opacity(path), np.where(values == colour, 0, 255))
    shown = np.asarray(read_photo(path).rgb)
    close(shown, np.repeat(np.rint(values * (255 / ((1 << bits) - 1)))[..., None], 3, axis=2), 0)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("interlaced", [False, True])
def test_transparent_colour_of_png(tmp_path, bits, interlaced):
    """Of 16 bits, neighbours that differ in the lower byte alone are not transparent."""
    values = np.random.default_rng(bits).integers(0, 2, (*SHAPE, 3)) + 1000 * (bits == 16)
    colour = values[3, 4]
    data = png(13, 11, rows_of(values, bits), chunk(b"tRNS", colour.astype(">u2").tobytes()), bits, 2)
    if interlaced:
        passes = [
            (0, 0, 8, 8),
            (4, 0, 8, 8),
            (0, 4, 4, 8),
            (2, 0, 4, 4),
            (0, 2, 2, 4),
            (1, 0, 2, 2),
            (0, 1, 1, 2),
        ]
        parts = [values[y::down, x::right] for x, y, right, down in passes]
        rows = b"".join(rows_of(part, bits) for part in parts if part.size)
        data = bytearray(png(13, 11, rows, chunk(b"tRNS", colour.astype(">u2").tobytes()), bits, 2))
        data[16:33] = chunk(b"IHDR", data[16:28] + b"\1")[8:]
    path = tmp_path / "a.png"
    path.write_bytes(data)
    np.testing.assert_array_equal(opacity(path), np.where((values == colour).all(2), 0, 255))
    close(np.asarray(read_photo(path).rgb), values >> (bits - 8), 0)


def test_transparent_palette_of_png(tmp_path):
    values = np.random.default_rng(0).integers(0, 4, SHAPE)
    extra = chunk(b"PLTE", bytes(range(12))) + chunk(b"tRNS", bytes([255, 0, 100]))
    (tmp_path / "a.png").write_bytes(png(13, 11, rows_of(values, 2), extra, 2, 3))
    np.testing.assert_array_equal(opacity(tmp_path / "a.png"), np.array([255, 0, 100, 255])[values])


@pytest.mark.parametrize("bits", [4, 16])
def test_image_that_somebody_opened_stays_as_it_was(tmp_path, bits):
    values = np.random.default_rng(0).integers(0, 1 << bits, (*SHAPE, 3) if bits == 16 else SHAPE)
    colour = values[3, 4]
    extra = chunk(b"tRNS", np.atleast_1d(colour).astype(">u2").tobytes())
    path = tmp_path / "a.png"
    path.write_bytes(png(13, 11, rows_of(values, bits), extra, bits, 2 if bits == 16 else 0))
    with Image.open(path) as image:
        before = dict(image.info)
        photo = photo_from_pil(image)
        assert image.info == before
        assert image.size == (13, 11)
    transparent = (values == colour).all(2) if bits == 16 else values == colour
    np.testing.assert_array_equal(np.asarray(photo.opacity), np.where(transparent, 0, 255))


def targa(pixels: np.ndarray, attributes: int, extension: int | None = None, kind: int = 2) -> bytes:
    """A Targa file of the rows given, first row on top. extension: what its second version says of the opacity."""
    height, width, channels = pixels.shape
    order = [2, 1, 0, 3][:channels] if channels > 2 else [0, 1]
    header = struct.pack(
        "<BBBHHBHHHHBB", 0, 0, kind, 0, 0, 0, 0, 0, width, height, 8 * channels, 0x20 | attributes
    )
    data = header + pixels[..., order].tobytes()
    if extension is not None:
        place = len(data)
        data += struct.pack("<H492xB", 495, extension) + struct.pack("<II", place, 0) + b"TRUEVISION-XFILE.\0"
    return data


COLOURS = np.asarray(make_photo(20, 30))
ALPHA = np.asarray(make_photo(20, 30, seed=1))[..., :1]


@pytest.mark.parametrize("alpha", [np.zeros_like(ALPHA), ALPHA], ids=["zero", "anything"])
@pytest.mark.parametrize("colours", [COLOURS, COLOURS[..., :1]], ids=["colours", "grey"])
def test_targa_without_attribute_bits_is_opaque(tmp_path, alpha, colours):
    (tmp_path / "a.tga").write_bytes(
        targa(np.dstack([colours, alpha]), 0, kind=3 if colours.shape[2] == 1 else 2)
    )
    photo = read_photo(tmp_path / "a.tga")
    assert photo.opacity is None
    close(np.asarray(photo.rgb), np.broadcast_to(colours, COLOURS.shape), 0)


@pytest.mark.parametrize("extension", [None, 3])
def test_targa_with_attribute_bits_has_opacity(tmp_path, extension):
    (tmp_path / "a.tga").write_bytes(targa(np.dstack([COLOURS, ALPHA]), 8, extension))
    np.testing.assert_array_equal(opacity(tmp_path / "a.tga"), ALPHA[..., 0])


@pytest.mark.parametrize("rle", [False, True])
def test_targa_of_pillow(tmp_path, rle):
    image = Image.fromarray(np.dstack([COLOURS, ALPHA]))
    image.save(tmp_path / "a.tga", compression="tga_rle" if rle else None)
    np.testing.assert_array_equal(opacity(tmp_path / "a.tga"), ALPHA[..., 0])
    data = bytearray((tmp_path / "a.tga").read_bytes())
    data[17] &= 0xF0
    (tmp_path / "a.tga").write_bytes(data)
    assert read_photo(tmp_path / "a.tga").opacity is None


def test_targa_with_attribute_bits_of_zeros_is_opaque(tmp_path):
    (tmp_path / "a.tga").write_bytes(targa(np.dstack([COLOURS, np.zeros_like(ALPHA)]), 8))
    assert read_photo(tmp_path / "a.tga").opacity is None


@pytest.mark.parametrize("format", ["BMP", "ICO"])
def test_bitmaps_and_icons_of_zeros_are_opaque(format):
    for alpha in (np.zeros_like(ALPHA), ALPHA):
        buffer = io.BytesIO()
        picture = np.dstack([COLOURS, alpha])[:16, :16]
        if format == "ICO":
            Image.fromarray(picture).save(buffer, format, sizes=[(16, 16)], bitmap_format="bmp")
        else:
            header = struct.pack("<IiiHHIIiiII", 108, 16, -16, 1, 32, 3, 1024, 0, 0, 0, 0)
            masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + b"BGRs" + bytes(48)
            pixels = picture[..., [2, 1, 0, 3]].tobytes()
            buffer.write(b"BM" + struct.pack("<IHHI", 122 + len(pixels), 0, 0, 122) + header + masks + pixels)
        buffer.seek(0)
        photo = photo_from_pil(Image.open(buffer))
        close(np.asarray(photo.rgb), COLOURS[:16, :16], 0)
        if alpha.any():
            np.testing.assert_array_equal(np.asarray(photo.opacity), alpha[:16, :16, 0])
        else:
            assert photo.opacity is None
