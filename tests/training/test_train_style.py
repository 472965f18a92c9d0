"""Styles fitted by the command, on a tiny set: what is written, and what is refused before."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.helpers import make_photo
from tests.training.making import differing
from unistyle import UniStyle
from unistyle.checkpoint.checkpoint import load_checkpoint, save_checkpoint
from unistyle.commands import bank, train
from unistyle.files.samples import sample_photos
from unistyle.styles.exemplars import read_exemplar
from unistyle.training import fitting, new_styles
from unistyle.training.new_styles import StyleTrainer

ENCODING = ("adapters.", "projections.")  # of the stylizer: what codes are made with


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Few and small crops."""
    for name, value in (("SIDE", 32), ("CROPS", 6), ("HELD_OUT", 2)):
        monkeypatch.setattr(fitting, name, value)


def photos_in(folder: Path, count: int = 2) -> Path:
    folder.mkdir(parents=True)
    for seed in range(count):
        make_photo(72, 80, seed).save(folder / f"{seed}.png")
    return folder


@pytest.fixture
def style(checkpoint, contents, vgg_weights, tmp_path, capsys):
    """Run `train.py style` in this process: exit code, printed text, error text."""

    def run(folder, *more):
        settings = dict(styles=folder, checkpoint=checkpoint, out=tmp_path / "out.safetensors", vgg=vgg_weights,
                        contents=f"[{contents}]", steps=2, batch=1, device="cpu")  # fmt: skip
        code = train.main(["style", *(f"--{name}={value}" for name, value in settings.items()), *more])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def no_fitting(monkeypatch):
    def fail(*_):
        raise AssertionError("it is fitted")

    monkeypatch.setattr(new_styles, "prepare_fitting", fail)


def test_a_style_is_fitted_and_used(style, loaded, tmp_path):
    # In full precision, in which a file may be too.
    exact = copy.deepcopy(loaded)
    with torch.no_grad():
        for parameter in exact.network.parameters():
            parameter.mul_(1.0001)
    source = save_checkpoint(tmp_path / "exact.safetensors", exact, half=False)
    code, printed, _ = style(photos_in(tmp_path / "rust"), f"--checkpoint={source}")
    out = tmp_path / "out.safetensors"
    assert code == 0
    assert f"rust in {out}; what fitting changed in {tmp_path / 'out.png'}" in printed
    assert "old styles moved by 0.0 %" in printed
    assert Image.open(tmp_path / "out.png").size[0] > 6 * 32
    before, after = load_file(source), load_file(out)
    assert differing(before, after) == {"bank.codes"}
    assert after["bank.codes"][:3].equal(before["bank.codes"])
    model = UniStyle.from_pretrained(out, device="cpu")
    assert model.bank.names[3:] == (("rust", "0"), ("rust", "1"))
    added = read_exemplar(exact.network, "rust", tmp_path / "rust" / "0.png").code
    assert not model.bank.codes[3].equal(added), "fitted"
    photo = make_photo()
    assert not np.array_equal(np.asarray(model.restyle(photo, "rust").image), np.asarray(photo))


def test_with_the_decoder_and_a_broken_photo(style, checkpoint, tmp_path):
    folder = photos_in(tmp_path / "rust", 1)
    (folder / "broken.jpg").write_bytes(b"else")
    code, printed, errors = style(folder, "--decoder=true", "--decoder_lr=0.003")
    assert code == 1
    assert f"not used: {folder / 'broken.jpg'}: cannot be read as an image" in errors
    assert "old styles moved by" in printed
    before, after = load_file(checkpoint), load_file(tmp_path / "out.safetensors")
    kept = ("network.encoder.", "network.segmenter.", *(f"network.stylizer.{part}" for part in ENCODING))
    changed = differing(before, after)
    assert not [name for name in changed if name.startswith(kept)]
    assert "network.stylizer.to_rgb.weight" in changed
    assert after["bank.codes"][:3].equal(before["bank.codes"])


def test_a_name_that_is_taken_is_refused_before_anything_is_fitted(style, no_fitting, tmp_path):
    code, printed, errors = style(photos_in(tmp_path / "stone"))
    assert (code, printed) == (2, "")
    assert "the bank has styles of the name 'stone'; rename the folder, or give --replace true" in errors
    assert not (tmp_path / "out.safetensors").exists()


