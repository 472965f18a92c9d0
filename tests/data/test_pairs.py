"""What training draws: crops, pairs of photo and style, photos with masks."""

import numpy as np
import pytest
import torch
from PIL import Image

from unistyle.data.labelled import LabelledPhoto, material_photos, object_photos
from unistyle.data.pairs import FixedPairs, MaskedPhotos, PairPhotos, StylePairs, StyleSamples
from unistyle.data.views import crop, fit
from unistyle.training.config import DataConfig


def materials(photos):
    return material_photos(photos / "materials/image", masks=photos / "materials/mask")


def test_photo_and_mask_are_cut_alike(tmp_path):
    mask = np.zeros((300, 400), dtype=np.uint8)
    mask[50:250, 60:300] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    Image.fromarray(np.repeat(mask[..., None], 3, 2)).save(tmp_path / "photo.png")
    photo = LabelledPhoto(tmp_path / "photo.png", tmp_path / "mask.png")
    for image, region in (*(crop(photo, 64, variant, 0) for variant in range(8)), fit(photo, (96, 128))):
        if region.min() < 1:  # a crop that hardly touches the mask is taken whole
            assert (image.mean(0) - region[0]).abs().mean() < 0.02


def test_a_missing_mask_says_where_it_was_looked_for(photos, tmp_path):
    photo = material_photos(photos / "materials/image", masks=tmp_path)[0]
    with pytest.raises(FileNotFoundError, match="saliency teacher"):
        fit(photo, (32, 32))


def test_samples_of_styles_are_laid_as_often_as_asked(photos):
    own = materials(photos)
    config = DataConfig(str(photos), crops=[32], small=0, style_size=(32, 48))
    tile = torch.arange(3 * 8 * 8, dtype=torch.uint8).view(3, 8, 8)
    bare = own[0].path  # a style photo without a sample
    samples = StyleSamples(lambda photo: None if photo.path == bare else tile, 8, (0.9, 0.5))
    items = [StylePairs(PairPhotos(own, own), config, 200, 0, samples=samples)[i] for i in range(200)]
    laid = [item for item in items if item["structure"]]
    assert 60 < len(laid) < 120
    labels = {f"{photo.path} 32": photo.label for photo in own if photo.path != bare}
    assert all(item["style_label"] == labels[item["style_key"]] and not item["same"] for item in laid)
    tiles = [item["tile"] for item in laid]
    assert all(torch.equal(x.flatten().sort().values, tile.flatten().sort().values) for x in tiles)  # rolled
    assert any(not torch.equal(x, tiles[0]) for x in tiles)
    assert all(not item["tile"].any() for item in items if not item["structure"])


def test_items_depend_on_seed_and_index_alone(photos):
    own = materials(photos)
    config = DataConfig(str(photos), crops=[32], small=0, style_size=(32, 48))
    make = lambda seed: StylePairs(PairPhotos(own, own), config, 50, seed, FixedPairs(3, 0.5))  # noqa: E731
    first, second, other = make(0), make(0), make(1)
    for i in (0, 7, 33):
        assert all(
            torch.equal(torch.as_tensor(first[i][k]), torch.as_tensor(second[i][k]))
            for k in ("photo", "style", "region")
        )
    assert any(first[i]["photo_key"] != other[i]["photo_key"] for i in range(10))
    shapes = {k: tuple(v.shape) for k, v in first[0].items() if isinstance(v, torch.Tensor)}
    assert shapes == dict(photo=(3, 32, 32), region=(1, 32, 32), style=(3, 32, 48), style_region=(1, 32, 48),
                          tile=(3, 1, 1))  # fmt: skip
    fixed = [first[i] for i in range(50) if first[i]["fixed"] >= 0]
    assert fixed
    assert torch.equal(fixed[0]["photo"], first.fixed_pair(fixed[0]["fixed"])["photo"])


