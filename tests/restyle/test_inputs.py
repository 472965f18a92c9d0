"""Photos, masks and styles as other programs hold them, and what the Python API says to wrong arguments."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from upath import UPath

from tests.helpers import make_photo
from unistyle import ImageError, UniStyle
from unistyle.restyle.stack import as_photo

PHOTO = make_photo(48, 64, seed=1)
PIXELS = np.asarray(PHOTO)
PLANES = torch.from_numpy(PIXELS.copy()).permute(2, 0, 1)


def encoded(image=PHOTO):
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


DATA = encoded()


@pytest.fixture(scope="module")
def model(checkpoint):
    return UniStyle.from_pretrained(checkpoint, device="cpu")


def equal(photo):
    return np.array_equal(np.asarray(as_photo(photo).rgb), PIXELS)


@pytest.mark.parametrize(
    "photo",
    [PIXELS, PIXELS / 255, (PIXELS / 255).astype(np.float32), PIXELS[::-1][::-1], np.dstack([PIXELS, PIXELS[..., :1]]),
     PLANES, PLANES / 255, (PLANES / 255).double().requires_grad_(), PLANES.contiguous(),
     DATA, bytearray(DATA), io.BytesIO(DATA)],
)  # fmt: skip
def test_one_photo_however_it_is_given(photo):
    assert equal(photo)


def test_files_and_addresses(tmp_path):
    path = tmp_path / "a b.png"
    path.write_bytes(DATA)
    with path.open("rb") as file:
        assert equal(file)
    UPath("memory://inputs/a.png").write_bytes(DATA)
    for photo in (path, str(path), f"file://{path}", UPath("memory://inputs/a.png"), "memory://inputs/a.png"):
        assert equal(photo)


def test_grey_arrays_and_booleans_are_masks(model):
    mask = np.zeros((48, 64), bool)
    mask[:, :32] = True
    wanted = model.restyle(PHOTO, "stone", mask=Image.fromarray(mask.astype(np.uint8) * 255))
    for given in (mask, mask[..., None], mask.astype(np.float32), torch.from_numpy(mask), torch.from_numpy(mask)[None],
                  encoded(Image.fromarray(mask))):  # fmt: skip
        got = model.restyle(PIXELS, "stone", mask=given)
        assert got.image.tobytes() == wanted.image.tobytes()
        assert got.mask.tobytes() == wanted.mask.tobytes()


def test_styles_are_given_as_photos_are(model):
    UPath("memory://inputs/style.png").write_bytes(DATA)
    wanted = model.restyle(PHOTO, PHOTO).image.tobytes()
    for style in (PIXELS, PLANES / 255, DATA, io.BytesIO(DATA), "memory://inputs/style.png"):
        assert model.restyle(PHOTO, style).image.tobytes() == wanted
        if not isinstance(style, io.BytesIO):
            assert model.restyle(PHOTO, {"*": style}).image.tobytes() == wanted


def test_half_precision_and_opacity():
    half = as_photo((PLANES / 255).bfloat16()).rgb
    assert np.abs(np.asarray(half).astype(int) - PIXELS).max() <= 1
    opacity = np.full((48, 64), 7, np.uint8)
    assert as_photo(np.dstack([PIXELS, opacity])).opacity.getextrema() == (7, 7)


@pytest.mark.parametrize(
    ("photo", "message"),
    [(PIXELS.transpose(2, 0, 1), r"a numpy array \(3, 48, 64\) of uint8; wanted h w 3"),
     (PLANES.permute(1, 2, 0), r"a tensor \(48, 64, 3\) of torch.uint8; wanted 3 h w"),
     (PLANES[None], r"a tensor \(1, 3, 48, 64\)"), (np.zeros(4), r"\(4,\)"), (np.zeros((0, 4, 3)), r"\(0, 4, 3\)"),
     (PIXELS.astype(np.int64), "of int64; wanted uint8"), (PIXELS.astype(np.float32), r"values from 0 to 25\d"),
     (np.full((4, 4), np.nan), "values from nan to nan"), (np.zeros((4, 4, 3), complex), "complex128"),
     (b"", "0 bytes: "), (b"no photo", "8 bytes: "), (DATA[:200], "200 bytes: "), (io.StringIO("text"), 'mode "rb"'),
     (None, "got NoneType for a photo; wanted a PIL image"), (3, "got int"), ([PHOTO], "got list"),
     ("memory://inputs/none.png", "none.png"), ("nothing://a.png", "nothing://a.png"),
     ("file:///no/such.png", "no such")],
)  # fmt: skip
def test_what_is_no_photo_is_said_in_one_short_line(photo, message):
    with pytest.raises(ImageError, match=message) as caught:
        as_photo(photo)
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("style", "message"),
    [(np.zeros(4), "wanted h w 3"), ([PHOTO], "got list"), (None, "got NoneType"), ("memory://inputs/none", "none"),
     (3, "got int")],
)  # fmt: skip
def test_what_is_no_style_is_said(model, style, message):
    with pytest.raises(ValueError, match=message) as caught:
        model.restyle(PHOTO, style)
    assert len(str(caught.value)) < 400


def test_no_photos_give_no_results(model):
    assert model.restyle_batch([], "stone") == []
    assert model.restyle_batch((), "stone", []) == []
    assert len(model.restyle_batch((photo for photo in (PHOTO, PIXELS)), "stone")) == 2


@pytest.mark.parametrize("photos", [PHOTO, "a.png", PIXELS, PLANES, DATA, 3, None, {"a": PHOTO}])
def test_one_photo_in_place_of_a_list_is_refused(model, photos):
    with pytest.raises(ValueError, match=r"photos is one .*; wanted a list"):
        model.restyle_batch(photos, "stone")


@pytest.mark.parametrize(
    ("masks", "message"),
    [([PHOTO], "2 photos and 1 masks"), ([PHOTO] * 3, "2 photos and 3 masks"), ([], "2 photos and 0 masks"),
     ([PHOTO, None], r"masks\[1\] is None"), (PHOTO, "masks is one Image; wanted a list"),
     ([PHOTO.convert("L"), 3], "got int for a photo")],
)  # fmt: skip
def test_masks_go_with_photos_one_by_one(model, masks, message):
    with pytest.raises(ValueError, match=message):
        model.restyle_batch([PHOTO, PHOTO], "stone", masks)


@pytest.mark.parametrize(
    ("name", "value"),
    [("strength", "0.5"), ("strength", None), ("strength", True), ("structure", "1"), ("texture_scale", [1]),
     ("max_size", "512"), ("max_size", 512.5), ("max_size", (512, 512))],
)  # fmt: skip
def test_options_of_the_wrong_kind_are_named(model, name, value):
    with pytest.raises(ValueError, match=rf"{name} is .*; wanted a (whole )?number"):
        model.restyle(PHOTO, "stone", **{name: value})


def test_numbers_of_numpy_are_numbers(model):
    model.restyle(PHOTO, "stone", strength=np.float32(0.5), max_size=np.int64(64))
