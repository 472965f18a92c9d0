"""Styles fitted to their photos: what changes and what does not, and what is measured."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from tests.training.making import differing
from unistyle.data.labelled import LabelledPhoto
from unistyle.data.transfer import Transfer
from unistyle.evaluation.scores import style_scores
from unistyle.styles.codes import code_space
from unistyle.styles.exemplars import Exemplar, read_exemplar
from unistyle.teachers.vgg import VGG19
from unistyle.training import fitting, new_styles
from unistyle.training.config import LossWeights, StyleConfig
from unistyle.training.fitting import distances, old_moved, prepare_fitting, preview, read_contents
from unistyle.training.new_styles import StyleTrainer, decoder_parameters

ENCODING = ("adapters.", "projections.")  # of the stylizer: what codes are made with


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Few and small crops."""
    for name, value in (("SIDE", 32), ("CROPS", 6), ("HELD_OUT", 2)):
        monkeypatch.setattr(fitting, name, value)


@pytest.fixture(scope="module")
def vgg(vgg_weights) -> VGG19:
    return VGG19(vgg_weights)


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
        return StyleTrainer(
            prepare_fitting(copy.deepcopy(loaded), exemplars[:count], photos, vgg, config), config
        )

    return make


@torch.no_grad()
def term(trainer: StyleTrainer, name: str) -> float:
    """A term on the same crops each time, a mean over the exemplars."""
    trainer.generator.manual_seed(1)
    return sum(trainer.terms(row)[name].item() for row in range(len(trainer.fitting.exemplars)))


def test_fitting_lowers_the_style_term(trainer_of):
    alone = LossWeights(
        colors=0, shading=0, palette=0
    )  # a random network has the style at the price of others
    for decoder, share in ((False, 0.999), (True, 0.8)):
        trainer = trainer_of(count=1, steps=10, lr=5.0, decoder_lr=1e-2, decoder=decoder, loss=alone)
        before = term(trainer, "style")
        codes = trainer.run()
        assert term(trainer, "style") < share * before
        assert codes.shape == trainer.fitting.start.shape
        assert not codes.equal(trainer.fitting.start)
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
    assert not differing(loaded.network.state_dict(), trainer.fitting.network.state_dict())
    assert not any(p.requires_grad for p in trainer.fitting.network.parameters())
    assert not any(module.training for module in trainer.fitting.network.modules())
    assert old_moved(trainer.fitting) == 0


def test_with_it_nothing_else_changes(trainer_of, loaded):
    trainer = trainer_of(steps=2, decoder=True)
    trainer.run()
    changed = differing(loaded.network.state_dict(), trainer.fitting.network.state_dict())
    assert {"stylizer.to_rgb.weight", "stylizer.embed.0.weight", "stylizer.fine2.noise.amount"} <= changed
    assert all(name.startswith("stylizer.") for name in changed)
    assert not any(name.startswith(tuple(f"stylizer.{part}" for part in ENCODING)) for name in changed)
    assert "stylizer.noise" not in changed
    assert code_space(trainer.fitting.network) == code_space(loaded.network)
    assert not differing(loaded.network.stylizer.state_dict(), trainer.fitting.before.state_dict())
    assert not any(p.requires_grad for p in trainer.fitting.network.parameters())
    assert 0 < old_moved(trainer.fitting) < 1


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
    trainer.fitting.before.train()
    assert [trainer.held().item() for _ in range(3)] == [0, 0, 0]
    photo, features = trainer.fitting.contents.batch([0])
    shifted = [
        trainer.fitting.before(
            features, torch.ones_like(photo[:, :1]), trainer.fitting.old[:1, None], photo.shape[-2:]
        )
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
    assert trainer.fitting.old[:3].equal(loaded.bank.codes)
    assert len(trainer.fitting.old) == 3 + fitting.CROPS
    for row in (0, 5):
        photo, features = trainer.fitting.contents.batch([row])
        own = trainer.stylizer.encode(features, torch.ones_like(photo[:, :1]))[0, 0]
        torch.testing.assert_close(trainer.fitting.old[3 + row], own)


def test_distances_are_the_scores_of_the_results(trainer_of, monkeypatch, exemplars, vgg):
    monkeypatch.setattr(fitting, "HELD_OUT", 1)
    trainer = trainer_of(count=1)
    found = distances(trainer.fitting, trainer.fitting.before, trainer.fitting.start)
    photo, network = trainer.fitting.contents.photos[-1:], trainer.fitting.network
    whole = torch.ones_like(photo[:, :1])
    with torch.no_grad():
        result = network.stylizer(network.encoder(photo), whole, exemplars[0].code[None, None], (32, 32))
    scores = style_scores(vgg, Transfer(photo, exemplars[0].image, whole, exemplars[0].region), result)
    assert found == pytest.approx({"gram": scores["relative"], "content": scores["content"]}, rel=1e-4)


def test_crops_measured_on_are_not_fitted_to(trainer_of):
    trainer = trainer_of(batch=50)
    assert list(trainer.fitting.held_out) == [4, 5]
    assert set(trainer._draw(100, trainer.fitting.fitted_to)) == {0, 1, 2, 3}


def test_crops_come_from_all_photos_and_one_is_enough(loaded, contents):
    one = read_contents(loaded.network, [LabelledPhoto(contents / "0.png")], 4, seed=0)
    assert all(not one.photos[0].equal(other) for other in one.photos[1:]), "each time another crop"
    assert one.photos.shape == (4, 3, 32, 32)
    assert [len(level) for level in one.features] == [4] * 4


def test_a_term_that_is_not_finite_stops_with_its_name(trainer_of, monkeypatch):
    nan = torch.tensor(float("nan"))
    monkeypatch.setattr(new_styles, "pixel_terms", lambda *_: {"shading": nan})
    with pytest.raises(FloatingPointError, match="'shading' is nan at step 0"):
        trainer_of(steps=1).run()


def test_the_preview_shows_what_fitting_changed(trainer_of):
    trainer = trainer_of()
    sheet = preview(trainer.fitting, trainer.fitting.start + 1, count=1)
    assert sheet.shape[0] == 3
    assert sheet.shape[1] // 32 == 2, "one row for each exemplar"
    assert sheet.shape[2] // 32 == 4, "its photo, a crop, and that without and with fitting"
    left, right = sheet[:, 2:34, 70:102], sheet[:, 2:34, 104:136]
    assert not left.equal(right)


def test_a_bank_without_styles(trainer_of, loaded, exemplars, contents, vgg):
    empty = replace(copy.deepcopy(loaded), bank=loaded.bank.only([]))
    config = StyleConfig("", "", "", batch=1, steps=1, decoder=True)
    photos = [LabelledPhoto(contents / "0.png")]
    trainer = StyleTrainer(prepare_fitting(empty, exemplars[:1], photos, vgg, config), config)
    trainer.run()
    assert len(trainer.fitting.old) == fitting.CROPS
    assert old_moved(trainer.fitting) >= 0
