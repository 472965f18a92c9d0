"""New materials: what holds the old ones, what changes and what does not."""

import copy
import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.training.making import differing, materials_in, photos_of
from unistyle.data.labelled import LabelledPhoto
from unistyle.network.encoder import STRIDES
from unistyle.network.model import UniStyleNetwork
from unistyle.network.vocabulary import with_vocabulary
from unistyle.styles.bank import StyleBank
from unistyle.teachers.foreground import Foreground
from unistyle.training.finish import join_styles
from unistyle.training.losses import held_term
from unistyle.training.materials import vocabulary as new_materials
from unistyle.training.materials.config import VocabularyConfig
from unistyle.training.materials.vocabulary import VocabularyTrainer, largest, moved

MATERIALS = ("leather", "stone", "metal")  # of the tiny checkpoint


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(new_materials, "SIZES", [(64, 96)])


@pytest.fixture
def trainer_of(contents):
    """A trainer of a network, whose segmenter as it was is that of another."""

    def make(
        network: UniStyleNetwork,
        before: UniStyleNetwork,
        styles: torch.Tensor,
        photos: list[LabelledPhoto],
        **settings,
    ) -> VocabularyTrainer:
        others = [LabelledPhoto(path) for path in sorted(contents.iterdir())]
        config = VocabularyConfig("", "", "", **settings)
        return VocabularyTrainer(network, copy.deepcopy(before.segmenter), styles, photos, others, config)

    return make


def test_held_is_the_divergence_from_what_was_found():
    generator = torch.Generator().manual_seed(0)
    before, after = (3 * torch.randn(2, n, 4, 5, generator=generator) for n in (3, 5))
    after.requires_grad_()
    p, q = before.softmax(1), after.softmax(1)[:, :3]
    expected = (p * (p.log() - q.log())).sum(1).mean()
    term = held_term(after, before)
    torch.testing.assert_close(term, expected)
    term.backward()
    assert after.grad.isfinite().all()
    assert (after.grad[:, 3:] > 0).all(), "nothing new where there was something old"


