"""New materials: what holds the old ones, whose masks are used, what changes and what does not, and the command end to
end on a tiny set."""

import copy
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from tests.helpers import make_photo
from unistyle.checkpoint.checkpoint import Checkpoint, load_checkpoint
from unistyle.commands import infer, train
from unistyle.data.labelled import LabelledPhoto
from unistyle.files.photos import read_mask
from unistyle.network.encoder import STRIDES
from unistyle.network.model import UniStyleNetwork
from unistyle.network.segmenter import foreground_logit
from unistyle.network.vocabulary import with_vocabulary
from unistyle.styles.bank import StyleBank
from unistyle.training import new_materials as vocabulary
from unistyle.training.config import VocabularyConfig
from unistyle.training.new_materials import Foreground, VocabularyTrainer, held_term, largest, moved

MATERIALS = ("leather", "stone", "metal")  # of the tiny checkpoint


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(vocabulary, "SIZES", [(64, 96)])


@pytest.fixture(scope="module")
def loaded(checkpoint) -> Checkpoint:
    return load_checkpoint(checkpoint)


@pytest.fixture
def copied(loaded) -> Checkpoint:
    return replace(loaded, network=copy.deepcopy(loaded.network))


def noise(channel: int, seed: int) -> Image.Image:
    """Noise in one channel."""
    pixels = np.zeros((72, 80, 3), np.uint8)
    pixels[..., channel] = np.random.default_rng(seed).integers(60, 256, (72, 80))
    return Image.fromarray(pixels)


def materials_in(root: Path, *names: str, count: int = 5, masks: Path | None = None) -> Path:
    """Folders of photos, each material noise in another channel; with white masks, if a folder for them is given."""
    for channel, name in enumerate(names):
        (root / name).mkdir(parents=True)
        for seed in range(count):
            noise(channel, seed).save(root / name / f"{seed}.png")
            if masks:
                path = masks / name / f"{seed}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("L", (80, 72), 255).save(path)
    return root


def photos_of(root: Path, masks: Path | None, *names: str, first: int = 0) -> list[LabelledPhoto]:
    return [
        LabelledPhoto(path, masks / name / path.name if masks else None, first + label)
        for label, name in enumerate(names)
        for path in sorted((root / name).iterdir())
    ]


