"""The joint training: its settings, what it needs, and end to end on a tiny set: trained, killed, resumed."""

import json
import shutil
import signal
import time
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from tests import command
from tests.helpers import ROOT
from tests.training.making import materials_in
from unistyle.checkpoint.checkpoint import load_checkpoint
from unistyle.commands import train
from unistyle.network.vocabulary import with_vocabulary
from unistyle.training import state
from unistyle.training.config import DataConfig, LossWeights, TrainConfig
from unistyle.training.loop import averaged_network
from unistyle.training.losses import VGGTargets
from unistyle.training.preparation import make_accelerator, prepare
from unistyle.training.trainer import Trainer

MATERIALS = ("brick", "wool")  # as in conftest


def test_an_unknown_key_and_a_wrong_type_are_named(capsys, recipe):
    for flag, name in (("--optimizer.stepz=3", "stepz"), ("--optimizer.steps=many", "optimizer.steps")):
        with pytest.raises(SystemExit) as stop:
            train.parse([*recipe(3), flag])
        assert stop.value.code == 2
        assert name in capsys.readouterr().err


def test_shipped_configs_are_valid():
    for path in (ROOT / "configs").glob("*.yaml"):
        text = path.read_text()
        if "\nunistyle train --config" in text.replace("#   ", ""):
            assert train.parse([f"--config={path}"]).data.photos


def test_train_end_to_end(recipe, tmp_path):
    from unistyle import UniStyle

    assert train.main(recipe(3)) == 0
    assert json.loads((tmp_path / "run/config.json").read_text())["optimizer"]["steps"] == 3
    assert list((tmp_path / "run/previews").glob("*.png"))
    assert list((tmp_path / "run/logs").iterdir())
    model = UniStyle.from_pretrained(tmp_path / "c.safetensors", device="cpu")
    assert model.materials == MATERIALS
    assert {style for style, _ in model.bank.names} == set(MATERIALS)
    result = model.restyle(Image.new("RGB", (70, 50), "red"), to="wool")
    assert result.image.size == (70, 50)


def test_one_command_trains_the_segmenter_and_makes_samples_too(recipe, photos, tmp_path, monkeypatch):
    """Each stage leaves its note in the one checkpoint."""
    grey = lambda vgg, picture, side, **more: torch.full((1, 3, side, side), 0.5)  # noqa: E731
    monkeypatch.setattr("unistyle.teachers.synthesis.synthesise", grey)
    settings = tmp_path / "segmenter.yaml"
    settings.write_text(
        f"photos: elsewhere\ncheckpoint: elsewhere\nout: elsewhere\nsteps: 1\nrounds: 2\n"
        f"unlabelled: [{photos / 'objects' / 'image'}]\n"
    )
    large = {"data.photos": materials_in(tmp_path / "large", *MATERIALS, count=2), "data.masks": "null"}
    large |= {"data.annotated": "null", "data.calibrate": "null", "segmenter": settings}
    assert train.main(recipe(1, **large, synthesise="true", exemplars=1)) == 0
    notes = load_checkpoint(tmp_path / "c.safetensors").notes
    assert "2 rounds" in notes["segmenter"]
    assert "synthesised" in notes["samples"]


def test_settings_of_the_segmenter_are_checked_before_any_work(recipe, tmp_path, capsys):
    settings = tmp_path / "segmenter.yaml"
    for text, message in (("stepz: 1", "stepz"), ("unlabelled: [nowhere]", "nowhere")):
        settings.write_text(f"photos: x\ncheckpoint: x\nout: x\n{text}\n")
        assert train.main(recipe(1, segmenter=settings)) == 2
        assert message in capsys.readouterr().err
        assert not (tmp_path / "c.safetensors").exists()
    assert not (tmp_path / "run").exists()


def begun(recipe, steps, **more):
    """The trainer of a run of seconds."""
    config = train.parse(recipe(steps, **more))
    run = prepare(config, make_accelerator(config.optimizer))
    return Trainer(run, VGGTargets(run.vgg, 1e9))


