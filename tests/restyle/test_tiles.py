"""Photos in parts: the same as in one piece."""

import logging

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch.testing import assert_close

from tests.helpers import make_photo
from unistyle import UniStyle
from unistyle.devices import map_on_cores
from unistyle.maths.features import moments
from unistyle.maths.resizing import part_of_resized
from unistyle.restyle import pipeline as pipeline_module
from unistyle.restyle import tiles as tiles_module
from unistyle.restyle.cpu import use_onednn
from unistyle.restyle.tiles import GRID, merged, restyle_in_tiles, tiles


@pytest.fixture
def model(checkpoint) -> UniStyle:
    return UniStyle.from_pretrained(checkpoint, device="cpu")


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


@pytest.mark.parametrize("size", [(1, 1), (33, 500), (256, 256), (700, 301)])
def test_tiles_cover_each_pixel_once_on_the_grid_of_the_strides(size):
    count = torch.zeros(size)
    for tile in tiles(*size, core=256, halo=64):
        count[slice(*tile.rows), slice(*tile.columns)] += 1
        for core, seen in ((tile.rows, tile.seen_rows), (tile.columns, tile.seen_columns)):
            assert seen[0] <= core[0] < core[1] <= seen[1]
            assert all(edge % GRID == 0 for edge in seen)
    assert (count == 1).all()


@pytest.mark.parametrize("cubic", [False, True])
@pytest.mark.parametrize("size", [(50, 90), (13, 17), (7, 40)])
def test_a_part_of_a_resized_map_is_a_part_of_the_whole(size, cubic):
    x = torch.rand(2, 3, 13, 17, generator=torch.Generator().manual_seed(0))
    whole = F.interpolate(x, size, mode="bicubic" if cubic else "bilinear")
    for rows, columns in (((0, size[0]), (3, 11)), ((2, 5), (0, size[1])), ((0, size[0]), (0, size[1]))):
        part = part_of_resized(x, size, rows, columns, cubic)
        assert_close(part, whole[..., slice(*rows), slice(*columns)], rtol=1e-4, atol=1e-5)
    beyond = part_of_resized(x, size, (size[0] - 1, size[0] + 3), (0, size[1]), cubic)
    if not cubic and size[0] > 13:
        assert_close(beyond[..., 3, :], whole[..., -1, :], rtol=1e-4, atol=1e-5)