@pytest.fixture(scope="module")
def contents(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("contents")
    for seed in range(3):
        make_photo(72, 80, seed).save(folder / f"{seed}.png")
    return folder


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


def differing(before: dict, after: dict) -> set[str]:
    assert before.keys() == after.keys()
    return {name for name in before if not before[name].equal(after[name])}


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
    logits = 2 * torch.randn(2, 4, 32, 40, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(network, "find", lambda image: ([], logits))
    foreground = Foreground(network)(torch.zeros(2, 3, 32, 40))
    inside = network.regions(logits).sum(1, keepdim=True) > 0.5
    assert (foreground > 0).equal(inside)
    assert 0.02 < inside.float().mean() < 0.98
    at_threshold = foreground_logit(logits).sigmoid()
    torch.testing.assert_close(foreground.sigmoid() > 0.5, at_threshold > threshold)


def test_the_foreground_has_the_photos_size(network):
    image = torch.rand(1, 3, 50, 70, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        foreground = Foreground(network)(image)
        assert foreground.shape == (1, 1, 50, 70)
        low = network.regions(network.find(image)[1]).sum(1, keepdim=True) > 0.5
    high = F.interpolate(low.float(), (50, 70), mode="nearest") > 0.5
    assert ((foreground > 0) == high).float().mean() > 0.8


def test_another_vocabulary_keeps_the_classifiers_of_the_old_one(network):
    other = with_vocabulary(network, (*MATERIALS, "fur", "slate")).eval()
    for part in ("weight", "bias"):
        before, after = (getattr(n.segmenter.classify, part) for n in (network, other))
        assert after[:4].equal(before)
        torch.testing.assert_close(after[4:], before[1:].mean(0).expand_as(after[4:]))
    # A convolution of more channels may sum in another order.
    photo = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        after, before = (n.find(photo)[1][:, :4] for n in (other, network))
    torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-4)
    rest = [n.state_dict() for n in (network, other)]
    assert differing(*rest) == {"segmenter.classify.weight", "segmenter.classify.bias"}


def test_own_photos_are_always_restyled_and_others_half_of_the_time(copied, trainer_of, tmp_path):
    root = materials_in(tmp_path / "mine", "slate")
    batch = {
        "photo": torch.rand(40, 3, 32, 32, generator=torch.Generator().manual_seed(0)),
        "label": torch.tensor([vocabulary.OWN] * 8 + [-1] * 32),
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
    for styles, labels in ((copied.bank.codes, {vocabulary.OWN, -1}), (copied.bank.codes[:0], {-1})):
        trainer = trainer_of(copied.network, copied.network, styles, photos, steps=6)
        own, others = trainer.loaders
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
    monkeypatch.setattr(vocabulary, "held_term", lambda *_: torch.tensor(math.inf))
    trainer = trainer_of(copied.network, copied.network, copied.bank.codes, photos, steps=1, batch=1)
    with pytest.raises(FloatingPointError, match="'held' is inf at step 0"):
        trainer.run()


@pytest.fixture
def learn(checkpoint, contents, tmp_path, capsys):
    """Run `train.py vocabulary` in this process: exit code, printed text, error text."""

    def run(folder, *more):
        settings = dict(photos=folder, checkpoint=checkpoint, out=tmp_path / "out.safetensors",
                        contents=f"[{contents}]", steps=2, batch=2, device="cpu")  # fmt: skip
        code = train.main(["vocabulary", *(f"--{name}={value}" for name, value in settings.items()), *more])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def no_training(monkeypatch):
    def fail(*_):
        raise AssertionError("something is trained")

    monkeypatch.setattr(vocabulary, "VocabularyTrainer", fail)
    monkeypatch.setattr(vocabulary, "write_missing_masks", fail)


def test_materials_are_learned_and_used(learn, checkpoint, tmp_path, capsys):
    masks = tmp_path / "out-masks"
    root = materials_in(tmp_path / "mine", "slate", "stone", count=6, masks=masks)
    (root / "slate" / "broken.jpg").write_bytes(b"else")
    make_photo(20, 20).save(root / "stone" / "tiny.png")
    missing = masks / "slate" / "0.png"
    missing.unlink()
    given = {path: path.read_bytes() for path in masks.rglob("*.png")}
    code, printed, errors = learn(root)
    out = tmp_path / "out.safetensors"
    assert code == 1
    assert f"not used: {root / 'slate' / 'broken.jpg'}: cannot be read as an image" in errors
    assert f"not used: {root / 'stone' / 'tiny.png'}: 20x20 pixels" in errors
    assert f"leather, stone, metal, slate in {out}" in printed
    assert "of 2 found as their material" in printed
    assert Image.open(tmp_path / "out.png").size == (3 * 256, 16 + 2 * 192)
    assert read_mask(missing).size == (80, 72)
    assert {path: path.read_bytes() for path in given} == given
    assert set(masks.rglob("*.png")) == {*given, missing}

    before, after = load_file(checkpoint), load_file(out)
    kept = [name for name in before if name.startswith(("network.encoder.", "network.stylizer."))]
    assert all(after[name].equal(before[name]) for name in kept)
    assert not after["network.segmenter.project.weight"].equal(before["network.segmenter.project.weight"])
    assert after["bank.codes"][:3].equal(before["bank.codes"])
    made = load_checkpoint(out)
    assert made.network.config.materials == (*MATERIALS, "slate")
    assert made.bank.styles == ["stone", "metal", "slate"]
    assert made.bank.names[:3] == load_checkpoint(checkpoint).bank.names
    assert 1 <= len(made.bank.rows("slate")) <= 3

    results = tmp_path / "results"
    arguments = [str(root / "slate" / "1.png"), "--map", "slate=stone", "--out", str(results), "--save-mask"]
    assert infer.main([*arguments, "--checkpoint", str(out), "--device", "cpu"]) == 0
    assert Image.open(results / "1.png").size == (80, 72)


def test_a_known_material_alone_is_trained_further(learn, checkpoint, tmp_path):
    root = materials_in(tmp_path / "mine", "stone", masks=tmp_path / "masks")
    code, printed, _ = learn(root, f"--masks={tmp_path / 'masks'}", "--lr=0.01")
    assert (code, "leather, stone, metal in " in printed) == (0, True)
    before, after = load_file(checkpoint), load_file(tmp_path / "out.safetensors")
    changed = differing(before, after)
    assert changed
    assert all(name.startswith("network.segmenter.") for name in changed)
    assert "0.0 % of what is found moved" not in printed, "measured against what it was, not against itself"


def test_a_single_new_material_and_a_single_photo_of_anything(learn, tmp_path):
    root = materials_in(tmp_path / "mine", "slate", masks=tmp_path / "out-masks")
    (tmp_path / "out-masks" / "slate" / "3.png").unlink()
    (tmp_path / "one").mkdir()
    make_photo(72, 80).save(tmp_path / "one" / "a.png")
    code, printed, _ = learn(root, f"--contents=[{tmp_path / 'one'}]", "--exemplars=1", "--batch=1")
    assert (code, "leather, stone, metal, slate in" in printed) == (0, True)
    assert (tmp_path / "out-masks" / "slate" / "3.png").is_file()
    made = load_checkpoint(tmp_path / "out.safetensors")
    assert len(made.bank.rows("slate")) == 1


def test_masks_beside_photos_are_masks_and_come_first(loaded, tmp_path):
    root = materials_in(tmp_path / "mine", "slate", masks=tmp_path / "masks")
    beside = root / "slate" / "2.mask.png"
    Image.new("L", (80, 72), 255).save(beside)
    config = VocabularyConfig(str(root), "", "out.safetensors", masks=str(tmp_path / "masks"))
    photos, materials, problems = vocabulary.own_photos(config, loaded.network)
    assert (len(photos), materials, problems) == (5, ("slate",), [])
    assert [photo.mask for photo in photos if photo.path.stem == "2"] == [beside]
    assert all(
        photo.mask.parent == tmp_path / "masks" / "slate" for photo in photos if photo.path.stem != "2"
    )


def test_photos_with_broken_masks_are_named(loaded, tmp_path):
    root = materials_in(tmp_path / "mine", "slate", count=6, masks=tmp_path / "masks")
    broken = tmp_path / "masks" / "slate" / "2.png"
    broken.write_bytes(b"else")
    config = VocabularyConfig(str(root), "", "out.safetensors", masks=str(tmp_path / "masks"))
    photos, _, problems = vocabulary.own_photos(config, loaded.network)
    assert len(photos) == 5
    assert [problem.partition(": ")[0] for problem in problems] == [str(broken)]


def test_masks_are_beside_the_checkpoint_unless_a_folder_is_given():
    for out, masks, folder in (
        ("a/b.safetensors", None, "a/b-masks"),
        ("a/b", None, "a/b-masks"),
        (".", None, "new-masks"),
        ("a/b.safetensors", "c", "c"),
    ):
        assert vocabulary.masks_folder(VocabularyConfig("", "", out, masks)) == Path(folder)


def test_too_few_photos(learn, no_training, tmp_path):
    root = materials_in(tmp_path / "mine", "slate", "fur")
    (root / "fur" / "1.png").write_bytes(b"else")
    code, _, errors = learn(root)
    assert code == 2
    assert "too few photos of fur (4): wanted 5 at least, better thirty" in errors
    assert f"\n  {root / 'fur' / '1.png'}: cannot be read as an image" in errors


def test_two_photos_that_share_a_stem(learn, no_training, tmp_path):
    root = materials_in(tmp_path / "mine", "slate")
    for other in ("2.bmp", "deep/2.png"):
        path = root / "slate" / other
        path.parent.mkdir(exist_ok=True)
        noise(0, 9).save(path)
        code, _, errors = learn(root)
        assert code == 2
        assert str(path) in errors
        assert f"would share the mask {tmp_path / 'out-masks' / 'slate' / '2.png'}: rename one" in errors
        path.unlink()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["--photos=nowhere"], "no folder nowhere"),
        (["--contents=[nowhere]"], "no photos in nowhere"),
        (["--steps=0"], "steps is 0; wanted a whole number from 1 up"),
        (["--exemplars=0"], "exemplars is 0"),
        (["--checkpoint=nowhere.safetensors"], "nowhere.safetensors: no such file or folder"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_trained(
    learn, no_training, tmp_path, settings, message
):
    code, printed, errors = learn(materials_in(tmp_path / "mine", "slate"), *settings)
    assert (code, printed) == (2, "")
    assert errors.startswith("train.py vocabulary: error: ")
    assert message in errors
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "holds no folder with photos: expected a folder a material"),
        (["a.png"], "holds no folder with photos: expected a folder a material"),
        (["a.png", "slate/a.png"], "move the photos into a folder of their own"),
        (["a,b/a.png"], "',' means something else"),
        (["slate/a.png", "fur/a.txt"], "no photos that can be read in"),
    ],
)
def test_folders_that_are_no_materials(learn, no_training, tmp_path, names, message):
    (tmp_path / "mine").mkdir()
    for name in names:
        path = tmp_path / "mine" / name
        path.parent.mkdir(exist_ok=True)
        noise(0, 0).save(path, format="PNG")
    code, _, errors = learn(tmp_path / "mine")
    assert (code, message in errors) == (2, True), errors


