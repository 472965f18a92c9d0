"""Photos and masks of every kind that people have."""

import io
import os
import struct
import warnings
import zlib

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image, ImageCms
from upath import UPath

from tests.helpers import UPRIGHT, chunk, make_photo, png
from unistyle.errors import ImageError
from unistyle.files.photos import photo_from_pil, read_image, read_mask, read_photo
from unistyle.files.tensors import to_pil, to_tensor
from unistyle.files.writing import FORMATS, encode_image, save_png


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("kind", ["RGB", "I;16"])
def test_exif_orientation(tmp_path, orientation, kind):
    photo = make_photo(5, 7)
    stored = photo if kind == "RGB" else Image.fromarray(np.arange(35, dtype=np.uint16).reshape(5, 7) * 1800)
    wanted = np.asarray(photo_from_pil(stored).rgb)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(np.asarray(read_image(tmp_path / "a.png")), UPRIGHT[orientation](wanted))


def test_sixteen_bit_grey_is_scaled_not_clipped(tmp_path):
    values = np.array([[0, 257, 32768, 65535]], dtype=np.uint16)
    for name in ("a.png", "a.tif"):
        Image.fromarray(values).save(tmp_path / name)
        assert np.asarray(read_image(tmp_path / name))[0, :, 0].tolist() == [0, 1, 128, 255]
        assert np.asarray(read_mask(tmp_path / name))[0].tolist() == [0, 1, 128, 255]


def test_floats_outside_of_their_range_are_refused():
    assert np.asarray(photo_from_pil(Image.fromarray(np.float32([[0, 0.5, 1]]))).rgb)[0, :, 0].tolist() == [
        0,
        128,
        255,
    ]
    with pytest.raises(ImageError, match="values from 0 to 300"):
        photo_from_pil(Image.fromarray(np.float32([[0, 300]])))


def with_transparency(mode: str) -> Image.Image:
    """A photo whose left half is transparent."""
    alpha = Image.fromarray(np.repeat([[0, 0, 255, 255]], 3, axis=0).astype(np.uint8))
    photo = make_photo(3, 4)
    photo.putalpha(alpha)
    if mode == "P":
        palette = Image.fromarray(np.repeat([[0, 0, 1, 2]], 3, axis=0).astype(np.uint8), mode="P")
        palette.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
        palette.info["transparency"] = 0
        return palette
    return photo.convert(mode)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_kept_beside_the_colours(tmp_path, mode):
    image = with_transparency(mode)
    image.save(tmp_path / "a.png")
    photo = read_photo(tmp_path / "a.png")
    assert photo.rgb.mode == "RGB"
    assert np.asarray(photo.opacity)[0].tolist() == [0, 0, 255, 255]
    wanted = np.asarray(image.convert("RGBA"))
    np.testing.assert_array_equal(np.asarray(photo.with_rgb(photo.rgb)), wanted)


def test_transparent_colour_of_a_sixteen_bit_grey():
    image = Image.fromarray(np.array([[0, 500, 65535]], dtype=np.uint16))
    image.info["transparency"] = 500
    assert np.asarray(photo_from_pil(image).opacity)[0].tolist() == [255, 0, 255]


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr"])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (8, 6)])
def test_modes_and_sizes(tmp_path, mode, size):
    image = make_photo(size[1], size[0]).convert(mode)
    name = "a.tif" if mode in ("CMYK", "YCbCr") else "a.png"
    image.save(tmp_path / name)
    photo = read_photo(tmp_path / name)
    assert photo.size == size
    assert photo.opacity is None
    difference = np.asarray(photo.rgb).astype(int) - np.asarray(image.convert("RGB"))
    assert np.abs(difference).max() <= 2  # YCbCr is stored as RGB by some versions of libtiff


def test_cmyk_jpeg_looks_like_the_photo(tmp_path):
    photo = Image.new("RGB", (16, 16), (200, 60, 20))
    photo.convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    assert np.abs(np.asarray(read_image(tmp_path / "a.jpg")).astype(int) - (200, 60, 20)).max() <= 6


