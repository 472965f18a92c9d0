"""Photos and masks of every kind that people have."""

import io

import numpy as np
import pytest
from conftest import make_photo
from PIL import Image, ImageCms

from unistyle.files import atomic
from unistyle.images import (
    ImageError,
    list_images,
    photo_from_pil,
    read_image,
    read_mask,
    read_photo,
    save_png,
    to_pil,
    to_tensor,
)

# What a viewer does to the stored pixels for each EXIF orientation (Exif 2.3, tag 0x0112).
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


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


def test_text_and_missing_files_are_refused(tmp_path):
    (tmp_path / "text.jpg").write_text("not an image")
    for name in ("text.jpg", "missing.jpg"):
        with pytest.raises(ImageError, match=name):
            read_photo(tmp_path / name)


def test_transparent_part_of_a_mask_is_outside():
    from unistyle.images import mask_from_pil

    mask = Image.new("RGBA", (4, 3), "white")
    mask.putalpha(with_transparency("RGBA").getchannel("A"))
    assert np.asarray(mask_from_pil(mask))[0].tolist() == [0, 0, 255, 255]


def test_eight_bit_values_survive_the_way_to_a_tensor_and_back():
    values = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
    np.testing.assert_array_equal(np.asarray(to_pil(to_tensor(values))), np.asarray(values))
    photo = make_photo()
    np.testing.assert_array_equal(np.asarray(to_pil(to_tensor(photo))), np.asarray(photo))


def test_list_images_is_sorted_recursive_and_passes_hidden_files_by(tmp_path):
    for name in ("b.JPG", "a/c.png", "a/notes.txt", "._b.JPG", ".hidden/d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [p.relative_to(tmp_path).as_posix() for p in list_images(tmp_path)] == ["a/c.png", "b.JPG"]


def test_atomic_leaves_the_old_file_and_nothing_else_after_an_error(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def half_way():
        with atomic(path) as temporary:
            temporary.write_text("new")
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        half_way()
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "old"
