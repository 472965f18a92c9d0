"""Samples of materials: rectangles, light, quilting, and how mixes share a tile."""

import itertools

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers import make_network, make_photo
from unistyle.maths.features import luminance
from unistyle.styles.mixing import mix, mixed_tiles
from unistyle.styles.quilting import quilt
from unistyle.styles.samples import SMALLEST, evenly_lit, largest_rectangle, sample_of, swatch_of
from unistyle.styles.swatches import TILE, Swatches, together, without_samples


def score(rows: slice, columns: slice) -> int:
    tall, wide = rows.stop - rows.start, columns.stop - columns.start
    return min(tall, 2 * wide) * min(wide, 2 * tall)


@pytest.mark.parametrize("seed", range(8))
def test_the_largest_rectangle_is_the_one_of_trying_all(seed):
    inside = np.random.default_rng(seed).random((7, 9)) < 0.75
    spans = lambda n: [slice(a, b) for a, b in itertools.combinations(range(n + 1), 2)]  # noqa: E731
    every = [score(r, c) for r in spans(7) for c in spans(9) if inside[r, c].all()]
    rows, columns = largest_rectangle(inside)
    assert inside[rows, columns].all()
    assert score(rows, columns) == max(every)


def test_nothing_has_no_rectangle_and_a_thin_strip_no_sample():
    assert largest_rectangle(np.zeros((4, 5), bool)) is None
    region = torch.zeros(1, 1, 80, 90)
    region[..., 10 : 10 + SMALLEST - 1, :] = 1
    photo = torch.rand(1, 3, 80, 90, generator=torch.Generator().manual_seed(0))
    assert sample_of(photo, region) is None
    region[..., 10 + SMALLEST - 1, :] = 1
    tile = sample_of(photo, region)
    assert (tile.shape, tile.dtype) == ((3, TILE, TILE), torch.uint8)


def test_light_is_divided_out_and_texture_stays():
    noise = torch.rand(1, 1, 64, 96, generator=torch.Generator().manual_seed(1)).expand(-1, 3, -1, -1)
    lit = (0.3 + 0.2 * noise) * torch.linspace(0.6, 1.4, 96)
    flat = luminance(evenly_lit(lit))[0, 0].mean(0)
    before = luminance(lit)[0, 0].mean(0)
    assert before[-24:].mean() / before[:24].mean() > 1.6
    assert 0.95 < flat[-24:].mean() / flat[:24].mean() < 1.05
    assert evenly_lit(lit)[0, 0].std() > 0.8 * (0.2 * noise).std()


def stripes(period: int, size: tuple[int, int] = (90, 120)) -> torch.Tensor:
    x = torch.arange(size[1]) // (period // 2) % 2
    return x.float().expand(1, 3, *size).contiguous()


def test_a_tile_repeats_without_a_seam():
    photo = torch.nn.functional.avg_pool2d(
        torch.rand(1, 3, 110, 130, generator=torch.Generator().manual_seed(2)), 5, 1
    )
    tile = quilt(photo, 128)
    assert tile.shape == (1, 3, 128, 128)
    for dim in (-1, -2):
        steps = (tile - tile.roll(1, dim)).abs().mean((0, 1, -3 - dim))
        assert steps[0] < 1.5 * steps[1:].mean()  # over the border, and between its neighbours inside
    assert tile.min() >= photo.min()
    assert tile.max() <= photo.max()
    assert torch.equal(tile, quilt(photo, 128))
    assert not torch.equal(tile, quilt(photo, 128, seed=1))


def test_stripes_stay_stripes():
    tile = quilt(stripes(16), 128)
    assert (tile[..., 1:, :] == tile[..., :-1, :]).float().mean() > 0.97
    assert 0.4 < tile.mean() < 0.6


def test_the_swatch_of_a_photo_has_its_code_and_sample():
    network, photo = make_network(), make_photo(90, 120)
    white = Image.new("L", photo.size, 255)
    swatch = swatch_of(network, photo, white)
    assert (len(swatch), swatch.tiles.shape, swatch.structure.tolist()) == (1, (1, 3, TILE, TILE), [1.0])
    assert swatch.codes.shape == (1, network.stylizer.code_size)
    small = Image.new("L", photo.size)
    small.paste(255, (0, 0, 30, 30))
    assert swatch_of(network, photo, small).structure.tolist() == [0.0]


# Mixes


def of_grey(*levels: int) -> Swatches:
    """Swatches of codes alone but for tiles of one grey each; below 0 there is none."""
    plain = without_samples(torch.arange(2.0 * len(levels)).view(-1, 2))
    tiles = torch.stack([torch.full((3, TILE, TILE), max(0, level), dtype=torch.uint8) for level in levels])
    return Swatches(plain.codes, tiles, torch.tensor([float(level >= 0) for level in levels]))


def test_parts_of_a_mix_have_places_as_their_weights_say():
    (tile,) = mixed_tiles([of_grey(0), of_grey(100), of_grey(200)], [0.2, 0.5, 0.3]).float()
    shares = [(tile - level).abs().lt(10).float().mean().item() for level in (0, 100, 200)]
    assert shares == pytest.approx([0.2, 0.5, 0.3], abs=0.04)
    steps = (tile - tile.roll(1, -1)).abs()[0]
    assert steps[:, 0].mean() < 2 * steps.mean() + 1  # no seam where it repeats


def test_a_part_without_a_sample_has_no_place_and_lowers_the_structure():
    names, made = mix([(("a",), of_grey(80)), (("b",), of_grey(-1))], [0.75, 0.25])
    assert names == ("a:0.75,b:0.25",)
    assert made.tiles.float().unique().tolist() == [80.0]
    assert made.structure.tolist() == [0.75]
    assert mix([(("a",), of_grey(-1)), (("b",), of_grey(-1))], [0.5, 0.5])[1].structure.tolist() == [0.0]


def test_every_combination_of_a_mix_has_a_tile_of_its_own():
    names, made = mix([(("a", "b"), of_grey(0, 40)), (("c",), of_grey(200))], [0.5, 0.5])
    assert (len(names), len(made)) == (2, 2)
    assert [tile.min().item() for tile in made.tiles] == [0, 40]
    assert made.codes.tolist() == [[0, 1], [1, 2]]


def test_swatches_join_and_ask():
    three = together([of_grey(10), of_grey(20, -1)])
    assert three.structure.tolist() == [1, 1, 0]
    assert three.asked(None) is three
    assert three.asked(0.25).structure.tolist() == [0.25, 0.25, 0]
    assert torch.equal(three[[2, 0]].tiles, torch.stack([three.tiles[2], three.tiles[0]]))
