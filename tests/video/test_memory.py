"""What is kept from frame to frame: styles, masks, moments and the place of the noise."""

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers import make_photo
from tests.video.frames import moving
from unistyle import Memory, UniStyle
from unistyle.video.memory import SMOOTHING, is_cut, shift, stillness


@pytest.fixture(scope="module")
def model(checkpoint) -> UniStyle:
    return UniStyle.from_pretrained(checkpoint, device="cpu")


def test_a_cut_starts_the_averages_anew_and_keeps_the_style(model):
    first, other = make_photo(), Image.fromarray(np.asarray(make_photo(seed=3).rotate(180)) // 2 + 120)
    memory, noisy = Memory(0.8), [make_photo(seed=seed) for seed in range(4)]
    for frame in noisy:
        chosen = model.restyle(frame, "stone", memory=memory, everywhere=True).styles
    assert memory.cuts == 0
    after = model.restyle(other, "stone", memory=memory, everywhere=True)
    assert memory.cuts == 1
    assert after.styles == chosen == model.restyle(noisy[0], "stone", everywhere=True).styles
    alone = model.restyle(other, chosen["*"], everywhere=True)
    np.testing.assert_array_equal(np.asarray(after.image), np.asarray(alone.image))
    smoothed = model.restyle(first, "stone", memory=memory, everywhere=True)  # another cut
    np.testing.assert_array_equal(
        np.asarray(smoothed.image), np.asarray(model.restyle(first, chosen["*"], everywhere=True).image)
    )


def test_masks_are_averaged_where_nothing_moves_alone():
    memory, now = Memory(0.5), torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    found = torch.zeros(1, 1, 8, 8)
    memory.found(now, found)
    changed = now.clone()
    changed[..., 16:] = changed[..., 16:].flip(-1)  # the right half moves
    mixed = memory.found(changed, found + 1)
    assert memory.cuts == 0
    torch.testing.assert_close(mixed[..., :2], torch.full((1, 1, 8, 2), 1 / 1.5))
    assert (mixed[..., 6:] > 0.95).all()
    assert (stillness(now, now) == 1).all()


def test_cuts_are_told_from_motion_and_noise():
    photos = [torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)[None] / 255 for image in moving(3)]
    noise = 0.02 * torch.randn(photos[0].shape, generator=torch.Generator().manual_seed(0))
    dark = [photo * 0.2 for photo in photos]
    assert not is_cut(photos[0], photos[1])
    assert not is_cut(photos[0], photos[0] + noise)
    assert not is_cut(dark[0], dark[1])
    assert not is_cut(photos[0], photos[0].flip(-1))  # however fast
    assert is_cut(photos[0], photos[0].square())
    assert is_cut(dark[0], 0.2 - dark[0].sqrt() * 0.4)
    assert not is_cut(torch.zeros_like(noise), noise.abs())


@pytest.mark.parametrize("step", [(0, 0), (3, 2), (-3, 5), (0, -7)])
def test_noise_moves_with_the_picture(model, step):
    photo = torch.from_numpy(np.asarray(make_photo(80, 90).convert("L")) / 255).float()
    before, now = photo[10:70, 10:80], photo[10 + step[0] : 70 + step[0], 10 + step[1] : 80 + step[1]]
    assert shift(before, now) == step
    noise = 0.01 * torch.randn(before.shape, generator=torch.Generator().manual_seed(0))
    assert shift(before, now + noise) == step
    assert shift(before, torch.rand(before.shape, generator=torch.Generator().manual_seed(1))) == (0, 0)
    memory = Memory()
    for image in (before, now):
        memory.found(image.expand(1, 3, -1, -1), torch.zeros(1, 1, 15, 18))
    regions = memory.regions(torch.zeros(1, 1, 15, 18), model.network.stylizer.noise)
    assert regions.offset((60, 70)) == step
    assert regions.offset((30, 35)) == (step[0] // 2, step[1] // 2)


def test_a_region_that_is_gone_leaves_its_average(model):
    memory, mask = Memory(0.8), Image.new("L", (64, 48), 255)
    model.restyle(make_photo(), "stone", mask, memory=memory)
    before = [[value.clone() for value in average.values] for average in memory._layers.values()]
    result = model.restyle(make_photo(), "stone", Image.new("L", (64, 48), 0), memory=memory)
    np.testing.assert_array_equal(np.asarray(result.image), np.asarray(make_photo()))
    for average, values in zip(memory._layers.values(), before, strict=True):
        for now, then in zip(average.values, values, strict=True):
            torch.testing.assert_close(now, then, rtol=1e-3, atol=1e-3)


def test_frames_come_one_a_call(model):
    with pytest.raises(ValueError, match="one per call"):
        model.restyle_batch([make_photo(), make_photo()], "stone", memory=Memory())
    assert SMOOTHING == 0.8
