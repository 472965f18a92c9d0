"""Data, losses, the configuration, and train.py end to end on a tiny set: trained, killed, resumed."""

import json
import math
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers import ROOT
from unistyle.commands import train
from unistyle.data.labelled import LabelledPhoto, material_photos, materials_of, object_photos
from unistyle.data.pairs import MaskedPhotos, StylePairs
from unistyle.data.views import crop, fit
from unistyle.maths.features import periodic_energy
from unistyle.network.encoder import EncoderConfig
from unistyle.network.model import NetworkConfig, UniStyleNetwork
from unistyle.network.vocabulary import with_vocabulary
from unistyle.teachers.vgg import VGG19
from unistyle.training.config import DataConfig, OptimizerConfig, TrainConfig
from unistyle.training.finish import annotated_photos
from unistyle.training.loop import make_optimizer, make_schedule
from unistyle.training.losses import (
    VGGTargets,
    describe_photo,
    finite,
    pixel_terms,
    segmentation_term,
    style_terms,
)
from unistyle.training.student import Student

MATERIALS = ("brick", "wool")  # as in conftest


def materials(photos):
    return material_photos(photos / "materials/image", masks=photos / "materials/mask")


def test_materials_are_the_folder_names_in_order(photos, tmp_path):
    assert materials_of(photos / "materials/image") == MATERIALS
    with pytest.raises(FileNotFoundError, match="a folder a material"):
        materials_of(photos / "nowhere")
    with pytest.raises(ValueError, match="holds no folder with photos"):
        materials_of(tmp_path)


def test_a_split_takes_the_named_photos_alone(photos, tmp_path):
    split = tmp_path / "split.txt"
    split.write_text("wool/1\nbrick/2\n")
    found = material_photos(photos / "materials/image", split)
    assert [(p.path.parent.name, p.path.stem, p.label) for p in found] == [
        ("brick", "2", 0),
        ("wool", "1", 1),
    ]
    split.write_text("wool/9\n")
    with pytest.raises(ValueError, match=r"split\.txt"):
        material_photos(photos / "materials/image", split)


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


def test_items_depend_on_seed_and_index_alone(photos):
    own = materials(photos)
    config = DataConfig(str(photos), crop=32, style_size=(32, 48))
    make = lambda seed: StylePairs(own, own, [], config, 50, seed, fixed=3, fixed_share=0.5)  # noqa: E731
    first, second, other = make(0), make(0), make(1)
    for i in (0, 7, 33):
        assert all(
            torch.equal(torch.as_tensor(first[i][k]), torch.as_tensor(second[i][k]))
            for k in ("photo", "style", "region")
        )
    assert any(first[i]["photo_key"] != other[i]["photo_key"] for i in range(10))
    shapes = {k: tuple(v.shape) for k, v in first[0].items() if isinstance(v, torch.Tensor)}
    assert shapes == dict(photo=(3, 32, 32), region=(1, 32, 32), style=(3, 32, 48), style_region=(1, 32, 48))
    fixed = [first[i] for i in range(50) if first[i]["fixed"] >= 0]
    assert fixed
    assert torch.equal(fixed[0]["photo"], first.fixed_pair(fixed[0]["fixed"])["photo"])


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


def batch(same=0.0, fixed=-1):
    generator = torch.Generator().manual_seed(0)
    photo, style = (
        torch.rand(1, 3, 48, 48, generator=generator),
        torch.rand(1, 3, 48, 64, generator=generator) ** 3,
    )
    region = torch.zeros(1, 1, 48, 48)
    region[..., 8:40] = 1
    return dict(photo=photo, style=style, region=region, style_region=torch.ones(1, 1, 48, 64), gatys=photo * 0.5,
                photo_key=["a"], style_key=["b"], same=torch.tensor([same]), fixed=torch.tensor([fixed]))  # fmt: skip


def test_the_photo_has_content_zero_and_its_own_style_zero(vgg_weights):
    vgg = VGG19(vgg_weights)
    item = batch()
    terms = style_terms(item, item["photo"], VGGTargets(vgg, 1e9), margin=0.0)
    assert terms["content"] < 1e-4  # the kept features are in half precision
    assert 0 < terms["style"] <= 1
    own = item | dict(style=item["photo"], style_region=item["region"], style_key=["c"])
    assert style_terms(own, own["photo"], VGGTargets(vgg, 1e9), margin=0.0)["style"] < 1e-6


