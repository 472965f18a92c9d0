"""Photos in every colour space: restyled alike, and untouched outside."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from tests.files.spaces import GREYS, SPACES, SRGB, Space, by_profile
from tests.helpers import make_photo
from unistyle import UniStyle
from unistyle.files.photos import photo_from_pil

CALM = Image.fromarray(
    (np.asarray(make_photo()) * 0.6 + 50).astype(np.uint8)
)  # within every space, and not dark
LEFT = Image.new("L", CALM.size)
LEFT.paste(255, (0, 0, CALM.width // 2, CALM.height))
SOFT = Image.fromarray(np.tile(np.linspace(0, 255, CALM.width).astype(np.uint8), (CALM.height, 1)))


@pytest.fixture(scope="module")
def model(checkpoint):
    return UniStyle.from_pretrained(checkpoint, "cpu")


def in_space(space: Space, srgb: Image.Image = CALM, kind: bytes = b"RGB ") -> Image.Image:
    """The twin of an sRGB photo."""
    values = space.values(np.asarray(srgb))
    twin = Image.fromarray(values if kind == b"RGB " else values[..., 0])
    twin.info["icc_profile"] = space.profile(kind)
    return twin


def apart(one: Image.Image, other: Image.Image) -> np.ndarray:
    """Of what is seen, at each pixel."""
    return np.abs(by_profile(one) - by_profile(other)).max(-1)


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("options", [{}, {"strength": 0.4}, {"color": "keep"}], ids=str)
def test_twins_look_alike(model, name, options):
    plain = model.restyle(CALM, "stone", LEFT, **options)
    twin = in_space(SPACES[name])
    result = model.restyle(twin, "stone", LEFT, **options)
    assert result.image.info["icc_profile"] == SPACES[name].profile()
    np.testing.assert_array_equal(np.asarray(result.image)[:, 32:], np.asarray(twin)[:, 32:])
    inside = apart(result.image, plain.image)[:, :32]
    assert inside.mean() < 4  # steps of 255; 8 bits of another space are not those of sRGB
    assert np.median(apart(plain.image, CALM)[:, :32]) > inside.mean()  # of which there was something to miss


@pytest.mark.parametrize("name", GREYS)
def test_grey_twins_look_alike(model, name):
    grey = CALM.convert("L").convert("RGB")
    plain = model.restyle(grey, "stone", LEFT)
    result = model.restyle(in_space(GREYS[name], grey, b"GRAY"), "stone", LEFT)
    assert apart(result.image, plain.image).mean() < 4


@pytest.mark.parametrize("name", SPACES)
def test_the_same_is_found(model, name):
    plain, twin = model.find(CALM), model.find(in_space(SPACES[name]))
    assert set(plain.materials) == set(twin.materials)
    for material, share in plain.materials.items():
        assert twin.materials[material] == pytest.approx(share, abs=0.05)


@pytest.mark.parametrize("name", SPACES)
def test_style_photos_are_the_same_style(model, name):
    plain, twin, raw = in_space(SRGB), in_space(SPACES[name]), in_space(SPACES[name])
    raw.info.clear()
    code, same, other = (model.plan(photo)[0].swatches.codes for photo in (plain, twin, raw))
    assert (same - code).norm() < 0.25 * (other - code).norm()


def test_batches_hold_photos_of_several_spaces(model):
    twins = [CALM, *(in_space(space) for space in SPACES.values())]
    together = model.restyle_batch(twins, "stone", [LEFT] * len(twins))
    for twin, result in zip(twins, together, strict=True):
        alone = model.restyle(twin, "stone", LEFT).image
        assert alone.info == result.image.info
        difference = np.asarray(alone).astype(int) - np.asarray(result.image)
        assert np.abs(difference).max() <= 2  # of sums that are taken in another order


def test_transparency_is_as_it_was(model):
    twin = in_space(SPACES["Display P3"]).convert("RGBA")
    twin.info["icc_profile"] = SPACES["Display P3"].profile()
    twin.putalpha(SOFT)
    result = np.asarray(model.restyle(twin, "stone", LEFT).image)
    np.testing.assert_array_equal(result[..., 3], np.asarray(SOFT))
    np.testing.assert_array_equal(result[:, 32:], np.asarray(twin)[:, 32:])


WIDE = Image.new("RGB", CALM.size, (250, 10, 20))  # in Display P3, more of red than sRGB holds
WIDE.info["icc_profile"] = SPACES["Display P3"].profile()


def test_colours_beyond_srgb_leave_no_edge():
    """As much of a result as nothing changes as much as nothing; all of it leaves nothing behind."""
    photo = photo_from_pil(WIDE)
    laid = Image.composite(Image.new("RGB", WIDE.size, (100, 100, 100)), photo.srgb, SOFT)
    result = photo.with_srgb(laid, SOFT)
    seen = np.asarray(result)[0].astype(int)
    np.testing.assert_array_equal(seen[0], (250, 10, 20))
    assert np.abs(np.diff(seen, axis=0)).max() <= 5
    assert np.ptp(seen[-1]) <= 1  # grey, without a hue of the photo
    unchanged = photo.with_srgb(photo.srgb.copy(), SOFT, strength=0.0)
    np.testing.assert_array_equal(np.asarray(unchanged), np.asarray(WIDE))


def test_kept_colours_are_kept_beyond_srgb(model):
    result = np.asarray(model.restyle(WIDE, "stone", LEFT, color="keep").image)[:, :32].astype(float)
    inside = by_profile(Image.fromarray(result.astype(np.uint8)))
    assert (inside[..., 0] - inside[..., 1]).mean() > 180


# Properties of any profile, photo and mask

COORDINATES = st.tuples(
    st.floats(0.60, 0.72), st.floats(0.28, 0.34), st.floats(0.18, 0.32), st.floats(0.58, 0.75),
    st.floats(0.13, 0.16), st.floats(0.04, 0.08),
)  # fmt: skip
ANY_SPACE = st.builds(
    lambda points, exponent: Space((0.3127, 0.3290, *points), lambda v: v**exponent),
    COORDINATES,
    st.floats(1, 2.6),
)
SIZES = st.tuples(st.integers(1, 40), st.integers(1, 40))


def noise(seed: int, size: tuple[int, int], mode: str) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 4), dtype=np.uint8)
    return Image.fromarray(values[..., :3]).convert(mode) if mode != "RGBA" else Image.fromarray(values)


@settings(max_examples=25, deadline=None)
@given(
    ANY_SPACE, SIZES, st.sampled_from(["RGB", "RGBA", "L", "LA", "P"]), st.integers(0, 2**32 - 1), st.floats(0, 1)
)  # fmt: skip
def test_outside_is_equal_to_the_bit(space, size, mode, seed, strength):
    stored = noise(seed, size, mode)
    stored.info["icc_profile"] = space.profile(b"GRAY" if mode in ("L", "LA") else b"RGB ")
    photo = photo_from_pil(stored)
    mask = noise(seed + 1, size, "L").point(lambda value: max(0, 2 * value - 255))
    result = photo.with_srgb(noise(seed + 2, size, "RGB"), mask, strength)
    wanted = stored.convert("RGBA" if mode in ("RGBA", "LA") else "RGB")
    outside = np.asarray(mask) == 0
    np.testing.assert_array_equal(np.asarray(result)[outside], np.asarray(wanted)[outside])
    np.testing.assert_array_equal(
        np.asarray(photo.with_srgb(photo.srgb.copy(), mask, 0.0)), np.asarray(wanted)
    )


@settings(max_examples=25, deadline=None)
@given(ANY_SPACE, st.integers(0, 2**32 - 1))
def test_seen_as_littlecms_sees_it(space, seed):
    stored = noise(seed, (16, 16), "RGB")
    stored.info["icc_profile"] = space.profile()
    srgb = np.asarray(photo_from_pil(stored).srgb).astype(float)
    assert np.abs(srgb - space.seen(np.asarray(stored))).max() <= 1.5
    source = ImageCms.ImageCmsProfile(io.BytesIO(space.profile()))
    wanted = ImageCms.profileToProfile(stored, source, ImageCms.createProfile("sRGB"))
    assert np.abs(srgb - np.asarray(wanted)).max() <= 1


# 8 bits of linear values hold too few dark tones to be the same picture.
@settings(max_examples=12, deadline=None)
@given(
    st.builds(
        lambda space, exponent: replace(space, light=lambda v: v**exponent), ANY_SPACE, st.floats(1.8, 2.6)
    )
)
def test_any_twin_looks_alike(space):
    with torch.inference_mode():
        model = test_any_twin_looks_alike.model
        plain, twin = (model.restyle(photo, "stone", LEFT).image for photo in (CALM, in_space(space)))
    assert apart(plain, twin)[:, :32].mean() < 5


@pytest.fixture(autouse=True)
def _lend_model(model):
    """Properties take what they are given, and no fixtures that are made for each test."""
    test_any_twin_looks_alike.model = model
