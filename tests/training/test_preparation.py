"""What the joint training needs before its first step: made once, and refused before any work starts."""

import math
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image

from unistyle.commands import train
from unistyle.data import labelled
from unistyle.data.labelled import LabelledPhoto
from unistyle.maths.schedules import warm_cosine
from unistyle.network.encoder import EncoderConfig
from unistyle.network.model import NetworkConfig, UniStyleNetwork
from unistyle.styles.swatches import TILE
from unistyle.training.config import DataConfig, OptimizerConfig
from unistyle.training.loop import make_optimizer
from unistyle.training.preparation import annotated_photos, make_accelerator, prepare
from unistyle.training.targets.samples import style_sample

MATERIALS = ("brick", "wool")  # as in conftest


def test_each_folder_is_searched_once(recipe, photos, tmp_path, monkeypatch):
    searched, list_images = [], labelled.list_images

    def count(folder):
        searched.append(str(folder))
        return list_images(folder)

    monkeypatch.setattr(labelled, "list_images", count)
    steps = {f"teachers.{part}.{key}": value for part in ("objects", "adapt")
             for key, value in (("steps", 1), ("batch_size", 2), ("size", 64))}  # fmt: skip
    more = {"data.masks": tmp_path / "masks", "teachers.saliency_cache": tmp_path / "saliency"}
    folder = photos / "materials" / "image"
    more |= {"data.contents": f"[{folder / 'wool'}]", "data.styles": f"[{photos / 'objects'}]"}
    config = train.parse(recipe(1, **steps, **more))
    run = prepare(config, make_accelerator(config.optimizer))
    wanted = [folder / "brick", folder / "wool", folder / "wool", photos / "objects"]
    wanted += [photos / "objects" / "image", photos / "objects" / "mask"]
    assert Counter(searched) == Counter(map(str, wanted))
    assert (len(run.photos.own), len(run.photos.annotated), len(run.photos.contents)) == (6, 2, 3)
    assert len(list((tmp_path / "masks").rglob("*.png"))) == 9
    assert all(photo.mask.is_file() for photo in run.photos.own + run.photos.contents)
    assert (tmp_path / "run" / "config.json").is_file()


def test_masks_without_a_boundary_are_refused_for_calibration(photos, tmp_path):
    for name in MATERIALS:
        (tmp_path / name).mkdir()
        Image.new("L", (80, 60), 255).save(tmp_path / name / "1.png")
    (tmp_path / "val.txt").write_text("wool/1\nbrick/1\n")
    materials = labelled.list_materials(photos / "materials/image")
    data = DataConfig(str(materials.root), calibrate=str(tmp_path / "val.txt"))
    assert annotated_photos(data, materials) == []
    data.annotated = str(photos / "materials/mask")
    assert len(annotated_photos(data, materials)) == 2
    data.annotated = str(tmp_path)
    with pytest.raises(ValueError, match=r"fill their photos \(2 of them\)"):
        annotated_photos(data, materials)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"data.photos": "nowhere"}, "no folder nowhere: give one with one folder per material"),
        ({"data.photos": "EMPTY"}, "holds no folder with photos"),
        ({"data.split": "nowhere.txt"}, "no file nowhere.txt: give one with one line MATERIAL/STEM"),
        ({"data.split": "EMPTY/lines.txt"}, "names none of the photos"),
        ({"data.contents": "[nowhere]"}, "no photos in nowhere"),
        ({"data.styles": "[EMPTY]"}, "no photos in EMPTY"),
        ({"data.objects": "nowhere"}, "nowhere holds no photo with a mask"),
        ({"data.contents": "[BROKEN]"}, "BROKEN/a.png: cannot be read as an image"),
        ({"data.annotated": "nowhere"}, "no mask nowhere/brick/2.png"),
        ({"teachers.vgg": "nowhere.safetensors"}, "no VGG-19 weights at nowhere.safetensors"),
        ({"optimizer.batch": 0}, "batch is 0; wanted a whole number from 1 up"),
        ({"preview_every": 0}, "preview_every is 0"),
        ({"optimizer.begin": 1}, "optimizer.begin is 1; wanted a number from 0 to 0"),
        ({"optimizer.begin": 1, "optimizer.steps": 3}, "there is no start; give --start"),
    ],
)
def test_what_cannot_be_used_is_said_before_any_work(recipe, tmp_path, capsys, settings, message):
    empty, broken = tmp_path / "empty", tmp_path / "broken"
    for folder in (empty, broken):
        folder.mkdir()
    (empty / "lines.txt").write_text("\n")
    (broken / "a.png").write_bytes(b"else")
    named = {"EMPTY": str(empty), "BROKEN": str(broken)}
    for name, folder in named.items():
        settings = {k: v.replace(name, folder) if isinstance(v, str) else v for k, v in settings.items()}
        message = message.replace(name, folder)
    assert train.main(recipe(1, **settings)) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert "unistyle train: error: " in errors
    assert not (tmp_path / "c.safetensors").exists()