def test_rgb_profile_is_written_back_and_grey_profile_is_not(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    make_photo().save(tmp_path / "a.png", icc_profile=profile)
    photo = read_photo(tmp_path / "a.png")
    save_png(photo.with_rgb(photo.rgb), tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as image:
        assert image.info["icc_profile"] == profile
    grey = make_photo().convert("L")
    grey.info["icc_profile"] = profile[:16] + b"GRAY" + profile[20:]
    assert photo_from_pil(grey).profile is None


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "gif", "tif"])
def test_truncated_file_is_named_with_its_reason(tmp_path, suffix):
    buffer = io.BytesIO()
    make_photo(200, 200).save(buffer, {"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix.upper()))
    path = tmp_path / f"broken.{suffix}"
    path.write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])
    with pytest.raises(ImageError, match=r"broken.*cannot be read"):
        read_photo(path)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing.jpg", "no such file"),
        ("empty.jpg", "the file is empty"),
        ("folder.jpg", "is a folder"),
        ("pipe.jpg", "is no regular file"),
        ("link.jpg", "is a link to nowhere.jpg, which leads nowhere"),
        ("loop.jpg", "is a link to loop.jpg, which leads nowhere"),
        ("text.jpg", "of an unknown kind (it starts with b'<!DOCTYPE html><')"),
        ("drawing.jpg", "PostScript is a program"),
        ("x" * 300, "cannot be read: File name too long"),
    ],
)
def test_what_is_no_photo_is_refused_with_its_reason(tmp_path, name, reason):
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "link.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    (tmp_path / "text.jpg").write_text("<!DOCTYPE html><html>")
    Image.new("RGB", (9, 9)).save(tmp_path / "drawing.jpg", "EPS")
    with pytest.raises(ImageError) as caught:
        read_photo(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert reason in str(caught.value)
    assert str(caught.value).count(name) == 1 + reason.count(name)


@pytest.mark.parametrize(("width", "height"), [(60000, 60000), (30000, 20000)])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_decompression_bomb_is_refused_by_its_header(tmp_path, width, height):
    (tmp_path / "a.png").write_bytes(png(width, height, b""))
    with pytest.raises(
        ImageError, match=r"a\.png: too large: .*, at most 512000000 are read; scale the photo"
    ):
        read_photo(tmp_path / "a.png")


def test_photo_of_two_hundred_megapixels_is_no_bomb(tmp_path):
    (tmp_path / "a.png").write_bytes(png(20000, 10000, b"", depth=1, color=0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ImageError, match="truncated"):
            read_photo(tmp_path / "a.png")


@pytest.mark.parametrize("name", [b"zTXt", b"iCCP"])
def test_text_and_profiles_that_unpack_to_too_much_are_refused(tmp_path, name):
    bomb = chunk(name, b"name\0\0" + zlib.compress(bytes(8 << 20)))
    (tmp_path / "a.png").write_bytes(png(1, 1, bytes(4), bomb))
    with pytest.raises(ImageError, match=r"a\.png: cannot be read as an image: .*too large"):
        read_photo(tmp_path / "a.png")


@pytest.mark.parametrize("color", [2, 4, 6])
def test_sixteen_bit_colours_are_scaled_not_clipped(tmp_path, color):
    channels = {2: 3, 4: 2, 6: 4}[color]
    values = np.resize(np.array([0, 255, 32768, 65280, 65535]), (5, 5, channels))
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    (tmp_path / "a.png").write_bytes(png(5, 5, rows, depth=16, color=color))
    photo = read_photo(tmp_path / "a.png")
    found = np.asarray(photo.with_rgb(photo.rgb))[..., -channels:]  # of grey and alpha: blue and alpha
    np.testing.assert_array_equal(found, values >> 8)


def test_tiff_of_sixteen_bits_tiles_and_floats(tmp_path):
    values = np.random.default_rng(0).integers(0, 65536, (32, 48, 3), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "deep.tif", values, photometric="rgb")
    tifffile.imwrite(tmp_path / "tiles.tif", (values >> 8).astype(np.uint8), photometric="rgb", tile=(16, 16))
    for name in ("deep", "tiles"):
        np.testing.assert_array_equal(np.asarray(read_image(tmp_path / f"{name}.tif")), values >> 8)
    tifffile.imwrite(tmp_path / "floats.tif", values.astype(np.float32), photometric="rgb")
    with pytest.raises(ImageError, match=r"floats\.tif: .* with values from"):
        read_photo(tmp_path / "floats.tif")


def test_lab_is_converted(tmp_path):
    Image.new("LAB", (3, 3), (255, 128, 128)).save(tmp_path / "a.tif")
    assert np.asarray(read_image(tmp_path / "a.tif")).min() >= 254


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF", "MPO"])
def test_first_frame_counts(tmp_path, format):
    first, second = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    first.save(tmp_path / "a", format, save_all=True, append_images=[second])
    assert np.abs(np.asarray(read_image(tmp_path / "a")).astype(int) - (255, 0, 0)).max() <= 3


@pytest.mark.parametrize("ending", ["avif", "heic"])
def test_photos_of_phones(tmp_path, ending):
    pytest.importorskip("pillow_heif" if ending == "heic" else "PIL._avif")
    make_photo(32, 48).save(tmp_path / f"a.{ending}", quality=95)
    difference = np.asarray(read_image(tmp_path / f"a.{ending}")).astype(int) - np.asarray(make_photo(32, 48))
    assert np.abs(difference).mean() < 12


def test_heic_without_its_package_names_the_package(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "ID", [name for name in Image.ID if name != "HEIF"])
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x1cftypheic" + bytes(100))
    with pytest.raises(ImageError, match=r"pip install 'unistyle\[heif\]'"):
        read_photo(tmp_path / "a.heic")


def test_paths_of_every_sort(tmp_path):
    make_photo().save(tmp_path / "a.png")
    remote = UPath("memory://photos/a.png")
    remote.parent.mkdir(parents=True, exist_ok=True)
    remote.write_bytes((tmp_path / "a.png").read_bytes())
    for path in (tmp_path / "a.png", str(tmp_path / "a.png"), UPath(tmp_path / "a.png"), remote):
        np.testing.assert_array_equal(np.asarray(read_image(path)), np.asarray(make_photo()))
    with pytest.raises(ImageError, match=r"memory://photos/b\.png: no such file"):
        read_photo(remote.with_name("b.png"))


def some_exif() -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Orientation] = "Maker", 6
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2024:05:06 07:08:09"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    return exif


def test_thumbnail_of_the_old_photo_is_dropped(tmp_path):
    """A second directory with a thumbnail, as cameras write it."""
    entries = struct.pack("<HHHLHHH", 1, 0x0112, 3, 1, 1, 0, 0)[:14]
    first = b"II*\0" + struct.pack("<L", 8) + entries + struct.pack("<L", 26)
    second = struct.pack("<HHHLLHHLLL", 2, 0x0201, 4, 1, 56, 0x0202, 4, 1, 4, 0)
    make_photo().save(tmp_path / "a.jpg", exif=b"Exif\0\0" + first + second + b"THUMBNAIL")
    assert b"THUMBNAIL" in (tmp_path / "a.jpg").read_bytes()
    assert b"THUMBNAIL" not in (read_photo(tmp_path / "a.jpg").exif or b"")


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("cut", [0, 2, 8, 12, 16, 24, 40])
@pytest.mark.parametrize("noise", [b"", b"\xff" * 20])
def test_damaged_exif_fails_no_photo(tmp_path, cut, noise):
    make_photo().save(tmp_path / "a.jpg", exif=some_exif().tobytes()[: 6 + cut] + noise)
    photo = read_photo(tmp_path / "a.jpg")
    assert sorted(photo.size) == [48, 64]
    for format in FORMATS:
        encode_image(photo.with_rgb(photo.rgb), format)


def test_reading_leaves_the_image_as_it_was():
    image = make_photo()
    image.info["exif"] = some_exif().tobytes()
    assert [photo_from_pil(image).size for _ in range(2)] == [(48, 64)] * 2


def colours(mode: str, size: tuple[int, int] = (37, 23)) -> Image.Image:
    """Noise: also colours under full transparency."""
    values = np.random.default_rng(0).integers(0, 256, (size[1], size[0], len(mode)), dtype=np.uint8)
    return Image.fromarray(values[..., 0] if mode == "L" else values, mode=mode)


def test_transparent_part_of_a_mask_is_outside():
    from unistyle.files.photos import mask_from_pil

    mask = Image.new("RGBA", (4, 3), "white")
    mask.putalpha(with_transparency("RGBA").getchannel("A"))
    assert np.asarray(mask_from_pil(mask))[0].tolist() == [0, 0, 255, 255]


def test_eight_bit_values_survive_the_way_to_a_tensor_and_back():
    values = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
    np.testing.assert_array_equal(np.asarray(to_pil(to_tensor(values))), np.asarray(values))
    photo = make_photo()
    np.testing.assert_array_equal(np.asarray(to_pil(to_tensor(photo))), np.asarray(photo))
