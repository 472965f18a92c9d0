"""Images of every mode that Pillow has."""

import numpy as np
import pytest
from PIL import Image, features

from tests.files.tiffs import close
from tests.helpers import make_photo
from unistyle.errors import ImageError
from unistyle.files.photos import photo_from_pil, read_photo

PHOTO = make_photo(20, 30)
GREY = np.asarray(PHOTO.convert("L"))


def shown(image: Image.Image) -> np.ndarray:
    photo = photo_from_pil(image)
    return np.asarray(photo.with_rgb(photo.rgb))


def grey(values: np.ndarray = GREY) -> np.ndarray:
    return np.repeat(values[..., None], 3, axis=2)


@pytest.mark.parametrize("factor", [1, 257])
def test_whole_numbers_are_of_8_or_of_16_bits(factor):
    """Mode I does not say which: up to 255 they are taken for 8."""
    close(shown(Image.fromarray(GREY.astype(np.int32) * factor)), grey(), 0)
    close(shown(PHOTO.convert("L").convert("I")), grey(), 0)


@pytest.mark.parametrize("values", [[[0, 65536]], [[-1, 100]]])
def test_whole_numbers_of_an_unknown_white_are_refused(values):
    with pytest.raises(
        ImageError, match=r"image of mode I with values from .* wanted 0 to 255, or 0 to 65535, save it"
    ):
        photo_from_pil(Image.fromarray(np.array(values, np.int32)))


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I;16L"])
def test_sixteen_bits_in_either_order(mode):
    order = ">" if mode.endswith("B") else "<"
    image = Image.frombytes(mode, PHOTO.size, (GREY.astype(np.uint16) * 257).astype(order + "u2").tobytes())
    close(shown(image), grey(), 0)
    dark = Image.frombytes(mode, PHOTO.size, GREY.astype(order + "u2").tobytes())
    close(shown(dark), grey(np.rint(GREY / 257)), 0)  # that are 16 bits in any case


def test_colours_multiplied_by_the_opacity():
    image = PHOTO.copy()
    image.putalpha(make_photo(20, 30, seed=1).convert("L"))
    close(shown(image.convert("RGBa")), np.asarray(image.convert("RGBa").convert("RGBA")), 0)
    image = image.convert("LA")
    close(shown(image.convert("La")), np.asarray(image.convert("La").convert("LA").convert("RGBA")), 0)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBX", "YCbCr", "HSV", "CMYK"])
def test_ordinary_modes(mode):
    image = PHOTO.convert(mode)
    close(shown(image), np.asarray(image.convert("RGB")), 0)


@pytest.mark.parametrize("mode", ["LA", "PA", "RGBA"])
def test_modes_with_opacity(mode):
    image = PHOTO.convert("RGBA").convert(mode)
    image.putalpha(make_photo(20, 30, seed=1).convert("L"))
    close(shown(image), np.asarray(image.convert("RGBA")), 0)


@pytest.mark.parametrize("maximum", [1, 100, 255, 256, 1023, 4095, 65535])
@pytest.mark.parametrize("dark", [False, True])
def test_netpbm_of_any_maximum(tmp_path, maximum, dark):
    """A dark picture of 16 bits is one, although no value is above 255."""
    values = np.rint(GREY * (maximum / 255) / (300 if dark else 1)).astype(int)
    kind = np.uint8 if maximum < 256 else ">u2"
    (tmp_path / "a.pgm").write_bytes(b"P5 30 20 %d\n" % maximum + values.astype(kind).tobytes())
    close(np.asarray(read_photo(tmp_path / "a.pgm").rgb), grey(np.rint(values * (255 / maximum))), 1)


@pytest.mark.skipif(not features.check("jpg_2000"), reason="Pillow without OpenJPEG")
def test_sixteen_bits_of_jpeg_2000(tmp_path):
    Image.fromarray(GREY.astype(np.uint16) * 257).save(tmp_path / "a.jp2")
    close(np.asarray(read_photo(tmp_path / "a.jp2").rgb), grey(), 0)


def test_info_goes_along():
    image = Image.fromarray(GREY.astype(np.uint16) * 257)
    image.info = {"dpi": (300, 300), "transparency": 257 * int(GREY[3, 4])}
    photo = photo_from_pil(image)
    np.testing.assert_array_equal(np.asarray(photo.opacity), np.where(GREY[3, 4] == GREY, 0, 255))
    assert image.mode == "I;16"
    assert set(image.info) == {"dpi", "transparency"}
