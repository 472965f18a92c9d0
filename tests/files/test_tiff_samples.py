"""TIFF files whose samples have other bits, planes and meanings than 8 bits, side by side, 0 is black."""

import io

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.files.tiffs import ALPHA, COLOURS, GREY, Page, close, of_bits, save, shown, tiff, with_alpha
from unistyle.errors import ImageError
from unistyle.files.photos import photo_from_pil, read_mask, read_photo


@pytest.mark.parametrize("bits", [9, 10, 11, 12, 13, 14, 15, 16])
@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize("options", [{}, {"packed": True}, {"tile": (16, 16)}, {"fill_order": 2}], ids=str)
def test_greys_of_any_depth_whose_least_value_is_black_or_white(tmp_path, bits, photometric, options):
    values = of_bits(GREY if photometric else 255 - GREY, bits)
    for order in "<>":
        path = save(tmp_path / "a.tif", Page(values, bits, photometric, **options), order=order)
        close(shown(path), np.repeat(GREY, 3, axis=2))


@pytest.mark.parametrize("bits", [2, 4, 5, 6, 10, 12, 14, 16])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_colours_of_any_depth_side_by_side_and_in_planes(tmp_path, bits, planar, packed):
    values = of_bits(COLOURS, bits)
    path = save(tmp_path / "a.tif", Page(values, bits, 2, planar=planar, packed=packed), order=">")
    close(shown(path), COLOURS, 0 if bits == 16 else 255 / (2**bits - 1) / 2 + 1)


@pytest.mark.parametrize("tile", [None, (16, 32)])
@pytest.mark.parametrize("bits", [8, 16])
def test_planes_of_cmyk_and_of_opacity(tmp_path, bits, tile):
    inks = np.dstack([COLOURS, ALPHA])
    path = save(tmp_path / "inks.tif", Page(of_bits(inks, bits), bits, 5, planar=True, tile=tile))
    wanted = photo_from_pil(Image.fromarray(inks, mode="CMYK"))
    close(shown(path), np.asarray(wanted.rgb))
    page = Page(of_bits(with_alpha(), bits), bits, 2, extras=(2,), planar=True, tile=tile)
    close(shown(save(tmp_path / "a.tif", page)), with_alpha(), 0)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("planar", [False, True])
