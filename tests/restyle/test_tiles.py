"""Photos in tiles and bands: the same as in one piece."""

from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch.testing import assert_close

from tests.helpers import make_photo
from unistyle import UniStyle
from unistyle.files.photos import photo_from_pil
from unistyle.maths.features import moments
from unistyle.maths.resizing import part_of, within
from unistyle.restyle.options import Look
from unistyle.restyle.overlay import overlay
from unistyle.restyle.passes import NoMemory
from unistyle.restyle.stack import opaque, stack_photos
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
        part = part_of(x, size, rows, columns, cubic)
        assert_close(part, whole[..., slice(*rows), slice(*columns)], rtol=1e-4, atol=1e-5)
    beyond = part_of(x, size, (size[0] - 1, size[0] + 3), (0, size[1]), cubic)
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


def test_a_sample_of_the_tiles_is_measured_where_there_are_many(network):
    calls = []

    def run(function, *items):
        calls.append(items)
        return list(map(function, *items))

    photo = torch.zeros(1, 3, 256, 512, dtype=torch.uint8)
    w = torch.ones(1, 1, 8, 8)
    w[..., :4] = 0  # nothing on the left
    code = network.encode_style(as_floats(make_photo(64, 64)), torch.ones(1, 1, 64, 64))
    restyle_in_tiles(network, photo, w, code, run, core=128, halo=32, sample=1)
    measured, written = calls[0][0], calls[-1][0]  # the first call is for features, the last one writes
    assert len(measured) == 16
    assert {tile.rows[1] - tile.rows[0] for tile in measured} == {32}
    assert all(tile.seen_columns[1] > 224 for tile in measured)
    assert len({tile.rows for tile in measured}) > 4
    assert [tile.rows[1] - tile.rows[0] for tile in written] == [128] * len(written)


def test_without_a_region_the_photo_stays(network):
    photo = torch.randint(0, 256, (1, 3, 100, 300), dtype=torch.uint8)
    assert torch.equal(restyle_in_tiles(network, photo, torch.zeros(1, 1, 9, 9), torch.zeros(1, 1, 1)), photo)


@pytest.mark.parametrize("size", [(192, 256), (201, 333)])
def test_the_public_class_takes_large_photos_in_tiles(model, size):
    model.passes.in_tiles = partial(restyle_in_tiles, core=128, halo=128)
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


@pytest.mark.parametrize("max_size", [64, 1024])
@pytest.mark.parametrize(("strength", "keep_color"), [(1.0, False), (0.5, True)])
def test_bands_of_rows_are_laid_over_the_photo_as_the_whole_is(model, max_size, strength, keep_color):
    photo = make_photo(150, 200)
    photo.putalpha(Image.linear_gradient("L").resize(photo.size))
    stack = stack_photos([photo_from_pil(photo)], None, photo.size)
    small = within(opaque(stack), max_size)
    with torch.inference_mode():
        done = model.passes.run(
            small, stack, model.plan("stone"), Look(strength, "style", max_size), NoMemory()
        )
        whole, bands = (overlay(stack, small, done, strength, keep_color, band=band) for band in (10**9, 700))
    for a, b in zip(whole, bands, strict=True):
        assert (a.int() - b.int()).abs().max() <= 1
    assert (whole[0] != stack.rgb).any()


def test_where_the_mask_is_zero_the_photo_is_untouched(model):
    photo = make_photo(120, 160)
    result = model.restyle(photo, "stone")
    outside = pixels(result.mask) == 0
    assert 0.02 < outside.mean() < 0.98
    np.testing.assert_array_equal(pixels(result.image)[outside], pixels(photo)[outside])
