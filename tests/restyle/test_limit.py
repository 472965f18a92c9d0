"""What happens when memory runs out, and how much goes through the network at a time."""

import logging

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers import make_photo
from unistyle import UniStyle
from unistyle.network.model import SMALLEST
from unistyle.restyle.stack import THIN, as_seen, smallest, working_pixels


@pytest.fixture
def model(checkpoint) -> UniStyle:
    return UniStyle.from_pretrained(checkpoint, device="cpu")


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


class Memory:
    """Has a pass run out of memory above so many pixels, by either of PyTorch's errors."""

    def __init__(self, model: UniStyle, most: int, error: Exception):
        self.find, self.most, self.error, self.seen = model.network.find, most, error, []
        model.network.find = self

    def __call__(self, photo):
        self.seen.append((len(photo), photo[0, 0].numel()))
        if photo[:, 0].numel() > self.most:
            raise self.error
        return self.find(photo)


OOM = [
    torch.OutOfMemoryError("CUDA out of memory"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory"),
]


@pytest.mark.parametrize("error", OOM)
def test_out_of_memory_halves_the_batch(model, error, caplog):
    photos = [make_photo(64, 64, seed) for seed in range(5)]
    wanted = [model.restyle(photo, "metal") for photo in photos]
    memory = Memory(model, 2 * 64 * 64, error)
    with caplog.at_level(logging.WARNING):
        got = model.restyle_batch(photos, "metal")
    assert [n for n, _ in memory.seen] == [5, 3, 2, 1, 2]
    assert [r.getMessage()[:13] for r in caplog.records] == ["out of memory"] * 2
    for a, b in zip(got, wanted, strict=True):
        assert np.abs(pixels(a.image) - pixels(b.image)).max() <= 1


def test_out_of_memory_with_one_photo_goes_on_in_tiles_and_gives_up_at_last(model, caplog):
    model.passes.limit.least = 10_000
    model.passes.reduced = 80
    photo = make_photo(160, 200)
    Memory(model, 10_000, OOM[0])
    with caplog.at_level(logging.WARNING):
        assert model.restyle(photo, "metal", max_size=None).image.size == photo.size
    assert "tiles" in caplog.text
    Memory(model, 100, OOM[0])
    with pytest.raises(torch.OutOfMemoryError):
        model.restyle(photo, "metal", max_size=None)


def test_another_error_is_no_lack_of_memory(model):
    Memory(model, 0, RuntimeError("a bug"))
    with pytest.raises(RuntimeError, match="a bug"):
        model.restyle_batch([make_photo()] * 2, "metal")


def test_a_batch_is_cut_to_what_one_pass_takes(model):
    memory = Memory(model, 10**9, ValueError())
    model.pixels_at_once = 2 * 64 * 64
    assert len(model.restyle_batch([make_photo(64, 64, s) for s in range(5)], "metal")) == 5
    assert [n for n, _ in memory.seen] == [2, 2, 1]


@pytest.mark.parametrize("size", [(60, 20000), (20000, 33), (1, 3000), (3000, 3), (512, 384), (20, 20)])
def test_thin_photos_are_seen_longer_and_not_made_wider(size):
    width, height = smallest(*size)
    assert (width, height) == tuple(max(side, SMALLEST) for side in size)
    seen = as_seen(torch.zeros(1, 3, height, width), 64)
    ratio = max(width, height) / min(width, height)
    assert min(seen.shape[-2:]) >= SMALLEST
    assert max(seen.shape[-2:]) <= max(64 * THIN, SMALLEST * (ratio + 1))
    assert seen[0, 0].numel() == working_pixels(*size, 64)


def test_the_short_side_says_how_large_a_photo_is_seen():
    for size, wanted in [
        ((512, 384), (48, 64)), ((384, 512), (64, 48)), ((1920, 1080), (48, 85)), ((400, 400), (48, 48)),
        ((40, 33), (33, 40)), ((2000, 100), (32, 640)), ((2000, 400), (38, 192)),
    ]:  # fmt: skip
        assert as_seen(torch.zeros(1, 3, size[1], size[0]), 48).shape[-2:] == wanted


def test_a_thin_photo_is_restyled(model):
    photo = make_photo(3, 3000)
    for max_size in (64, None):
        result = model.restyle(photo, "stone", Image.new("L", photo.size, 255), max_size=max_size).image
        assert result.size == photo.size
        assert np.abs(np.asarray(result).astype(int) - np.asarray(photo)).mean() > 3
    assert model.find(photo).main.size == photo.size