def test_so_is_what_was_added_of_the_same_photos(style, no_fitting, checkpoint, tmp_path, capsys):
    folder, added = photos_in(tmp_path / "rust"), tmp_path / "added.safetensors"
    assert bank.main(["add", str(checkpoint), "--styles", str(folder), "--out", str(added)]) == 0
    code, _, errors = style(folder, f"--checkpoint={added}")
    assert (code, "styles of the name 'rust'" in errors) == (2, True)


def test_a_style_takes_the_place_of_another(style, checkpoint, tmp_path):
    assert style(photos_in(tmp_path / "stone", 1), "--replace=true", "--steps=1")[0] == 0
    old, new = load_checkpoint(checkpoint).bank, load_checkpoint(tmp_path / "out.safetensors").bank
    assert new.names == (("metal", "plate"), ("stone", "0"))
    assert new.codes[0].equal(old.codes[2])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["--styles=nowhere"], "no folder nowhere"),
        (["--contents=[nowhere]"], "no photos in nowhere; give folders of photos of anything"),
        (["--vgg=nowhere.safetensors"], "no VGG-19 weights at nowhere.safetensors"),
        (["--checkpoint=nowhere.safetensors"], "nowhere.safetensors: no such file or folder"),
        (["--steps=0"], "steps is 0; wanted a whole number from 1 up"),
        (["--exemplars=-1"], "exemplars is -1"),
        (["--batch=0"], "batch is 0"),
        (["--device=abacus"], "device 'abacus' is not usable here"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_fitted(
    style, no_fitting, tmp_path, settings, message
):
    code, printed, errors = style(photos_in(tmp_path / "rust", 1), *settings)
    assert (code, printed) == (2, "")
    assert errors.startswith("unistyle train style: error: ")
    assert message in errors
    assert not (tmp_path / "out.safetensors").exists()


def test_files_that_are_no_weights(style, no_fitting, tmp_path):
    folder = photos_in(tmp_path / "rust", 1)
    (tmp_path / "text").write_text("weights")
    save_file({"features.0.weight": torch.zeros(2)}, tmp_path / "other")
    for name in ("text", "other"):
        code, _, errors = style(folder, f"--vgg={tmp_path / name}")
        assert (code, f"{tmp_path / name}: these are no weights of VGG-19" in errors) == (2, True), name


def test_a_content_photo_that_is_broken_is_named(style, tmp_path):
    (tmp_path / "contents").mkdir()
    (tmp_path / "contents" / "a.png").write_bytes(b"else")
    code, _, errors = style(photos_in(tmp_path / "rust", 1), f"--contents=[{tmp_path / 'contents'}]")
    assert (code, f"{tmp_path / 'contents' / 'a.png'}: cannot be read" in errors) == (2, True)


def test_an_unknown_setting_is_named(style, tmp_path):
    for flag, name in (("--stepz=3", "stepz"), ("--steps=many", "steps")):
        code, _, errors = style(tmp_path, flag)
        assert (code, name in errors) == (2, True)


def test_the_samples_are_restyled_where_no_folder_is_given(style, monkeypatch, tmp_path):
    asked = []

    def stop(checkpoint, exemplars, photos, vgg, config):
        asked.append((photos, config))
        raise ValueError("enough")

    monkeypatch.setattr(new_styles, "prepare_fitting", stop)
    folder = photos_in(tmp_path / "rust", 1)
    for none in ("null", "[]"):
        assert style(folder, f"--contents={none}", "--loss.style=3")[0] == 2
    for photos, config in asked:
        assert [photo.path for photo in photos] == sample_photos()
        assert (config.loss.style, config.loss.content_margin) == (3, 0.92)


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (
            FloatingPointError("the term 'style' is nan at step 3"),
            2,
            "error: the term 'style' is nan at step 3",
        ),
        (KeyboardInterrupt(), 130, "stopped: interrupted"),
    ],
)
def test_nothing_is_written_where_fitting_ends_early(style, monkeypatch, tmp_path, error, code, message):
    def step(*_):
        raise error

    monkeypatch.setattr(StyleTrainer, "step", step)
    got, _, errors = style(photos_in(tmp_path / "rust", 1))
    assert (got, message in errors) == (code, True)
    assert not list(tmp_path.glob("out*"))
