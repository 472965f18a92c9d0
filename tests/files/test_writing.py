"""Image files from images: every format of results."""

import io

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from tests.files.test_photos import colours, some_exif
from tests.helpers import make_photo
from unistyle.errors import ImageError
from unistyle.files.photos import read_photo
from unistyle.files.writing import FORMATS, encode_image


@pytest.mark.parametrize("source", ["a.jpg", "a.png", "a.webp", "a.avif"])
@pytest.mark.parametrize("format", FORMATS)
def test_exif_goes_with_the_result_less_the_orientation(tmp_path, source, format):
    make_photo().save(tmp_path / source, exif=some_exif())
    photo = read_photo(tmp_path / source)
    assert photo.size == (48, 64)
    with Image.open(io.BytesIO(encode_image(photo.with_rgb(photo.rgb), format))) as result:
        exif = result.getexif()
    assert ExifTags.Base.Orientation not in exif
    assert exif[ExifTags.Base.Make] == "Maker"
    assert exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] == "2024:05:06 07:08:09"
    assert exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] == "N"


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("size", [(1, 1), (37, 23), (1200, 900)])
@pytest.mark.parametrize("format", ["png", "webp"])
def test_lossless_formats_are_equal_to_the_bit(mode, size, format):
    image = colours(mode, size)
    with Image.open(io.BytesIO(encode_image(image, format))) as result:
        wanted = image if format == "png" else image.convert("RGBA" if "A" in mode else "RGB")
        assert result.mode == wanted.mode
        np.testing.assert_array_equal(np.asarray(result), np.asarray(wanted))


def test_jpg_is_near_and_lays_transparency_over_white():
    photo = make_photo()
    with Image.open(io.BytesIO(encode_image(photo, "jpg"))) as result:
        assert np.abs(np.asarray(result).astype(int) - np.asarray(photo)).mean() < 4
    photo.putalpha(0)
    with Image.open(io.BytesIO(encode_image(photo, "jpg"))) as result:
        assert np.asarray(result).min() == 255


@pytest.mark.parametrize("format", FORMATS)
def test_profile_goes_with_every_format(format):
    image = make_photo()
    image.info["icc_profile"] = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    with Image.open(io.BytesIO(encode_image(image, format))) as result:
        assert result.info["icc_profile"] == image.info["icc_profile"]


def test_what_a_format_cannot_hold_is_refused():
    for format, side in (("webp", 16383), ("jpg", 65500)):
        encode_image(Image.new("RGB", (1, side)), format)
        with pytest.raises(ImageError, match=f"{format} holds at most {side} a side; give --format png"):
            encode_image(Image.new("RGB", (side + 1, 1)), format)
    with pytest.raises(ImageError, match="image of mode P; wanted L, RGB, LA, RGBA"):
        encode_image(Image.new("P", (1, 1)))
    with pytest.raises(ValueError, match="got format 'gif'; wanted one of png, webp, jpg"):
        encode_image(make_photo(), "gif")
    image = make_photo()
    image.info["exif"] = b"Exif\0\0" + bytes(70000)
    encode_image(image, "jpg")