def test_targets_are_computed_once_and_the_limit_holds(vgg_weights):
    vgg = VGG19(vgg_weights)
    calls = []
    vgg.register_forward_hook(lambda *_: calls.append(1))
    item = batch()
    args = ("photo", item["photo_key"], item["photo"], item["region"], describe_photo)
    kept = VGGTargets(vgg, 1e9)
    first, second = kept.get(*args), kept.get(*args)
    assert len(calls) == 1
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    none = VGGTargets(vgg, 10)
    none.get(*args), none.get(*args)
    assert len(calls) == 3
    assert none.used == 0


def test_pixel_terms_hold_for_the_items_they_are_meant_for():
    item = batch(same=1.0, fixed=0)
    shifted = item["photo"] * 0.5
    terms = pixel_terms(item, shifted)
    assert terms["gatys"] == 0
    inside = item["region"].expand_as(shifted) > 0
    torch.testing.assert_close(terms["identity"], (shifted - item["photo"]).abs()[inside].mean())
    assert terms["shading"] < 0.05  # half the luminance everywhere is a gain, which shading allows
    others = pixel_terms(batch(), item["photo"])
    assert others["gatys"] == others["identity"] == 0


def test_grain_is_what_a_grid_adds_to_the_styles_own():
    item = batch()
    item["style"] = item["photo"]
    item["style_region"] = item["region"]
    assert pixel_terms(item, item["photo"])["grain"] == 0
    rows, columns = torch.meshgrid(torch.arange(48), torch.arange(48), indexing="ij")
    grid = 0.2 * (-1.0) ** (rows + columns)  # the period of 2 alone
    plain = torch.full_like(item["photo"], 0.5)
    wanted = [
        periodic_energy(item["photo"], item["region"], 2),
        periodic_energy(plain + grid, item["region"], 2),
    ]
    torch.testing.assert_close(
        pixel_terms(item, plain + grid)["grain"],
        (wanted[1] / wanted[0]).log().mean() / 2,
        rtol=1e-3,
        atol=1e-3,
    )
    assert pixel_terms(item, plain)["grain"] == 0  # less than the style's is no fault
    faint = (plain + 0.01 * grid).requires_grad_()
    item["style"] = torch.full_like(item["style"], 0.5)
    pixel_terms(item, faint)["grain"].backward()
    assert faint.grad.isfinite().all()
    assert faint.grad.abs().max() > 0


def test_segmentation_falls_as_the_logits_agree():
    mask = torch.zeros(2, 1, 32, 32)
    mask[:, :, :16] = 1
    label = torch.tensor([1, -1])
    right = torch.full((2, 3, 8, 8), -8.0)
    right[:, 0, 4:] = right[:, 2, :4] = 8.0
    assert segmentation_term(right, mask, label) < 0.01
    wrong_material = right[:, [0, 2, 1]]
    assert segmentation_term(wrong_material, mask, label) > 1
    assert segmentation_term(wrong_material, mask, torch.tensor([-1, -1])) < 0.01
    empty = torch.zeros(1, 3, 8, 8, requires_grad=True)
    segmentation_term(empty, torch.zeros(1, 1, 8, 8), torch.tensor([-1])).backward()
    assert empty.grad.abs().min() > 0


def test_a_term_that_is_not_finite_is_named():
    with pytest.raises(FloatingPointError, match="'shading' is nan at step 7"):
        finite(dict(style=torch.tensor(1.0), shading=torch.tensor(float("nan"))), 7)


def test_the_rate_warms_up_and_falls_and_the_encoder_learns_slower():
    network = UniStyleNetwork(NetworkConfig(EncoderConfig("mobilenetv2_050", pretrained=False), MATERIALS))
    config = OptimizerConfig(steps=100, warmup=10, lr=1e-3, encoder_lr=0.1)
    optimizer = make_optimizer(network, config)
    schedule = make_schedule(optimizer, config)
    rates = []
    for _ in range(100):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates.index(max(rates)) in (9, 10)
    assert math.isclose(max(rates), 1e-3, rel_tol=1e-6)
    assert rates[-1] < 0.06 * max(rates)
    assert math.isclose(optimizer.param_groups[1]["lr"], 0.1 * optimizer.param_groups[0]["lr"])


def test_a_few_steps_bring_the_style_nearer(vgg_weights):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = UniStyleNetwork(
            NetworkConfig(EncoderConfig("mobilenetv2_050", pretrained=False), MATERIALS)
        )
    item, targets = batch(), VGGTargets(VGG19(vgg_weights), 1e9)
    student, optimizer = Student(network).train(), make_optimizer(network, OptimizerConfig(lr=3e-3))
    values = []
    for _ in range(12):
        style = style_terms(item, student(item)[0].image, targets, 0.0)["style"]
        optimizer.zero_grad()
        style.backward()
        optimizer.step()
        values.append(style.item())
    assert values[-1] < 0.7 * values[0]