@pytest.mark.parametrize(("weight", "rendered"), [(3, [True, False, True, False]), (0, [False] * 4)])
def test_rendered_pairs_come_every_second_batch_and_without_weight_never(recipe, weight, rendered):
    trainer = begun(recipe, 4, **{"loss.rendered": weight})
    batches = list(trainer.batches())
    assert [each[2] is not None for each in batches] == rendered
    trainer.prepared.progress.step = 2  # where another one goes on
    again = list(trainer.batches())
    assert [each[2] is not None for each in again] == rendered[2:]
    if weight:
        assert torch.equal(again[0][2]["wanted"], batches[2][2]["wanted"])
        assert trainer.step(*batches[0])["rendered"] > 0
    assert "rendered" not in trainer.step(*batches[1])


def test_the_opening_has_an_objective_of_its_own(recipe):
    """Nothing but what it asks for is learned in it: here that photos of a material are found."""
    only = {f"opening.{field.name}": 0 for field in fields(LossWeights) if field.name != "content_margin"}
    more = {"data.small": 0.5, "data.crops": "[48]", "optimizer.warmup": 0, "optimizer.encoder_lr": 0}
    trainer = begun(recipe, 4, **only, **more)
    weights = lambda: [x.clone() for x in network_of(trainer).stylizer.parameters()]  # noqa: E731
    changed = []
    for batches in trainer.batches():
        before = weights()
        trainer.step(*batches)
        changed.append(any(not torch.equal(a, b) for a, b in zip(before, weights(), strict=True)))
    assert changed == [False, False, True, True]


def test_a_term_that_is_not_finite_ends_the_run_and_is_not_saved(recipe, monkeypatch):
    """What the steps gave is read every ten steps only."""
    trainer = begun(recipe, 12, save_minutes=0, preview_every=100)
    terms = trainer.terms

    def broken(*batches):
        scale = float("nan") if trainer.prepared.progress.step == 3 else 1.0
        return {name: value * scale if name == "style" else value for name, value in terms(*batches).items()}

    monkeypatch.setattr(trainer, "terms", broken)
    with pytest.raises(FloatingPointError, match="'style' is nan at step 10"):
        trainer.run()
    assert not (trainer.out / "state").exists()


def network_of(trainer):
    return trainer.accelerator.unwrap_model(trainer.prepared.student).network


def encoder_of(trainer):
    return {name: value.clone() for name, value in network_of(trainer).encoder.state_dict().items()}


def test_a_rate_of_0_holds_the_encoder(recipe):
    trainer = begun(recipe, 2, **{"optimizer.encoder_lr": 0, "optimizer.settle": 0})
    before = encoder_of(trainer)
    averaged = averaged_network(trainer.run())
    for name, value in averaged.encoder.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_the_encoder_settles_half_way_to_where_it_began(recipe, tmp_path):
    """From there on it is held, in a run that is interrupted too."""
    started = tmp_path / "started.safetensors"
    assert train.main(recipe(1, checkpoint=started)) == 0
    shutil.rmtree(tmp_path / "run")
    more = {"start": started, "optimizer.settle": 0.5, "optimizer.lr": 0.01}
    trainer = begun(recipe, 4, **more)
    began = encoder_of(trainer)
    feed = trainer.batches()
    for _ in range(2):
        trainer._settle()
        trainer.step(*next(feed))
    mean = {k: v.clone() for k, v in averaged_network(trainer.prepared.averaged).encoder.state_dict().items()}
    assert any((mean[name] - value).abs().max() > 1e-4 for name, value in began.items())
    for _ in range(2):
        trainer._settle()
        trainer.step(*next(feed))
    for name, value in encoder_of(trainer).items():
        torch.testing.assert_close(value, (mean[name] + began[name]) / 2)
    state.save(trainer.accelerator, trainer.out)
    resumed = begun(recipe, 4, **more)
    state.resume(resumed.accelerator, resumed.out)
    resumed._settle()
    assert not any(p.requires_grad for p in resumed.prepared.student.network.encoder.parameters())
    for name, value in encoder_of(resumed).items():
        torch.testing.assert_close(value, (mean[name] + began[name]) / 2)


