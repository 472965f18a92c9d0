"""Styles fitted to their photos: what changes and what does not, what is measured, and the command end to end on a
tiny set."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.helpers import make_photo
from unistyle import UniStyle
from unistyle.checkpoint.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from unistyle.commands import bank, train
from unistyle.data.labelled import LabelledPhoto
from unistyle.data.transfer import Transfer
from unistyle.evaluation.scores import style_scores
from unistyle.files.samples import sample_photos
from unistyle.styles.codes import code_space
from unistyle.styles.exemplars import Exemplar, read_exemplar
from unistyle.teachers.vgg import VGG19
from unistyle.training import new_styles as tuning
from unistyle.training.config import StyleConfig
from unistyle.training.new_styles import Contents, StyleTrainer, decoder_parameters

ENCODING = ("adapters.", "projections.")  # of the stylizer: what codes are made with


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Few and small crops."""
    for name, value in (("SIDE", 32), ("CROPS", 6), ("HELD_OUT", 2)):
        monkeypatch.setattr(tuning, name, value)


@pytest.fixture(scope="module")
def vgg(vgg_weights) -> VGG19:
    return VGG19(vgg_weights)


@pytest.fixture(scope="module")
def loaded(checkpoint) -> Checkpoint:
    return load_checkpoint(checkpoint)


def photos_in(folder: Path, count: int = 2) -> Path:
    folder.mkdir(parents=True)
    for seed in range(count):
        make_photo(72, 80, seed).save(folder / f"{seed}.png")
    return folder


@pytest.fixture(scope="module")
def contents(tmp_path_factory) -> Path:
    return photos_in(tmp_path_factory.mktemp("contents") / "anything", 3)


@pytest.fixture(scope="module")
def exemplars(loaded, tmp_path_factory) -> list[Exemplar]:
    """Two, of other textures than the contents."""
    read, rng = [], np.random.default_rng(0)
    for name, high in (("dark", 80), ("bright", 256)):
        path = tmp_path_factory.mktemp("styles") / f"{name}.png"
        Image.fromarray(rng.integers(0, high, (64, 64, 3), dtype=np.uint8)).save(path)
        read.append(read_exemplar(loaded.network, "rust", path, whole=True))
    return read


@pytest.fixture
def trainer_of(loaded, exemplars, contents, vgg):
    """A trainer of a copy of the tiny network, with other settings."""

    def make(count: int = 2, **settings) -> StyleTrainer:
        config = StyleConfig("", "", "", **dict(batch=2, device="cpu") | settings)
        photos = [LabelledPhoto(path) for path in sorted(contents.iterdir())]
        return StyleTrainer(copy.deepcopy(loaded), exemplars[:count], photos, vgg, config)

    return make


@torch.no_grad()
def term(trainer: StyleTrainer, name: str) -> float:
    """A term on the same crops each time, a mean over the exemplars."""
    trainer.generator.manual_seed(1)
    return sum(trainer.terms(row)[name].item() for row in range(len(trainer.exemplars)))


def differing(before: dict, after: dict) -> set[str]:
    assert before.keys() == after.keys()
    return {name for name in before if not before[name].equal(after[name])}


def test_fitting_lowers_the_style_term(trainer_of):
    for decoder, share in ((False, 0.98), (True, 0.8)):
        trainer = trainer_of(count=1, steps=10, lr=5.0, decoder_lr=1e-2, decoder=decoder)
        before = term(trainer, "style")
        codes = trainer.run()
        assert term(trainer, "style") < share * before
        assert codes.shape == trainer.start.shape
        assert not codes.equal(trainer.start)
        assert not codes.requires_grad
        assert codes.is_cpu


def test_the_same_seed_gives_the_same(trainer_of):
    results = []
    for chance, seed in ((1, 0), (2, 0), (2, 7)):
        torch.manual_seed(chance)
        state = torch.get_rng_state()
        trainer = trainer_of(steps=2, decoder=True, seed=seed)
        codes = trainer.run()
        assert torch.get_rng_state().equal(state), "the caller's stream of numbers is left alone"
        results.append({"codes": codes, **trainer.stylizer.state_dict()})
    assert not differing(results[0], results[1])
    assert "codes" in differing(results[0], results[2])


def test_without_the_decoder_the_network_stays(trainer_of, loaded):
    trainer = trainer_of(steps=2)
    trainer.run()
    assert not differing(loaded.network.state_dict(), trainer.network.state_dict())
    assert not any(p.requires_grad for p in trainer.network.parameters())
    assert not any(module.training for module in trainer.network.modules())
    assert trainer.old_moved() == 0


def test_with_it_nothing_else_changes(trainer_of, loaded):
    trainer = trainer_of(steps=2, decoder=True)
    trainer.run()
    changed = differing(loaded.network.state_dict(), trainer.network.state_dict())
    assert {"stylizer.to_rgb.weight", "stylizer.embed.0.weight", "stylizer.fine2.noise.amount"} <= changed
    assert all(name.startswith("stylizer.") for name in changed)
    assert not any(name.startswith(tuple(f"stylizer.{part}" for part in ENCODING)) for name in changed)
    assert "stylizer.noise" not in changed
    assert code_space(trainer.network) == code_space(loaded.network)
    assert not differing(loaded.network.stylizer.state_dict(), trainer.before.state_dict())
    assert not any(p.requires_grad for p in trainer.network.parameters())
    assert 0 < trainer.old_moved() < 1


