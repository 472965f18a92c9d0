"""Samples through the public class: nothing asked, tiles, batches, sizes, videos."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.helpers import make_photo, sampled
from unistyle import Memory, UniStyle
from unistyle.checkpoint.checkpoint import load_checkpoint


@pytest.fixture(scope="module")
def plain(checkpoint) -> UniStyle:
    return UniStyle.from_pretrained(checkpoint, device="cpu")


@pytest.fixture(scope="module")
def model(checkpoint) -> UniStyle:
    before = load_checkpoint(checkpoint)
    return UniStyle(replace(before, bank=sampled(before.bank)), device="cpu")


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


WHITE = Image.new("L", (160, 120), 255)


@pytest.mark.parametrize("max_size", [64, 1024, None])
def test_without_structure_the_result_is_that_of_the_statistics_to_the_bit(plain, model, max_size):
    photo = make_photo(120, 160)
    wanted = plain.restyle(photo, "stone", WHITE, max_size=max_size)
    got = model.restyle(photo, "stone", WHITE, max_size=max_size, structure=0)
    np.testing.assert_array_equal(pixels(got.image), pixels(wanted.image))
    laid = model.restyle(photo, "stone", WHITE, max_size=max_size)
    assert np.abs(pixels(laid.image) - pixels(wanted.image)).mean() > 3


def test_where_the_mask_is_zero_the_photo_is_untouched(model):
    photo, mask = make_photo(120, 160), WHITE.copy()
    mask.paste(0, (0, 0, 70, 120))
    for max_size in (64, None):
        result = model.restyle(photo, "stone", mask, max_size=max_size)
        np.testing.assert_array_equal(pixels(result.image)[:, :70], pixels(photo)[:, :70])


def test_structure_and_texture_scale_change_the_result_and_are_checked(model):
    photo = make_photo(120, 160)
    settings = (dict(), dict(structure=0.5), dict(texture_scale=2.0))
    every = [pixels(model.restyle(photo, "stone", WHITE, **each).image) for each in settings]
    assert all(np.abs(every[0] - other).mean() > 1 for other in every[1:])
    for bad, message in (
        (dict(structure=1.1), "structure 1.1; wanted"),
        (dict(texture_scale=0), "texture_scale 0;"),
    ):
        with pytest.raises(ValueError, match=message):
            model.restyle(photo, "stone", **bad)


def test_a_batch_is_what_each_photo_gives(model):
    photos = [make_photo(120, 160, seed) for seed in (0, 5)]
    both = model.restyle_batch(photos, {"leather": "stone", "*": "metal"})
    for photo, result in zip(photos, both, strict=True):
        alone = model.restyle(photo, {"leather": "stone", "*": "metal"})
        assert np.abs(pixels(result.image) - pixels(alone.image)).max() <= 1


def test_in_tiles_it_is_what_the_whole_gives(checkpoint):
    before = load_checkpoint(checkpoint)
    model = UniStyle(replace(before, bank=sampled(before.bank)), device="cpu")
    photo, mask = make_photo(200, 300), Image.new("L", (300, 200), 255)
    whole = model.restyle(photo, "stone", mask, max_size=None)
    model.pixels_at_once = 2000
    tiled = model.restyle(photo, "stone", mask, max_size=None)
    assert np.abs(pixels(tiled.image) - pixels(whole.image)).mean() < 2


def test_one_look_at_every_size(model):
    photo, mask = make_photo(150, 200), Image.new("L", (200, 150), 255)
    small = model.restyle(photo, "stone", mask).image
    large = model.restyle(
        photo.resize((800, 600), Image.Resampling.BICUBIC), "stone", mask.resize((800, 600)), max_size=150
    )
    again = large.image.resize((200, 150), Image.Resampling.BOX)
    assert np.abs(pixels(again) - pixels(small)).mean() < 8


def test_a_style_photo_brings_its_own_sample(model, tmp_path):
    path = tmp_path / "wall.png"
    make_photo(90, 120, seed=4).save(path)
    plan = model.plan(str(path))
    assert plan[0].swatches.structure.tolist() == [1.0]
    photo = make_photo(120, 160)
    kept = model.restyle(photo, plan, WHITE)
    np.testing.assert_array_equal(pixels(kept.image), pixels(model.restyle(photo, str(path), WHITE).image))


def test_the_fingerprint_knows_the_sample(plain, model):
    assert plain.fingerprint(plain.plan("stone")) != model.fingerprint(model.plan("stone"))


def test_in_a_video_the_sample_moves_with_the_picture(model):
    frame, wide = make_photo(128, 160, seed=3), make_photo(128, 192, seed=3)
    frames = [wide.crop((step, 0, step + 160, 128)) for step in (0, 16)]
    mask = Image.new("L", frame.size, 255)
    memory = Memory(smoothing=0.5)
    first, second = (pixels(model.restyle(f, "stone", mask, memory=memory).image) for f in frames)
    moves = np.abs(second[:, 20:-40] - first[:, 36:-24]).mean()
    stays = np.abs(second[:, 20:-40] - first[:, 20:-40]).mean()
    assert memory.moved()[1] == pytest.approx(16 / 160)
    assert moves < 0.7 * stays