def test_a_run_goes_on_elsewhere_from_what_another_one_kept(recipe, tmp_path):
    assert train.main(recipe(2, keep_every=1)) == 0
    kept = sorted((tmp_path / "run/checkpoints").iterdir())
    assert [path.name for path in kept] == ["000001.safetensors", "000002.safetensors"]
    assert load_checkpoint(kept[0]).notes["steps"] == 1
    wanted = list(begun(recipe, 2, out=tmp_path / "whole").batches())[1]
    other = begun(recipe, 2, start=kept[0], out=tmp_path / "other", **{"optimizer.begin": 1})
    (batches,) = other.batches()
    assert torch.equal(batches[0]["photo"], wanted[0]["photo"])
    other.run()
    assert other.prepared.progress.step == 2


def test_masks_that_are_missing_come_from_the_saliency_teacher(recipe, tmp_path):
    steps = {f"teachers.{part}.{key}": value for part in ("objects", "adapt")
             for key, value in (("steps", 1), ("batch_size", 2), ("size", 64))}  # fmt: skip
    more = {"data.masks": tmp_path / "masks", "teachers.saliency_cache": tmp_path / "saliency"}
    assert train.main(recipe(1, **steps, **more)) == 0
    assert len(list((tmp_path / "masks").rglob("*.png"))) == 6


def test_two_processes_train_together(recipe, tmp_path):
    log = tmp_path / "log"
    processes = command.start_together(2, recipe(2), log, "train")
    assert [command.end(each) for each in processes] == [0, 0], log.read_text()[-3000:]
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
    torch.testing.assert_close(after[:, 1], before[:, 1:-1].mean(1), **close)
    torch.testing.assert_close(after[:, -1], before[:, -1], **close)
    assert with_vocabulary(network, network.config.materials) is network


def test_killed_and_started_again_it_goes_on(recipe, tmp_path):
    process = command.start(recipe(500), tmp_path / "log", program="train")
    command.wait_for(lambda: list((tmp_path / "run").glob("state/custom_checkpoint_2.pkl")))
    time.sleep(1)
    process.kill()
    assert command.end(process) == -signal.SIGKILL
    config = train.parse(recipe(500))
    run = prepare(config, make_accelerator(config.optimizer))
    state.resume(run.accelerator, tmp_path / "run")
    assert run.progress.step > 0, (tmp_path / "log").read_text()[-2000:]
    first = next(Trainer(run, VGGTargets(run.vgg, 1e9)).batches())[0]
    wanted = [run.pairs.dataset[run.progress.step * 2 + i]["photo_key"] for i in range(2)]
    assert first["photo_key"] == wanted


def test_the_same_settings_give_the_same_checkpoint(recipe, tmp_path):
    files = [tmp_path / f"{number}.safetensors" for number in range(3)]
    for number, file in enumerate(files):
        torch.manual_seed(number)  # what was before a run has no part in it
        more = {"out": tmp_path / f"run{number}", "checkpoint": file, "seed": 5 + number // 2}
        assert train.main(recipe(2, **more)) == 0
    first, again, other = map(load_file, files)
    assert first.keys() == again.keys()
    assert all(tensor.equal(again[name]) for name, tensor in first.items())
    assert not all(tensor.equal(other[name]) for name, tensor in first.items())


def test_the_constructor_does_no_work():
    """A run of nothing but its settings is enough for it."""
    config = TrainConfig(DataConfig("nowhere"), out="nowhere")
    run = SimpleNamespace(config=config, accelerator=None)
    trainer = Trainer(run, None)
    assert (trainer.config, trainer.out) == (config, Path("nowhere"))
    assert not Path("nowhere").exists()