def test_lab_of_cie_and_of_icc(tmp_path, bits, planar):
    """CIE's a and b are signed; the ICC's have 128 for 0."""
    lab = np.dstack([COLOURS[..., :1], COLOURS[..., 1:] // 4 + 100])
    wanted = photo_from_pil(Image.merge("LAB", [Image.fromarray(band) for band in np.moveaxis(lab, -1, 0)]))
    for photometric in (8, 9):
        values = lab.astype(np.int64) << (bits - 8)
        values[..., 1:] = (values[..., 1:] - (128 << (bits - 8)) * (photometric == 8)) % (1 << bits)
        path = save(tmp_path / "a.tif", Page(values, bits, photometric, planar=planar))
        close(shown(path), np.asarray(wanted.rgb), 0)


@pytest.mark.parametrize(
    "compression", ["tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits", "zstd", "lzma"]
)
def test_strips_packed_by_libtiff(tmp_path, compression):
    image = Image.fromarray(GREY[..., 0].astype(np.uint16) * 257)
    try:
        image.save(tmp_path / "a.tif", compression=compression, tiffinfo={262: 0})
    except OSError:
        pytest.skip("LibTIFF of this Pillow has no such packer")
    close(shown(tmp_path / "a.tif"), np.repeat(255 - GREY, 3, axis=2), 0)


@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize("bits", [4, 8, 12, 16])
@pytest.mark.parametrize("extra", [2, 999])
def test_grey_with_opacity(tmp_path, bits, photometric, extra):
    grey = GREY if photometric else 255 - GREY
    page = Page(of_bits(np.dstack([grey, ALPHA]), bits), bits, photometric, extras=(extra,))
    close(shown(save(tmp_path / "a.tif", page)), with_alpha(GREY), 255 / (2**bits - 1) / 2 + 1)


@pytest.mark.parametrize("colours", [GREY, COLOURS], ids=["grey", "colours"])
@pytest.mark.parametrize("planar", [False, True])
def test_colours_of_16_bits_multiplied_by_the_opacity_are_divided(tmp_path, colours, planar):
    alpha = ALPHA.clip(40)
    values = np.dstack([np.rint(colours * 257.0 * alpha / 255), alpha * 257.0]).astype(np.uint16)
    page = Page(values, 16, 2 if colours.shape[2] == 3 else 1, extras=(1,), planar=planar)
    wanted = np.dstack([np.broadcast_to(colours, COLOURS.shape), alpha])
    close(shown(save(tmp_path / "a.tif", page)), wanted)


def test_what_is_wholly_transparent_has_no_colour_to_divide(tmp_path):
    values = np.zeros((3, 4, 4), np.uint16)
    values[:, 2:] = 65535
    found = shown(save(tmp_path / "a.tif", Page(values, 16, 2, extras=(1,))))
    assert found[0].tolist() == [[0] * 4] * 2 + [[255] * 4] * 2


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite", "rgb"])
def test_floats_of_any_size(tmp_path, dtype, photometric):
    values = (COLOURS if photometric == "rgb" else GREY[..., 0]) / 255
    values = 1 - values if photometric == "miniswhite" else values
    tifffile.imwrite(tmp_path / "a.tif", values.astype(dtype), photometric=photometric)
    close(shown(tmp_path / "a.tif"), np.repeat(GREY, 3, axis=2) if photometric != "rgb" else COLOURS)


@pytest.mark.parametrize("values", [[[0.0, 255.0]], [[-0.5, 0.5]], [[0.0, np.nan]], [[0.0, np.inf]]])
def test_floats_of_an_unknown_white_are_refused(tmp_path, values):
    tifffile.imwrite(tmp_path / "a.tif", np.float16(values), photometric="minisblack")
    with pytest.raises(
        ImageError, match=r"16 floating bits\) with values from .* wanted 0 to 1, save it with 8"
    ):
        read_photo(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("dtype", "factor"),
    [(np.uint32, 1), (np.int32, 1), (np.uint32, 257), (np.int32, 257), (np.uint32, 16843009)],
)
def test_numbers_of_32_bits_are_of_8_of_16_or_of_all(tmp_path, dtype, factor):
    tifffile.imwrite(
        tmp_path / "a.tif", (GREY[..., 0] * dtype(factor)).astype(dtype), photometric="minisblack"
    )
    close(shown(tmp_path / "a.tif"), np.repeat(GREY, 3, axis=2), 0)


@pytest.mark.parametrize(("dtype", "high"), [(np.uint32, 70000), (np.int32, 70000), (np.int32, -1)])
def test_numbers_of_32_bits_of_an_unknown_white_are_refused(tmp_path, dtype, high):
    values = np.where(GREY[..., 0] > 100, np.array(high).astype(dtype), dtype(0))
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack")
    with pytest.raises(ImageError, match="wanted 0 to 255, or 0 to 65535"):
        read_photo(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("page", "kind"),
    [
        (Page(GREY.astype(np.int16), 16, format=2), "grey, 16 signed bits"),
        (Page(COLOURS, 8, 6), "YCbCr, 8 bits"),
        (Page(COLOURS, 8, 6, tags={530: ("H", 1, 1), 532: ("II", *[16, 1, 235, 1] * 3)}), "YCbCr, 8 bits"),
        (Page(np.dstack([COLOURS, ALPHA, ALPHA]), 8, 5, extras=(2,)), "CMYK, 8 bits, with opacity"),
        (
            Page(np.dstack([GREY, ALPHA]), 8, 0, extras=(1,)),
            "min-is-white grey, 8 bits, multiplied by their opacity",
        ),
        (Page(GREY.astype(np.uint16), 16, 3), "palette, 16 bits"),
        (Page(np.repeat(GREY, 9, axis=2), 8, 1, extras=(0,) * 8), "grey, 8 bits, 8 extra samples"),
        (Page(GREY, 8, tags={259: ("H", 34887)}), "grey, 8 bits, compression 34887"),
        (Page(of_bits(GREY, 12), 12, tags={259: ("H", 7)}), "grey, 12 bits, compression jpeg"),
    ],
)
def test_what_is_not_read_is_named(tmp_path, page, kind):
    path = save(tmp_path / "a.tif", page)
    with pytest.raises(ImageError) as caught:
        read_photo(path)
    assert str(caught.value) == f"{path}: a TIFF of this kind ({kind}) is not read; save it as PNG"


def test_big_tiff_of_either_order(tmp_path):
    for order in "<>":
        path = tmp_path / "a.tif"
        values = GREY[..., 0].astype(np.uint16) * 257
        tifffile.imwrite(
            path, values, photometric="miniswhite", bigtiff=True, byteorder=order, rowsperstrip=5
        )
        if order == "<":
            close(shown(path), np.repeat(255 - GREY, 3, axis=2), 0)
        else:
            with pytest.raises(ImageError, match="BigTIFF file of big-endian numbers is not read"):
                read_photo(path)


@pytest.mark.parametrize("predictor", [2, 3])
def test_differences_between_pixels_are_undone(tmp_path, predictor):
    """Of whole numbers between pixels; of floats between bytes, first bytes first (Adobe's Technical Note 3)."""
    if predictor == 2:
        values = COLOURS.astype(np.uint16) * 257
        steps = np.diff(values, axis=1, prepend=np.zeros_like(values[:, :1]))
        page = Page(steps, 16, 2, packed=True, tags={317: ("H", 2)})
    else:
        height, width, samples = COLOURS.shape
        each = (COLOURS / 255).astype(">f4").view(np.uint8).reshape(height, width * samples, 4)
        rows = each.transpose(0, 2, 1).reshape(height, -1, samples)
        steps = np.diff(rows, axis=1, prepend=np.zeros_like(rows[:, :1]))
        page = Page(steps.reshape(height, width, -1), 8, 2, packed=True)
        page.tags = {258: ("H", 32, 32, 32), 277: ("H", 3), 317: ("H", 3), 339: ("H", 3, 3, 3)}
    close(shown(save(tmp_path / "a.tif", page)), COLOURS, 0)


@pytest.mark.parametrize(
    "options", [{}, {"rowsperstrip": 16, "compression": "zlib"}, {"rowsperstrip": 30}], ids=str
)
@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_large_pictures_are_read_part_by_part(tmp_path, options, dtype):
    """Of more bytes than are unpacked at a time."""
    colours = np.resize(COLOURS, (1500, 2100, 3))
    values = colours * dtype(257) if dtype == np.uint16 else (colours / 255).astype(dtype)
    planes = np.moveaxis(values, -1, 0)
    tifffile.imwrite(tmp_path / "a.tif", planes, photometric="rgb", planarconfig="separate", **options)
    close(shown(tmp_path / "a.tif"), colours, 0)


def test_masks_of_12_bits(tmp_path):
    values = np.where(np.arange(37) < 9, 4095, 0) * np.ones((23, 1, 1), int)
    found = np.asarray(read_mask(save(tmp_path / "a.tif", Page(values.reshape(23, 37, 1), 12))))
    assert found[0].tolist() == [255] * 9 + [0] * 28


@pytest.mark.parametrize("bits", [12, 16])
def test_images_that_somebody_opened(bits):
    data = tiff(Page(of_bits(255 - GREY, bits), bits, 0), Page(of_bits(GREY, bits), bits, 1))
    for page in (0, 1):
        image = Image.open(io.BytesIO(data)) if bits == 16 else None
        if image is None:  # Pillow knows no min-is-white of 12 bits
            with pytest.raises(Exception, match="cannot identify"):
                Image.open(io.BytesIO(data))
            continue
        image.seek(page)
        for _ in range(2):
            close(np.asarray(photo_from_pil(image).rgb), np.repeat(GREY, 3, axis=2), 0)
        image.load()
        close(np.asarray(photo_from_pil(image).rgb), np.repeat(GREY, 3, axis=2), 0)


def test_image_of_12_bits_that_somebody_read():
    image = Image.open(io.BytesIO(tiff(Page(of_bits(GREY, 12), 12))))
    image.load()
    assert image.mode == "I;16"
    close(np.asarray(photo_from_pil(image).rgb), np.repeat(GREY, 3, axis=2), 0)
