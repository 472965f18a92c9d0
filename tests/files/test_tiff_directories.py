"""TIFF files of several pictures, of cameras, and damaged ones."""

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.files.tiffs import COLOURS, GREY, Page, close, of_bits, save, shown, tiff
from unistyle.errors import ImageError
from unistyle.files.decoding.tiff import readable
from unistyle.files.photos import read_photo

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def thumbnail(tags=(), inside=()) -> Page:
    return Page(COLOURS[::4, ::4].copy(), 8, 2, tags={254: ("I", 1), **dict(tags)}, inside=list(inside))


DNG = {50706: ("B", 1, 4, 0, 0)}
FULL = Page(COLOURS, 8, 2)


@pytest.mark.parametrize(
    "pages",
    [
        [thumbnail(), FULL],
        [Page(COLOURS[::4, ::4].copy(), 8, 2, tags={255: ("H", 2)}), FULL],
        [Page(GREY, 8, 1, tags={254: ("I", 4)}), FULL],
        [thumbnail(), thumbnail(), Page(of_bits(COLOURS, 12), 12, 2, packed=True)],
        [thumbnail(inside=[thumbnail(), FULL])],
        [FULL, Page(np.zeros_like(COLOURS), 8, 2)],
        [Page(COLOURS, 8, 2, inside=[thumbnail()]), thumbnail()],
        [thumbnail(), Page(COLOURS, 8, 2, tags={254: ("I", 1)})],
    ],
    ids=["reduced", "old tag", "mask", "two", "inside", "pages", "pyramid", "all reduced"],
)
def test_full_picture_counts(tmp_path, pages):
    path = save(tmp_path / "a.tif", *pages)
    close(shown(path), COLOURS)
    asked = []
    read_photo(path, asked.append)
    assert asked == [(37, 23)]  # memory is asked for what is read


@pytest.mark.parametrize("where", ["first", "own"])
def test_full_picture_keeps_what_the_file_says_of_the_photo(tmp_path, where):
    about = {274: ("H", 6), 34675: ("s", SRGB)}
    pages = [Page(GREY[::4, ::4].copy(), 8, tags={254: ("I", 1), **(about if where == "first" else {})})]
    pages.append(Page(COLOURS, 8, 2, tags=about if where == "own" else {}))
    photo = read_photo(save(tmp_path / "a.tif", *pages))
    assert photo.profile == SRGB
    np.testing.assert_array_equal(np.asarray(photo.rgb), np.rot90(COLOURS, -1))


def test_deep_picture_keeps_what_the_file_says_of_the_photo(tmp_path):
    tags = {274: ("H", 6), 34675: ("s", SRGB), 282: ("II", 300, 1), 283: ("II", 300, 1), 296: ("H", 2)}
    path = save(tmp_path / "a.tif", Page(of_bits(COLOURS, 16), 16, 2, planar=True, tags=tags))
    photo = read_photo(path)
    assert photo.profile == SRGB
    np.testing.assert_array_equal(np.asarray(photo.rgb), np.rot90(COLOURS, -1))
    with path.open("rb") as file, Image.open(readable(file)) as image:
        assert (image.mode, image.size) == ("RGB", (23, 37))
        assert image.info["dpi"] == (300, 300)
        assert image.tag_v2[274] == 6


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (
            tiff(
                Page(
                    COLOURS,
                    8,
                    2,
                    tags={254: ("I", 1), 50706: ("B", 1, 4, 0, 0)},
                    inside=[Page(GREY, 8, 32803)],
                )
            ),
            "DNG",
        ),
        (tiff(Page(of_bits(COLOURS, 16), 16, 34892, tags=DNG)), "DNG"),
        (tiff(Page(COLOURS, 8, 2, inside=[Page(GREY, 8, 32803)]), order=">"), "a TIFF of single colours"),
        (tiff(thumbnail(), Page(GREY, 8, 32803)), "a TIFF of single colours"),
        (b"II*\0\x10\0\0\0CR\2\0" + bytes(100), "CR2"),
        (b"\0\0\0\x18ftypcrx " + bytes(100), "CR3"),
        (b"IIU\0\x18\0\0\0" + bytes(100), "RW2"),
        (b"IIRO\x08\0\0\0" + bytes(100), "ORF"),
        (b"FUJIFILMCCD-RAW 0201" + bytes(100), "RAF"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_raw_files_of_cameras_are_refused_by_name(tmp_path, data, kind):
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(ImageError) as caught:
        read_photo(tmp_path / "a.tif")
    assert f"a camera's raw file ({kind}), which has to be developed first" in str(caught.value)


@pytest.mark.parametrize(
    "page", [Page(of_bits(GREY, 12), 12), Page(of_bits(COLOURS, 16), 16, 2, planar=True, packed=True)]
)
def test_cut_off_files_are_refused(tmp_path, page):
    data = tiff(page)
    for part in (9, 5, 3, 2):  # directories come last
        (tmp_path / "a.tif").write_bytes(data[: len(data) * part // 10])
        with pytest.raises(
            ImageError, match="cannot be read as an image: the TIFF file is cut off or damaged"
        ):
            read_photo(tmp_path / "a.tif")
    tags = page.tags | {273: ("I", *[10**8] * 30)}
    (tmp_path / "a.tif").write_bytes(
        tiff(
            Page(page.values, page.bits, page.photometric, planar=page.planar, packed=page.packed, tags=tags)
        )
    )
    with pytest.raises(ImageError, match="cut off or damaged"):
        read_photo(tmp_path / "a.tif")


def test_thumbnail_does_not_stand_for_a_picture_that_is_cut_off(tmp_path):
    data = bytearray(tiff(thumbnail(), FULL))
    first = int.from_bytes(data[4:8], "little")
    end = first + 2 + 12 * int.from_bytes(data[first : first + 2], "little")
    data[end : end + 4] = (len(data) + 10).to_bytes(4, "little")
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(ImageError, match="cut off or damaged"):
        read_photo(tmp_path / "a.tif")


@pytest.mark.parametrize(
    "page", [Page(COLOURS, 8, 2), Page(GREY, 8, tile=(16, 16)), Page(of_bits(GREY, 12), 12)]
)
def test_missing_strips_are_not_black(tmp_path, page):
    page.tags = {257: ("I", 1000)}
    with pytest.raises(ImageError, match="cut off or damaged"):
        read_photo(save(tmp_path / "a.tif", page))


def test_damage_after_the_picture_does_no_harm(tmp_path):
    page = Page(COLOURS, 8, 2, tags={330: ("I", 10**6)})
    close(shown(save(tmp_path / "a.tif", page)), COLOURS, 0)


@pytest.mark.parametrize("width", [2**20, 2**31])
def test_tiles_that_claim_more_than_the_picture_are_refused(tmp_path, width):
    page = Page(
        of_bits(COLOURS, 16), 16, 2, planar=True, packed=True, tile=(32, 48), tags={322: ("I", width)}
    )
    with pytest.raises(ImageError, match="bytes each is not read"):
        read_photo(save(tmp_path / "a.tif", page))