def joint(step: int, steps: int, warmup: int) -> float:
    """The curve of the joint training as it was written by hand."""
    t = min(1.0, max(0.0, (step - warmup) / max(1, steps - warmup)))
    return min(1.0, (step + 1) / warmup) * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * t)))


def falling(step: int, steps: int, warmup: int) -> float:
    """Those of new styles and of the object network."""
    return min(1.0, (step + 1) / warmup) * 0.5 * (1 + math.cos(math.pi * step / steps))


@pytest.mark.parametrize("steps", [1, 7, 60, 200, 600, 6650])
@pytest.mark.parametrize(
    ("old", "warmup", "start", "floor"),
    [(joint, 100, 100, 0.05), (falling, 10, 0, 0.0), (falling, 20, 0, 0.0)],
)
def test_schedules_are_what_they_were(old, steps, warmup, start, floor):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    (factor,) = warm_cosine(optimizer, steps, warmup, start, floor).lr_lambdas
    got, wanted = ([f(step) for step in range(steps + 1)] for f in (factor, lambda s: old(s, steps, warmup)))
    assert got == (
        wanted if start else pytest.approx(wanted, abs=1e-15)
    )  # pi * step / steps, in another order


def test_the_rate_warms_up_and_falls_and_the_encoder_learns_slower():
    network = UniStyleNetwork(NetworkConfig(EncoderConfig("mobilenetv2_050", pretrained=False), MATERIALS))
    config = OptimizerConfig(steps=100, warmup=10, lr=1e-3, encoder_lr=0.1)
    optimizer = make_optimizer(network, config)
    schedule = warm_cosine(optimizer, config.steps, config.warmup, start=config.warmup, floor=0.05)
    rates = []
    for _ in range(100):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates.index(max(rates)) in (9, 10)
    assert math.isclose(max(rates), 1e-3, rel_tol=1e-6)
    assert rates[-1] < 0.06 * max(rates)
    assert math.isclose(optimizer.param_groups[1]["lr"], 0.1 * optimizer.param_groups[0]["lr"])


@pytest.mark.parametrize(
    ("sides", "small", "wanted"),
    [("[]", 0, "32 pixels or more each\n"), ("[192, 16]", 0, "32 pixels or more each\n"),
     ("[192, 40]", 0.5, "48 pixels or more each; the first ones have two thirds of that (data.small)\n")],
)  # fmt: skip
def test_crops_that_the_network_cannot_take_are_refused(recipe, capsys, sides, small, wanted):
    assert train.main(recipe(1, **{"data.crops": sides, "data.small": small})) == 2
    assert f"data.crops {sides}; wanted one or more, of {wanted}" in capsys.readouterr().err


def test_a_share_of_small_crops_that_is_none_is_refused(recipe, capsys):
    assert train.main(recipe(1, **{"data.small": 1.5})) == 2
    assert "data.small is 1.5; wanted a share of the steps, from 0 to 1" in capsys.readouterr().err
    assert train.main(recipe(1, **{"data.laid": "[0.3, 2]"})) == 2
    assert "data.laid is (0.3, 2.0); wanted two shares of the pairs" in capsys.readouterr().err


def test_samples_of_style_photos_are_kept_on_disk(tmp_path, monkeypatch):
    texture, none = (LabelledPhoto(tmp_path / f"{name}.png") for name in ("texture", "none"))
    for photo, seed in ((texture, 0), (none, 1)):
        pixels = np.random.default_rng(seed).integers(256, size=(90, 120, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(photo.path)
    folder = tmp_path / "samples"
    made = style_sample(folder, texture)
    assert made.shape == (3, TILE, TILE)
    style_sample.cache_clear()  # another run
    with monkeypatch.context() as patch:
        patch.setattr("unistyle.styles.samples.sample_of", lambda *picture: None)
        assert torch.equal(style_sample(folder, texture), made)
        assert style_sample(folder, none) is None  # and that is kept too
    style_sample.cache_clear()
    assert style_sample(folder, none) is None
