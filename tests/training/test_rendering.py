"""Rendered pairs: reliefs, their light, how glossy a photo is, and what the items hold."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from tests.helpers import make_photo
from unistyle.data.labelled import LabelledPhoto
from unistyle.data.pairs import StyleSamples
from unistyle.training.config import DataConfig
from unistyle.training.losses import rendered_term
from unistyle.training.targets import rendering
from unistyle.training.targets.rendering import (
    RenderedPairs,
    gloss_of,
    light_from,
    lit,
    relief,
)


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("side", [32, 150])
def test_normals_are_of_length_one_and_face_the_eye(seed, side):
    grain = [torch.rand(3, rendering.GRAIN, rendering.GRAIN) * 2 - 1]
    for normals in (relief(rng(seed), side, []), relief(rng(seed), side, grain)):
        assert normals.shape == (3, side, side)
        assert_close(normals.square().sum(0), torch.ones(side, side))
        assert (normals[2] > 0).all()
        assert normals[:2].std() > 0.05


def test_a_relief_of_twice_the_side_has_the_same_slopes():
    small, large = (relief(rng(), side, []) for side in (64, 128))
    assert (torch.nn.functional.avg_pool2d(large, 2) - small).abs().mean() < 0.03


def test_a_material_is_as_light_on_average_as_its_colours():
    normals, light, albedo = relief(rng(1), 64, []), light_from(rng(2)), torch.full((3, 64, 64), 0.4)
    assert_close(lit(albedo, normals, light, 0.0).mean(), torch.tensor(0.4))
    flat = torch.zeros(3, 8, 8)
    flat[2] = 1
    grey = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert_close(lit(grey, flat, light, 0.0), grey)  # nothing is darker than the rest
    above = torch.tensor([0.0, 0.0, 1.0])
    assert (
        (lit(grey, flat, above, 1.0) >= grey + 0.39).logical_or(lit(grey, flat, above, 1.0) == 1).all()
    )  # a highlight


def test_slopes_that_face_the_light_are_lighter():
    normals, light = relief(rng(1), 64, []), light_from(rng(2))
    assert_close(light.norm(), torch.tensor(1.0))
    image = lit(torch.full((3, 64, 64), 0.4), normals, light, 0.0)
    facing = (normals * light[:, None, None]).sum(0).flatten()
    assert torch.corrcoef(torch.stack([image[0].flatten(), facing]))[0, 1] > 0.95


def test_highlights_are_gloss_and_dark_pores_are_not():
    spots = torch.full((3, 96, 128), 0.5)
    spots[:, ::16, ::16] = 1.0
    whole = torch.ones(1, 96, 128)
    assert gloss_of(spots, whole) == 1.0
    assert gloss_of(1 - spots, whole) == 0.0
    assert gloss_of(torch.full((3, 96, 128), 0.5), whole) == pytest.approx(1 / 6)  # not skewed
    half = whole.clone()
    half[..., 64:] = 0
    torn = torch.cat([1 - spots[..., :64], spots[..., 64:]], dim=-1)
    assert gloss_of(torn, half) == 0.0  # what is outside the region has no say


@pytest.fixture
def photos(tmp_path):
    found = []
    for seed in range(4):
        path, mask = tmp_path / f"{seed}.png", tmp_path / f"{seed}.mask.png"
        make_photo(80, 100, seed).save(path)
        Image.new("L", (100, 80), 255).save(mask)
        found.append(LabelledPhoto(path, mask, label=0))
    return found


TILE = torch.arange(3 * 16 * 16, dtype=torch.int64).remainder(251).to(torch.uint8).view(3, 16, 16)


def pairs_of(photos, tile=TILE, small=0.5, reliefs=()):
    config = DataConfig("x", crops=[48, 96], small=small, style_size=(48, 64))
    return RenderedPairs(photos, reliefs, config, 10, 0, StyleSamples(lambda photo: tile, 16, (1.0, 1.0)))


def test_what_an_item_holds(photos):
    data = pairs_of(photos)
    shapes = {name: tuple(np.shape(value)) for name, value in data[9].items()}
    assert shapes == dict(photo=(3, 48, 48), wanted=(3, 48, 48), region=(1, 48, 48), style=(3, 48, 64),
                          style_region=(1, 48, 64), tile=(3, 16, 16), structure=())  # fmt: skip
    assert [data[i]["photo"].shape[-1] for i in range(10)] == 5 * [32] + 5 * [48]
    assert data[0]["style"].shape == (3, 32, 42)
    assert (data[0]["style_region"] == 1).all()
    for item in (data[i] for i in range(10)):
        assert item["structure"] == 1
        assert torch.equal(item["tile"].flatten().sort().values, TILE.flatten().sort().values)  # rolled
        assert 0 <= item["wanted"].min() <= item["wanted"].max() <= 1


def test_all_of_a_batch_are_of_one_size(photos):
    config = DataConfig("x", crops=[48], small=0.5, style_size=(48, 64))
    data = RenderedPairs(photos, (), config, 12, 0, StyleSamples(lambda photo: TILE, 16, (1.0, 1.0)), batch=4)
    assert [data[i]["photo"].shape[-1] for i in range(12)] == 8 * [32] + 4 * [48]


def test_items_depend_on_seed_and_index_alone(photos):
    first, again = pairs_of(photos), pairs_of(photos)
    for i in (3, 8):
        assert all(torch.equal(torch.as_tensor(first[i][k]), torch.as_tensor(again[i][k])) for k in first[i])
    assert not torch.equal(first[3]["photo"], first[4]["photo"])


def test_photo_and_wanted_are_one_relief_in_one_light(photos):
    """Of one colour both, they differ by no more than a factor for each colour, and by highlights."""
    item = pairs_of(photos, tile=None)[7]
    assert item["structure"] == 0
    assert item["tile"].float().flatten(1).std(1).max() == 0
    shades = torch.stack([item[name].mean(0).flatten() for name in ("photo", "wanted")])
    assert torch.corrcoef(shades)[0, 1] > 0.9


def test_normal_maps_give_the_grain(photos, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "map.png")
    with_grain = pairs_of(photos, None, reliefs=[LabelledPhoto(tmp_path / "map.png")])
    smooth = pairs_of(photos, None)
    fine = lambda data: sum(data[i]["wanted"].diff(n=2, dim=-1).abs().mean() for i in range(10))  # noqa: E731
    assert fine(with_grain) > 1.2 * fine(smooth)


def test_the_term_is_zero_where_all_is_as_wanted_and_light_counts_most():
    wanted = torch.rand(2, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    assert rendered_term(wanted, wanted) == 0
    noise = 0.1 * torch.randn(wanted.shape, generator=torch.Generator().manual_seed(1))
    assert rendered_term(wanted + noise, wanted) < rendered_term(wanted + noise.abs(), wanted)
    assert_close(rendered_term(wanted + 0.1, wanted), torch.tensor(0.5), atol=1e-4, rtol=0)