def test_nothing_is_held_where_nothing_changed():
    before = 3 * torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    none = torch.full((2, 2, 4, 5), -1e4)
    same = torch.cat([before, none], 1).requires_grad_()
    for logits in (same, before.clone().requires_grad_()):
        term = held_term(logits, before)
        assert abs(term.item()) < 1e-6
        term.backward()
        assert logits.grad.abs().max() < 1e-6
    assert held_term(torch.cat([before, before[:, 1:]], 1), before) > 0.1, "but where new materials share it"


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.8])
def test_the_foreground_is_that_of_the_network(network, threshold, monkeypatch):
    network = copy.deepcopy(network)
    network.config = replace(network.config, threshold=threshold)
    logits = 2 * torch.randn(2, 5, 32, 40, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(network, "find", lambda image: ([], logits))
    foreground = Foreground(network)(torch.zeros(2, 3, 32, 40))
    inside = network.found(logits).main > 0.5
    assert (foreground > 0).equal(inside)
    assert 0.02 < inside.float().mean() < 0.98
    torch.testing.assert_close(foreground.sigmoid() > 0.5, network.main_odds(logits).sigmoid() > threshold)


def test_the_foreground_has_the_photos_size(network):
    image = torch.rand(1, 3, 50, 70, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        foreground = Foreground(network)(image)
        assert foreground.shape == (1, 1, 50, 70)
        low = network.found(network.find(image)[1]).main > 0.5
    high = F.interpolate(low.float(), (50, 70), mode="nearest") > 0.5
    assert ((foreground > 0) == high).float().mean() > 0.8


def test_another_vocabulary_keeps_the_classifiers_of_the_old_one(network):
    other = with_vocabulary(network, (*MATERIALS, "fur", "slate")).eval()
    for part in ("weight", "bias"):
        before, after = (getattr(n.segmenter.classify, part) for n in (network, other))
        assert after[:4].equal(before[:4])
        assert after[-1].equal(before[-1]), "the main object"
        torch.testing.assert_close(after[4:-1], before[1:4].mean(0).expand_as(after[4:-1]))
    # A convolution of more channels may sum in another order.
    photo = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        after, before = (n.find(photo)[1][:, :4] for n in (other, network))
    torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-4)
    rest = [n.state_dict() for n in (network, other)]
    parts = ("segmenter.classify", "segmenter.name.name")
    assert differing(*rest) == {f"{part}.{kind}" for part in parts for kind in ("weight", "bias")}


def test_own_photos_are_always_restyled_and_others_half_of_the_time(copied, trainer_of, tmp_path):
    root = materials_in(tmp_path / "mine", "slate")
    batch = {
        "photo": torch.rand(40, 3, 32, 32, generator=torch.Generator().manual_seed(0)),
        "label": torch.tensor([new_materials.OWN] * 8 + [-1] * 32),
    }
    results = []
    for seed in (0, 0, 1):
        trainer = trainer_of(
            copied.network, copied.network, copied.bank.codes, photos_of(root, None, "slate"), seed=seed
        )
        results.append(trainer.elsewhere(batch))
    changed = (results[0] != batch["photo"]).flatten(1).any(1)
    assert changed[:8].all()
    assert 8 <= changed[8:].sum() <= 24
    assert results[0].equal(results[1])
    assert not results[0].equal(results[2])
    assert not results[0].requires_grad


def test_of_what_is_held_half_are_own_photos_without_their_material(copied, trainer_of, tmp_path, contents):
    photos = photos_of(materials_in(tmp_path / "mine", "slate", "fur"), None, "slate", "fur", first=3)
    for styles, labels in ((copied.bank.codes, {new_materials.OWN, -1}), (copied.bank.codes[:0], {-1})):
        network = with_vocabulary(copied.network, (*MATERIALS, "slate", "fur"))
        trainer = trainer_of(network, copied.network, styles, photos, steps=6)
        own, others, _ = trainer.loaders
        assert {label for batch in others for label in batch["label"].tolist()} == labels
        assert {label for batch in own for label in batch["label"].tolist()} == {3, 4}
        batch = next(iter(others))
        assert (trainer.elsewhere(batch).equal(batch["photo"])) == (not len(styles))


@pytest.mark.parametrize("steps", [1, 2, 9, 10, 11, 30])
def test_any_number_of_steps(copied, trainer_of, steps, tmp_path, monkeypatch):
    photos = photos_of(materials_in(tmp_path / "mine", "slate", count=1), None, "slate")
    trainer = trainer_of(copied.network, copied.network, copied.bank.codes, photos, steps=steps, lr=1e-3)
    rates = []
    for _ in range(steps):
        rates.append(trainer.optimizer.param_groups[0]["lr"])
        trainer.optimizer.step()
        trainer.schedule.step()
    assert 0 < max(rates) <= 1e-3
    assert rates[-1] < 1e-5 or steps < 10


class Colours(nn.Module):
    """In the encoder's place: its features are colours, which untrained ones hardly tell apart."""

    def __init__(self, channels: tuple[int, ...]):
        super().__init__()
        self.channels = channels

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        small = [F.avg_pool2d(image - image.mean(1, keepdim=True), stride) for stride in STRIDES]
        return [x.repeat(1, -(-n // 3), 1, 1)[:, :n] for x, n in zip(small, self.channels, strict=True)]


def test_materials_that_look_different_are_told_apart(copied, trainer_of, tmp_path):
    masks = tmp_path / "masks"
    root = materials_in(tmp_path / "mine", "slate", "fur", count=6, masks=masks)
    photos = photos_of(root, masks, "slate", "fur", first=3)
    old = copied.network
    with torch.no_grad():
        for parameter in old.segmenter.classify.parameters():
            parameter /= 1000  # logits of the order of 1, not of 100
    network = with_vocabulary(old, (*MATERIALS, "slate", "fur")).eval()
    network.encoder = Colours(network.encoder.channels)
    state = copy.deepcopy(network.state_dict())
    trainer = trainer_of(network, old, copied.bank.codes, photos, steps=25, lr=1e-2, batch=4)
    trainer.run()
    wanted = ["slate"] * 6 + ["fur"] * 6
    right = sum(largest(network, photo) == name for photo, name in zip(photos, wanted, strict=True))
    assert right >= 10, [largest(network, photo) for photo in photos]
    changed = differing(state, network.state_dict())
    assert changed
    assert all(name.startswith("segmenter.") for name in changed), "encoder and stylizer stay bit for bit"
    assert not any(p.requires_grad for p in network.parameters())
    assert not differing(old.segmenter.state_dict(), trainer.before.state_dict())
    assert 0 <= moved(network, trainer.before, photos[:2]) <= 1
    assert moved(network, network.segmenter, photos[:2]) == 0


def test_a_term_that_is_not_finite_stops_with_its_name(copied, trainer_of, tmp_path, monkeypatch):
    photos = photos_of(materials_in(tmp_path / "mine", "slate", count=1), None, "slate")
    monkeypatch.setattr(new_materials, "held_term", lambda *_: torch.tensor(math.inf))
    trainer = trainer_of(copied.network, copied.network, copied.bank.codes, photos, steps=1, batch=1)
    with pytest.raises(FloatingPointError, match="'held' is inf at step 0"):
        trainer.run()


def test_new_styles_join_for_new_names_alone(copied, tmp_path):
    root = materials_in(tmp_path / "mine", "slate", "stone", "leather", count=2)
    network = with_vocabulary(copied.network, (*MATERIALS, "slate")).eval()
    photos = [replace(photo, label=label) for photo, label in
              zip(photos_of(root, None, "slate", "stone", "leather"), [3, 3, 1, 1, 0, 0], strict=True)]  # fmt: skip
    bank = join_styles(network, copied.bank, photos, 1)
    assert bank.names[:3] == copied.bank.names
    assert bank.codes[:3].equal(copied.bank.codes)
    assert [style for style, _ in bank.names[3:]] == ["slate", "leather"], "which was no style yet"
    assert join_styles(network, bank, photos, 1) is bank
    none = StyleBank((), copied.bank.codes[:0])
    assert join_styles(network, none, photos, 1).styles == ["slate", "stone", "leather"]