def test_moments_of_tiles_make_the_moments_of_the_photo():
    generator = torch.Generator().manual_seed(1)
    f, w = (
        torch.randn(1, 5, 12, 20, generator=generator) * 3 + 7,
        torch.rand(1, 2, 12, 20, generator=generator),
    )
    w[:, 1, :, 8:] = 0  # the second region is in one part alone
    parts = [(f[..., :8], w[..., :8]), (f[..., 8:], w[..., 8:])]
    got = merged([(own.sum((2, 3))[..., None], *moments(part, own)) for part, own in parts])
    for a, b in zip(got, moments(f, w), strict=True):
        assert_close(a, b, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("regions", [1, 2])
def test_tiles_give_what_one_pass_gives(network, regions):
    generator = torch.Generator().manual_seed(2)
    photo = torch.from_numpy(np.asarray(make_photo(256, 384)).copy()).permute(2, 0, 1)[None]
    w = torch.rand(1, regions, 16, 24, generator=generator)
    w = w / w.sum(1, keepdim=True)
    everywhere = torch.ones(1, 1, 64, 64)
    styles = [as_floats(make_photo(64, 64, seed)) for seed in range(regions)]
    codes = torch.cat([network.encode_style(style, everywhere) for style in styles], 1)
    with torch.inference_mode():
        whole = network.stylizer(network.encoder(photo / 255), w, codes, photo.shape[-2:]) * 255
    got = restyle_in_tiles(network, photo, w, codes, core=128, halo=128)
    difference = (got - whole).abs()
    assert whole.std() > 1
    assert difference.mean() < 0.3
    assert difference.max() < 3
    # Each tile by its own moments would be another picture.
    alone = network.stylizer(network.encoder(photo[..., :128, :128] / 255), w[..., :8, :8], codes, (128, 128))
    assert (alone * 255 - whole[..., :128, :128]).abs().mean() > 3 * difference.mean()


def as_floats(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)[None] / 255


def test_a_sample_of_the_tiles_is_measured_where_there_are_many(network, monkeypatch):
    measured = []
    monkeypatch.setattr(tiles_module._Tiled, "measure", lambda self, few, run: measured.extend(few) or [])
    monkeypatch.setattr(tiles_module._Tiled, "restyle", lambda self, tile, x, _: torch.zeros_like(x[0]))
    monkeypatch.setattr(tiles_module._Tiled, "features", lambda self, tile: [
        torch.zeros(1, 3, *(b - a for a, b in (tile.seen_rows, tile.seen_columns)))])  # fmt: skip
    photo = torch.zeros(1, 3, 512, 512, dtype=torch.uint8)
    w = torch.ones(1, 1, 8, 8)
    w[..., :4] = 0  # nothing on the left
    restyle_in_tiles(network, photo, w, torch.zeros(1, 1, 1), core=128, halo=32, sample=2)
    assert len(measured) == 2 * 16
    assert {tile.rows[1] - tile.rows[0] for tile in measured} == {32}
    assert all(tile.seen_columns[1] > 224 for tile in measured)
    assert len({tile.rows for tile in measured}) > 8


def test_without_a_region_the_photo_stays(network):
    photo = torch.randint(0, 256, (1, 3, 100, 300), dtype=torch.uint8)
    assert torch.equal(restyle_in_tiles(network, photo, torch.zeros(1, 1, 9, 9), torch.zeros(1, 1, 1)), photo)


@pytest.mark.parametrize("size", [(192, 256), (201, 333)])
def test_the_public_class_takes_large_photos_in_tiles(model, monkeypatch, size):
    monkeypatch.setattr(tiles_module, "CORE", 128)
    monkeypatch.setattr(tiles_module.restyle_in_tiles, "__defaults__", (map, 128, 128, 12))
    photo = make_photo(*size)
    mask = Image.new("L", photo.size, 0)
    mask.paste(255, (0, 0, 100, size[0]))
    whole = model.restyle(photo, "stone", mask, max_size=None)
    model.pixels_at_once = 2000
    tiled = model.restyle(photo, "stone", mask, max_size=None)
    assert tiled.styles == whole.styles
    difference = np.abs(pixels(tiled.image) - pixels(whole.image))
    assert difference.mean() < 2  # a size that is no multiple of 32 lies a little differently on the strides
    np.testing.assert_array_equal(pixels(tiled.image)[:, 100:], pixels(photo)[:, 100:])


def test_bands_of_rows_are_laid_over_the_photo_as_the_whole_is(model, monkeypatch):
    photo = make_photo(150, 200)
    photo.putalpha(Image.linear_gradient("L").resize(photo.size))
    for options in ({}, {"max_size": 64}, {"color": "keep", "strength": 0.5}):
        monkeypatch.setattr(pipeline_module, "BAND", 10**9)
        whole = model.restyle(photo, "stone", **options)
        monkeypatch.setattr(pipeline_module, "BAND", 700)
        bands = model.restyle(photo, "stone", **options)
        assert np.abs(pixels(bands.image) - pixels(whole.image)).max() <= 1
        assert np.abs(pixels(bands.mask) - pixels(whole.mask)).max() <= 1


def test_where_the_mask_is_zero_the_photo_is_untouched(model):
    photo = make_photo(120, 160)
    result = model.restyle(photo, "stone")
    outside = pixels(result.mask) == 0
    assert 0.02 < outside.mean() < 0.98
    np.testing.assert_array_equal(pixels(result.image)[outside], pixels(photo)[outside])


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


def test_out_of_memory_with_one_photo_goes_on_in_tiles_and_gives_up_at_last(model, caplog, monkeypatch):
    monkeypatch.setattr(pipeline_module, "LEAST_AT_ONCE", 10_000)
    monkeypatch.setattr(pipeline_module, "MAX_SIZE", 96)  # of the reduced copy
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


def test_map_on_cores_keeps_the_order_and_computes_on_one_core_each():
    results = list(map_on_cores(lambda a, b: (a + b, torch.get_num_threads()), range(9), range(9)))
    assert results == [(2 * i, 1) for i in range(9)]
    assert list(map_on_cores(lambda a: a, [])) == []
    with pytest.raises(ZeroDivisionError):
        list(map_on_cores(lambda a: 1 / a, [1, 0]))


def test_pointwise_convolutions_through_onednn_are_the_same():
    layers = torch.nn.Sequential(
        torch.nn.Conv2d(8, 16, 1), torch.nn.Conv2d(16, 8, 3), torch.nn.Conv2d(8, 4, 1, stride=2)
    )
    x = torch.rand(2, 8, 20, 30).contiguous(memory_format=torch.channels_last)
    wanted = layers(x)
    names = list(layers.state_dict())
    use_onednn(layers)
    if torch.backends.mkldnn.is_available():
        assert [type(layer) is torch.nn.Conv2d for layer in layers] == [False, True, True]
    with torch.inference_mode():
        assert_close(layers(x), wanted)
    layers(x).sum().backward()  # with a gradient as before
    assert list(layers.state_dict()) == names


def test_fingerprint_stands_for_weights_and_styles(model, checkpoint):
    again = UniStyle.from_pretrained(checkpoint, "cpu")
    assert again.fingerprint(again.plan("stone")) == model.fingerprint(model.plan("stone"))
    assert model.fingerprint(model.plan("metal")) != model.fingerprint(model.plan("stone"))
    with torch.no_grad():
        next(again.network.parameters()).add_(1e-3)
    assert again.fingerprint(again.plan("stone")) != model.fingerprint(model.plan("stone"))
