"""Samples laid over photos, and what wins where."""

import pytest
import torch
import torch.nn.functional as F

from unistyle.network.fuse import decide, fused, grids_of, lay_over
from unistyle.network.laying import FAINTER, REFERENCE, Samples, laid_picture, lay, lay_with_grain, shares


def rand(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def whole(size):
    return (0, size[0]), (0, size[1])


def smooth(*shape, seed=0):
    """Noise without what is finer than 4 pixels."""
    shape = torch.Size(shape)
    coarse = rand(1, shape[:-2].numel(), *(-(-side // 4) for side in shape[-2:]), seed=seed)
    return F.interpolate(coarse, shape[-2:], mode="bilinear").view(shape)


# Laying


def test_at_its_own_scale_a_tile_is_copied():
    tiles = rand(1, 2, 3, 8, 8)
    laid = lay(tiles, 1.0, (0, 20), (0, 30))
    rows, columns = torch.arange(20) % 8, torch.arange(30) % 8
    torch.testing.assert_close(laid, tiles[..., rows[:, None], columns])


def test_a_tile_twice_as_large_is_bilinear_interpolation():
    tiles = rand(1, 1, 3, 8, 8)
    around = F.pad(tiles[0], (8,) * 4, mode="circular")
    wanted = F.interpolate(around, scale_factor=2, mode="bilinear")[..., 16:32, 16:32]
    torch.testing.assert_close(lay(tiles, 2.0, (0, 16), (0, 16))[0], wanted)


def test_a_smaller_tile_is_antialiased_and_keeps_its_mean():
    tiles = rand(1, 1, 3, 32, 32)
    around = F.pad(tiles[0], (32,) * 4, mode="circular")
    wanted = F.interpolate(around, scale_factor=0.5, mode="bilinear", antialias=True)[..., 16:32, 16:32]
    got = lay(tiles, 0.5, (0, 16), (0, 16))[0]
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=0)
    assert got.mean().item() == pytest.approx(tiles.mean().item(), abs=1e-4)


@pytest.mark.parametrize("scale", [0.4, 1.0, 2.7])
def test_a_part_is_the_part_of_the_whole_and_offsets_move_it(scale):
    tiles = rand(1, 1, 3, 16, 16)
    every = lay(tiles, scale, (0, 60), (0, 50))
    torch.testing.assert_close(lay(tiles, scale, (13, 44), (7, 50)), every[..., 13:44, 7:50])
    torch.testing.assert_close(lay(tiles, scale, (0, 31), (0, 43), (13.0, 7.0)), every[..., 13:44, 7:50])


def octave(picture: torch.Tensor) -> float:
    """Strength of what is lost where a picture is halved."""
    return (picture - F.interpolate(F.avg_pool2d(picture, 2), scale_factor=2, mode="bilinear")).std().item()


def test_an_enlarged_tile_has_finer_grain_than_it_has():
    tiles = rand(1, 1, 3, 32, 32)
    area = ((0, 128), (0, 128))
    soft, grained = (f(tiles, 4.0, *area)[0] for f in (lay, lay_with_grain))
    assert octave(grained) > 2.5 * octave(soft), (
        "the finest octave, which bilinear interpolation leaves empty"
    )
    second = octave(F.avg_pool2d(soft, 2)), octave(F.avg_pool2d(grained, 2))
    assert second[1] > second[0] > 0.5 * FAINTER * second[1]
    apart = F.avg_pool2d(soft, 8) - F.avg_pool2d(grained, 8)
    assert apart.std() < 0.25 * F.avg_pool2d(soft, 8).std(), "what is coarser stays"
    assert grained.min() >= 0
    assert grained.max() <= 1


def test_grain_comes_with_the_size_and_not_before():
    tiles = rand(1, 1, 3, 32, 32)
    area = ((0, 70), (0, 50))
    for scale in (0.5, 1.0):
        assert lay_with_grain(tiles, scale, *area).equal(lay(tiles, scale, *area))
    near = lay_with_grain(tiles, 1.001, *area) - lay(tiles, 1.001, *area)
    assert near.abs().max() < 0.01, "no size at which it begins all at once"
    exported = lay_with_grain(tiles, torch.tensor(2.3), *area)  # as where the size of a photo is a symbol
    torch.testing.assert_close(exported, lay_with_grain(tiles, 2.3, *area), atol=1e-5, rtol=0)
    flat = torch.full((1, 1, 3, 32, 32), 0.4)
    torch.testing.assert_close(lay_with_grain(flat, 5.0, *area), lay(flat, 5.0, *area))


def test_a_texture_is_as_large_a_part_of_any_photo():
    samples = Samples(smooth(1, 1, 3, 64, 64), torch.ones(1, 1))
    small, large = (
        laid_picture(samples, shares(rand(1, 1, 2, 2)), (n, n), *whole((n, n))) for n in (256, 512)
    )
    assert (F.avg_pool2d(large, 2) - small).abs().mean() < 0.2 * small.std()


def test_regions_share_the_picture():
    tiles = torch.stack([torch.zeros(3, 8, 8), torch.ones(3, 8, 8)])[None]
    regions = torch.zeros(1, 2, 4, 4)
    regions[:, 0, :, :2], regions[:, 1, :, 2:] = 1, 0.5
    share = shares(regions)
    torch.testing.assert_close(share.sum(1), torch.ones(1, 4, 4))
    laid = laid_picture(Samples(tiles, torch.ones(1, 2)), share, (4, 4), *whole((4, 4)))
    assert (laid[..., :2] < 0.01).all()
    assert (laid[..., 2:] > 0.99).all()


# Fuse


@pytest.mark.parametrize("size", [(97, 131), (256, 192), (300, 411)])
def test_where_nothing_is_asked_for_the_own_picture_stays(size):
    photo, own = rand(1, 3, *size), rand(1, 3, *size, seed=1)
    samples = Samples(rand(1, 1, 3, 32, 32, seed=2), torch.zeros(1, 1))
    got = lay_over(photo, own, torch.ones(1, 1, 8, 8), samples).over(own, size, *whole(size))
    torch.testing.assert_close(got, own, atol=1e-5, rtol=0)


def test_a_flat_photo_becomes_the_laid_picture_in_the_own_ones_light():
    size = (128, 128)
    photo, own = torch.full((1, 3, *size), 0.5), torch.full((1, 3, *size), 0.4)
    samples = Samples(smooth(1, 1, 3, 64, 64), torch.ones(1, 1))
    got = lay_over(photo, own, torch.ones(1, 1, 8, 8), samples).over(own, size, *whole(size))
    laid = laid_picture(samples, torch.ones(1, 1, 1, 1), size, *whole(size))
    a, b = (x - F.avg_pool2d(x, 17, 1, 8, count_include_pad=False) for x in (got, laid))
    assert torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1] > 0.95
    assert got.mean().item() == pytest.approx(0.4, abs=0.02)


def test_an_edge_of_the_photo_stays_where_it_is():
    size = (128, 128)
    photo = torch.full((1, 3, *size), 0.25)
    photo[..., 64:] = 0.75
    samples = Samples(0.4 + 0.2 * smooth(1, 1, 3, 64, 64), torch.ones(1, 1))
    got = lay_over(photo, photo, torch.ones(1, 1, 8, 8), samples).over(photo, size, *whole(size))
    step = (got[..., 66:70].mean() - got[..., 58:62].mean()).item()
    assert step > 0.4
    far = got[..., :40]
    assert far.std() > 0.5 * (0.2 * smooth(1, 1, 3, 64, 64)).std()


def test_structure_says_how_much():
    size = (96, 96)
    photo = torch.full((1, 3, *size), 0.5)
    tiles, whole_region = smooth(1, 1, 3, 64, 64), torch.ones(1, 1, 8, 8)
    change = [
        (lay_over(photo, photo, whole_region, Samples(tiles, torch.full((1, 1), s))).over(photo, size, *whole(size))
         - photo).abs().mean().item()
        for s in (0.0, 0.5, 1.0)
    ]  # fmt: skip
    assert change[0] < 1e-5 < change[1] < 0.7 * change[2]


@pytest.mark.parametrize("size", [(150, 200), (300, 411)])
def test_parts_of_the_result_are_those_of_the_whole(size):
    photo, own = smooth(2, 3, *size), smooth(2, 3, *size, seed=1)
    samples = Samples(rand(2, 2, 3, 32, 32, seed=2), torch.tensor([[1.0, 0.5], [0.0, 1.0]]), 1.3)
    laid = lay_over(photo, own, rand(2, 2, 9, 12), samples)
    every = laid.over(own, size, *whole(size))
    part = laid.over(own[..., 31:90, 40:150], size, (31, 90), (40, 150))
    torch.testing.assert_close(part, every[..., 31:90, 40:150], atol=1e-4, rtol=0)


def test_the_decision_is_made_on_a_grid_whatever_the_size():
    assert grids_of((100, 81)) == [[100, 81], [50, 41], [25, 21], [13, 11], [7, 6]]
    assert grids_of((1024, 2048))[0] == [REFERENCE // 2, REFERENCE]
    assert grids_of((4000, 4))[0] == [REFERENCE, 1]
    a, b, c = (rand(1, 3, 40, 50, seed=i) for i in range(3))
    decided = decide(a, b, c, torch.ones(1, 1, 1, 1), grids_of((40, 50)))
    assert decided.shape == (1, 7, 40, 50)
    assert fused(b, c, decided).shape == b.shape