def test_the_decoder_is_all_that_codes_are_not_made_with(loaded):
    stylizer = loaded.network.stylizer
    chosen = {id(p) for p in decoder_parameters(stylizer)}
    named = dict(stylizer.named_parameters())
    assert len(chosen) == len(decoder_parameters(stylizer))
    assert chosen == {id(p) for name, p in named.items() if not name.startswith(ENCODING)}
    assert 0 < len(chosen) < len(named)


def test_held_is_nothing_at_first_and_grows(trainer_of):
    trainer = trainer_of(decoder=True)
    trainer.stylizer.train()
    trainer.before.train()
    assert [trainer.held().item() for _ in range(3)] == [0, 0, 0]
    photo, features = trainer.contents.batch([0])
    shifted = [
        trainer.before(features, torch.ones_like(photo[:, :1]), trainer.old[:1, None], photo.shape[-2:])
        for _ in range(4)
    ]
    assert any(not image.equal(shifted[0]) for image in shifted), "though the noise moves from pass to pass"
    weight, values = trainer.stylizer.to_rgb.weight, []
    original = weight.detach().clone()
    for amount in (0.1, 0.5):
        with torch.no_grad():
            weight.copy_(original + amount * torch.randn(weight.shape, generator=torch.manual_seed(0)))
        trainer.generator.manual_seed(0)
        values.append(trainer.held().item())
    assert 0 < values[0] < values[1]


def test_old_styles_are_those_of_the_bank_and_the_crops_own(trainer_of, loaded):
    trainer = trainer_of()
    assert trainer.old[:3].equal(loaded.bank.codes)
    assert len(trainer.old) == 3 + tuning.CROPS
    for row in (0, 5):
        photo, features = trainer.contents.batch([row])
        own = trainer.stylizer.encode(features, torch.ones_like(photo[:, :1]))[0, 0]
        torch.testing.assert_close(trainer.old[3 + row], own)


def test_distances_are_the_scores_of_the_results(trainer_of, monkeypatch, exemplars, vgg):
    monkeypatch.setattr(tuning, "HELD_OUT", 1)
    trainer = trainer_of(count=1)
    found = trainer.distances(trainer.before, trainer.start)
    photo, network = trainer.contents.photos[-1:], trainer.network
    whole = torch.ones_like(photo[:, :1])
    with torch.no_grad():
        result = network.stylizer(network.encoder(photo), whole, exemplars[0].code[None, None], (32, 32))
    scores = style_scores(vgg, Transfer(photo, exemplars[0].image, whole, exemplars[0].region), result)
    assert found == pytest.approx({"gram": scores["relative"], "content": scores["content"]}, rel=1e-4)


def test_crops_measured_on_are_not_fitted_to(trainer_of):
    trainer = trainer_of(batch=50)
    assert list(trainer.crops) == [4, 5]
    assert set(trainer._draw(100, tuning.CROPS - tuning.HELD_OUT)) == {0, 1, 2, 3}


def test_crops_come_from_all_photos_and_one_is_enough(loaded, contents):
    one = Contents(loaded.network, [LabelledPhoto(contents / "0.png")], 4, seed=0)
    assert all(not one.photos[0].equal(other) for other in one.photos[1:]), "each time another crop"
    assert one.photos.shape == (4, 3, 32, 32)
    assert [len(level) for level in one.features] == [4] * 4


def test_a_term_that_is_not_finite_stops_with_its_name(trainer_of, monkeypatch):
    nan = torch.tensor(float("nan"))
    monkeypatch.setattr(tuning, "pixel_terms", lambda *_: {"shading": nan})
    with pytest.raises(FloatingPointError, match="'shading' is nan at step 0"):
        trainer_of(steps=1).run()


def test_the_preview_shows_what_fitting_changed(trainer_of):
    trainer = trainer_of()
    sheet = trainer.preview(trainer.start + 1, count=1)
    assert sheet.shape[0] == 3
    assert sheet.shape[1] // 32 == 2, "a row an exemplar"
    assert sheet.shape[2] // 32 == 4, "its photo, a crop, and that without and with fitting"
    left, right = sheet[:, 2:34, 70:102], sheet[:, 2:34, 104:136]
    assert not left.equal(right)


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

    monkeypatch.setattr(tuning, "StyleTrainer", fail)


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
    assert Image.open(tmp_path / "out.png").size[0] > 9 * 32
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
    assert errors.startswith("train.py style: error: ")
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


def test_an_unknown_setting_is_named(style, tmp_path, capsys):
    for flag, name in (("--stepz=3", "stepz"), ("--steps=many", "steps")):
        with pytest.raises(SystemExit) as stop:
            style(tmp_path, flag)
        assert stop.value.code == 2
        assert name in capsys.readouterr().err


def test_the_samples_are_restyled_where_no_folder_is_given(style, monkeypatch, tmp_path):
    asked = []

    def stop(checkpoint, exemplars, photos, vgg, config):
        asked.append((photos, config))
        raise ValueError("enough")

    monkeypatch.setattr(tuning, "StyleTrainer", stop)
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


def test_a_bank_without_styles(trainer_of, loaded, exemplars, contents, vgg):
    empty = replace(copy.deepcopy(loaded), bank=loaded.bank.only([]))
    config = StyleConfig("", "", "", batch=1, steps=1, decoder=True)
    trainer = StyleTrainer(empty, exemplars[:1], [LabelledPhoto(contents / "0.png")], vgg, config)
    trainer.run()
    assert len(trainer.old) == tuning.CROPS
    assert trainer.old_moved() >= 0