def test_a_photo_of_anything_that_is_broken_is_named(learn, no_training, tmp_path):
    (tmp_path / "anything").mkdir()
    broken = tmp_path / "anything" / "a.png"
    broken.write_bytes(b"else")
    code, _, errors = learn(materials_in(tmp_path / "mine", "slate"), f"--contents=[{broken.parent}]")
    assert (code, f"{broken}: cannot be read" in errors) == (2, True)


def test_an_unknown_setting_is_named(learn, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        learn(tmp_path, "--whole=true")
    assert stop.value.code == 2
    assert "whole" in capsys.readouterr().err


def test_no_checkpoint_is_written_where_training_ends_early(learn, monkeypatch, tmp_path):
    def step(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(VocabularyTrainer, "step", step)
    root = materials_in(tmp_path / "mine", "slate", masks=tmp_path / "out-masks")
    code, _, errors = learn(root)
    assert (code, "stopped: interrupted" in errors) == (130, True)
    assert not list(tmp_path.glob("out.*"))


def test_new_styles_join_for_new_names_alone(copied, tmp_path):
    root = materials_in(tmp_path / "mine", "slate", "stone", "leather", count=2)
    network = with_vocabulary(copied.network, (*MATERIALS, "slate")).eval()
    photos = [replace(photo, label=label) for photo, label in
              zip(photos_of(root, None, "slate", "stone", "leather"), [3, 3, 1, 1, 0, 0], strict=True)]  # fmt: skip
    bank = vocabulary.join_styles(network, copied.bank, photos, 1)
    assert bank.names[:3] == copied.bank.names
    assert bank.codes[:3].equal(copied.bank.codes)
    assert [style for style, _ in bank.names[3:]] == ["slate", "leather"], "which was no style yet"
    assert vocabulary.join_styles(network, bank, photos, 1) is bank
    none = StyleBank((), copied.bank.codes[:0])
    assert vocabulary.join_styles(network, none, photos, 1).styles == ["slate", "stone", "leather"]