def test_sizes_of_crops_take_turns(photos):
    own = materials(photos)
    config = DataConfig(str(photos), crops=[32, 32, 48], small=0, style_size=(32, 48))
    data = StylePairs(PairPhotos(own, own), config, 60, 0, FixedPairs(3, 0.5), batch=2)
    sides = [data[i]["photo"].shape[-1] for i in range(60)]
    assert sides[:8] == [32, 32, 32, 32, 48, 48, 32, 32]
    large = [data[i] for i, side in enumerate(sides) if side == 48]
    assert {tuple(item["style"].shape) for item in large if not item["same"]} == {(3, 48, 72)}
    assert all(
        item["fixed"] == -1 for item in large
    )  # the Gatys teacher has restyled crops of the first size
    assert any(data[i]["fixed"] >= 0 for i in range(60))
    keys = {side: {data[i]["photo_key"] for i in range(60) if sides[i] == side} for side in (32, 48)}
    assert not keys[32] & keys[48]  # or one would be taken for the other's features


def test_the_first_crops_are_smaller(photos):
    own = materials(photos)
    config = DataConfig(str(photos), crops=[48, 72], small=0.25, style_size=(48, 72))
    data = StylePairs(PairPhotos(own, own), config, 40, 0, FixedPairs(3, 0.5), batch=2)
    items = [data[i] for i in range(40)]
    sides = [item["photo"].shape[-1] for item in items]
    assert sides == 2 * [32, 32, 48, 48] + [32, 32] + 7 * [72, 72, 48, 48] + [72, 72]
    shapes = {32: (3, 32, 48), 48: (3, 48, 72), 72: (3, 72, 108)}
    both = list(zip(items, sides, strict=True))
    assert all(item["same"] or tuple(item["style"].shape) == shapes[side] for item, side in both)
    # The Gatys teacher has restyled crops of the first of the sides, which may also be the smaller one of another.
    assert {side for item, side in both if item["fixed"] >= 0} == {48}


@pytest.mark.parametrize("steps", range(3, 8))
def test_all_of_a_batch_are_of_one_size(photos, steps):
    own = materials(photos)
    config = DataConfig(str(photos), crops=[48], small=0.6, style_size=(48, 72))
    data = StylePairs(PairPhotos(own, own), config, steps * 4, 0, batch=4)
    sides = [data.side(i) for i in range(steps * 4)]
    assert all(len(set(sides[start : start + 4])) == 1 for start in range(0, len(sides), 4))
    assert set(sides) == {32, 48}


def test_samples_are_laid_more_seldom_in_the_opening(photos):
    own = materials(photos)
    config = DataConfig(str(photos), crops=[48], small=0.4, style_size=(48, 72))
    samples = StyleSamples(lambda photo: torch.ones(3, 8, 8, dtype=torch.uint8), 8, (0.0, 1.0))
    data = StylePairs(PairPhotos(own, own), config, 50, 0, samples=samples)
    laid = [item["structure"] for item in map(data.__getitem__, range(50)) if not item["same"]]
    assert laid == sorted(laid)
    assert 0 < sum(laid) < len(laid)


def test_objects_and_materials_take_turns(photos):
    data = MaskedPhotos(
        [materials(photos), object_photos(photos / "objects")], [(32, 48), (64, 80)], 2, 10, seed=0
    )
    assert [data[i]["label"] == -1 for i in range(4)] == [False, True, False, True]
    assert data[0]["photo"].shape == (3, 32, 48)
    assert data[0]["mask"].shape == data[1]["mask"].shape == (1, 32, 48)
    assert data[2]["photo"].shape == data[3]["photo"].shape == (3, 64, 80)


def test_a_material_of_few_photos_has_its_share(photos):
    first, *_, last = materials(photos)
    data = MaskedPhotos([[first] * 60 + [last]], [(32, 48)], 2, 60, seed=0)
    assert 20 < sum(data[i]["label"] == last.label for i in range(60)) < 40