def test_an_unknown_key_and_a_wrong_type_are_named(capsys, recipe):
    for flag, name in (("--optimizer.stepz=3", "stepz"), ("--optimizer.steps=many", "optimizer.steps")):
        with pytest.raises(SystemExit) as stop:
            train.parse([*recipe(3), flag])
        assert stop.value.code == 2
        assert name in capsys.readouterr().err


def test_shipped_configs_are_valid():
    for path in (ROOT / "configs").glob("*.yaml"):
        text = path.read_text()
        if "train.py --config" in text:
            assert train.parse([f"--config={path}"]).data.photos


def test_masks_without_a_boundary_are_refused_for_calibration_before_the_run(photos, tmp_path):
    for name in MATERIALS:
        (tmp_path / name).mkdir()
        Image.new("L", (80, 60), 255).save(tmp_path / name / "1.png")
    (tmp_path / "val.txt").write_text("wool/1\nbrick/1\n")
    data = DataConfig(str(photos / "materials/image"), calibrate=str(tmp_path / "val.txt"))
    config = TrainConfig(data)
    assert annotated_photos(config) == []
    data.annotated = str(photos / "materials/mask")
    assert len(annotated_photos(config)) == 2
    data.annotated = str(tmp_path)
    with pytest.raises(ValueError, match=r"fill their photos \(2 of them\)"):
        annotated_photos(config)


def test_train_end_to_end(recipe, tmp_path):
    from unistyle import UniStyle

    train.main(recipe(3))
    assert json.loads((tmp_path / "run/config.json").read_text())["optimizer"]["steps"] == 3
    assert list((tmp_path / "run/previews").glob("*.png"))
    assert list((tmp_path / "run/logs").iterdir())
    model = UniStyle.from_pretrained(tmp_path / "c.safetensors", device="cpu")
    assert model.materials == MATERIALS
    assert {style for style, _ in model.bank.names} == set(MATERIALS)
    result = model.restyle(Image.new("RGB", (70, 50), "red"), to="wool")
    assert result.image.size == (70, 50)


def test_masks_that_are_missing_come_from_the_saliency_teacher(recipe, tmp_path):
    steps = {f"teachers.{part}.{key}": value for part in ("objects", "adapt")
             for key, value in (("steps", 1), ("batch_size", 2), ("size", 64))}  # fmt: skip
    more = {"data.masks": tmp_path / "masks", "teachers.saliency_cache": tmp_path / "saliency"}
    train.main(recipe(1, **steps, **more))
    assert len(list((tmp_path / "masks").rglob("*.png"))) == 6


def test_two_processes_train_together(recipe, tmp_path):
    launch = ["-m", "accelerate.commands.launch", "--cpu", "--num_processes=2", "--num_machines=1"]
    run = subprocess.run(
        [sys.executable, *launch, "--mixed_precision=no", "--dynamo_backend=no", "train.py", *recipe(2)],
        cwd=ROOT, capture_output=True, text=True, timeout=120, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-3000:]
    assert (tmp_path / "c.safetensors").is_file()


def test_another_vocabulary_keeps_what_is_known(network):
    other = with_vocabulary(network, ("brick", "stone"))
    stone = 1 + network.config.materials.index("stone")
    photo = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        (features, before), (same, after) = network.eval().find(photo), other.eval().find(photo)
    torch.testing.assert_close(same, features)
    close = dict(rtol=1e-4, atol=1e-3)  # of logits in the hundreds
    torch.testing.assert_close(after[:, [0, 2]], before[:, [0, stone]], **close)
    torch.testing.assert_close(after[:, 1], before[:, 1:].mean(1), **close)
    assert with_vocabulary(network, network.config.materials) is network


def test_killed_and_started_again_it_goes_on(recipe, tmp_path):
    command = [sys.executable, "train.py", *recipe(500)]
    env = os.environ | {"PYTHONUNBUFFERED": "1"}
    with (tmp_path / "log").open("w") as log:
        run = subprocess.Popen(command, cwd=ROOT, env=env, stderr=log, stdout=log)
        deadline = time.monotonic() + 90
        while (
            not list((tmp_path / "run").glob("state/custom_checkpoint_2.pkl")) and time.monotonic() < deadline
        ):
            time.sleep(0.2)
        time.sleep(1)
        run.send_signal(signal.SIGKILL)
        run.wait()
    from unistyle.training.trainer import Trainer

    trainer = Trainer(train.parse(recipe(500)))
    trainer.resume()
    assert trainer.progress.step > 0, (tmp_path / "log").read_text()[-2000:]
    first = next(trainer.batches())[0]
    wanted = [trainer.pairs[trainer.progress.step * 2 + i]["photo_key"] for i in range(2)]
    assert first["photo_key"] == wanted
