"""Samples for a bank: pictures of one's own, and synthesised ones."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers import make_photo
from unistyle.checkpoint.checkpoint import load_checkpoint
from unistyle.commands import bank
from unistyle.styles.swatches import TILE
from unistyle.teachers.synthesis import synthesise
from unistyle.teachers.vgg import VGG19


def save(image: Image.Image, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path


def call(checkpoint, out, *options):
    return bank.main(["samples", str(checkpoint), "--out", str(out), *map(str, options)])


def test_pictures_become_samples_and_the_rest_has_none(checkpoint, tmp_path, capsys):
    photo = make_photo(TILE, TILE)
    save(photo, tmp_path / "tiles" / "stone" / "wall.png")
    out = tmp_path / "out.safetensors"
    assert call(checkpoint, out, "--samples", tmp_path / "tiles") == 0
    assert "1 of 3 exemplars have a sample" in capsys.readouterr().out
    before, after = load_checkpoint(checkpoint), load_checkpoint(out)
    assert after.bank.swatches.structure.tolist() == [0, 1, 0]
    np.testing.assert_array_equal(after.bank.swatches.tiles[1].permute(1, 2, 0), np.asarray(photo))
    assert after.bank.codes.equal(before.bank.codes)
    assert after.notes == before.notes | {"samples": "1 of 3 exemplars have a sample, of a folder"}


def test_what_cannot_be_a_sample_is_said(checkpoint, tmp_path, capsys):
    out = tmp_path / "out.safetensors"
    assert call(checkpoint, out, "--samples", tmp_path) == 2
    assert "no STYLE/EXEMPLAR.png of this bank, such as stone/quarry.png" in capsys.readouterr().err
    save(make_photo(TILE, 200), tmp_path / "metal" / "plate.png")
    assert call(checkpoint, out, "--samples", tmp_path) == 2
    assert "plate.png: 200 x 256 pixels; wanted 256 x 256" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.slow
def test_missing_ones_are_synthesised_once(checkpoint, vgg_weights, tmp_path, capsys):
    for name in ("quarry", "other"):
        save(make_photo(72, 80), tmp_path / "photos" / "stone" / f"{name}.jpg")
    options = ["--samples", tmp_path / "tiles", "--photos", tmp_path / "photos", "--vgg", vgg_weights]
    assert call(checkpoint, tmp_path / "a.safetensors", *options, "--iterations", 1) == 0
    assert [path.name for path in (tmp_path / "tiles" / "stone").iterdir()] == ["quarry.png"]
    made = load_checkpoint(tmp_path / "a.safetensors").bank.swatches
    assert made.structure.tolist() == [1, 0, 0]
    # What lies there already is taken, without the weights.
    options[-1] = tmp_path / "none.safetensors"
    assert call(checkpoint, tmp_path / "b.safetensors", *options) == 0
    assert load_checkpoint(tmp_path / "b.safetensors").bank.swatches.tiles.equal(made.tiles)


def test_synthesis_comes_near_to_the_statistics_and_repeats_itself(vgg_weights):
    torch.manual_seed(0)
    vgg, picture = VGG19(vgg_weights, ("relu1_1", "relu2_1")), torch.rand(1, 3, 40, 48)
    distances: list[float] = []
    tile = synthesise(
        vgg, picture, 32, iterations=12, progress=lambda side, distance: distances.append(distance)
    )
    assert (tile.shape, len(distances)) == ((1, 3, 32, 32), 3 * 12)
    assert distances[-1] < 0.5 * distances[2 * 12]
    assert tile.min() >= 0
    assert tile.max() <= 1
    assert torch.equal(tile, synthesise(vgg, picture, 32, iterations=12))
    assert (tile.mean((2, 3)) - picture.mean((2, 3))).abs().max() < 0.1


def test_a_synthesised_tile_repeats_without_a_seam(vgg_weights):
    """Enlarged from size to size, it has to go on beyond its border; no statistics would mend it later."""
    noise = torch.rand(1, 3, 72, 72, generator=torch.Generator().manual_seed(0))
    blurred = torch.nn.functional.avg_pool2d(noise, 9, 1)
    picture = (blurred - blurred.amin()) / (blurred.amax() - blurred.amin())
    tile = synthesise(VGG19(vgg_weights, ("relu1_1",)), picture, 64, iterations=1)
    for dim in (-1, -2):
        steps = (tile - tile.roll(1, dim)).abs().mean((0, 1, -3 - dim))
        assert steps[0] < 1.3 * steps[1:].mean()
