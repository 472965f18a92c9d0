"""What the segmenter learns from: weak labels, main objects of a checkpoint, and what it is surest of itself."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.helpers import make_network, make_photo
from unistyle.checkpoint.checkpoint import load_checkpoint, save_checkpoint
from unistyle.commands import train
from unistyle.data.composing import PHOTOS, UNKNOWN, Composer, Piece
from unistyle.data.concepts import Concept
from unistyle.network.model import UniStyleNetwork
from unistyle.training.materials import pieces as made
from unistyle.training.materials.config import SegmenterConfig
from unistyle.training.materials.pieces import (
    Shown,
    believed,
    hinted,
    is_green,
    photo_of,
    piece_of,
    thing_photos,
)
from unistyle.training.materials.segmenter import THINGS, SegmenterTrainer, _believing, _mean

MATERIALS = ("leather", "stone", "metal")  # of the tiny checkpoint


def save(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    make_photo(60, 80, seed).save(path)
    return path


def test_a_piece_is_a_photo_with_the_networks_main_object(network, tmp_path):
    path = save(tmp_path / "a.png")
    piece = piece_of(network, path, 2)
    assert piece.image.shape == (3, 60, 80)
    assert piece.main.shape == (60, 80)
    with torch.no_grad():
        main = network.main_logit(network.find(photo_of(path))[1])
    wanted = torch.nn.functional.interpolate(main, (60, 80), mode="bilinear")[0, 0] > 0
    assert ((piece.main > 127) == wanted).float().mean() > 0.95
    assert set(piece.labels().unique().tolist()) == {2, UNKNOWN}


def test_large_photos_are_kept_small(tmp_path):
    make_photo(700, 900).save(tmp_path / "large.png")
    make_photo(300, 1500).save(tmp_path / "long.png")
    assert min(photo_of(tmp_path / "large.png").shape[-2:]) == 288
    assert max(photo_of(tmp_path / "long.png").shape[-2:]) == 480


def test_hints_say_what_is_around_the_main_object():
    image = torch.zeros(3, 90, 60, dtype=torch.uint8)
    image[1, :, 40:] = 120  # a green strip
    main = torch.zeros(90, 60, dtype=torch.uint8)
    main[30:60, :20] = 255
    piece = Piece(image, main, 3)
    known = hinted(piece, Concept(3, sky_above=True, water_below=2, foliage_around=1)).known
    assert (known[:30] == 0).all()
    assert (known[60:] == 2).all()
    assert (known[30:60, :20] == 3).all()
    assert (known[30:60, 44:] == 1).all()
    assert (known[30:60, 22:36] == UNKNOWN).all()
    assert hinted(piece, Concept(3)) is piece


def test_green_is_neither_grey_nor_dark():
    image = torch.tensor([[100, 100, 100], [60, 120, 50], [2, 9, 2], [220, 250, 220]], dtype=torch.uint8)
    image = image.T[:, None].repeat_interleave(12, 2).repeat(1, 12, 1)
    assert is_green(image)[6, 6::12].tolist() == [False, True, False, False]


def test_folders_of_things_stand_for_materials(tmp_path):
    for name in ("glass", "cardboard", "trash"):
        save(tmp_path / name / "a.png")
    photos = thing_photos([tmp_path], ("glass", "paper"), {"cardboard": "paper"})
    assert [(p.path.parent.name, p.label) for p in photos] == [("cardboard", 1), ("glass", 0)]
    with pytest.raises(ValueError, match="same_as names 'paper'"):
        thing_photos([tmp_path], ("glass",), {"cardboard": "paper"})


def test_what_the_network_is_surest_of_is_believed(network, tmp_path, monkeypatch):
    """The half of the places of each label; where the main object is, only what its name says; the rest is unknown."""
    p = torch.zeros(4, 10, 10)
    p[1, :, :5] = torch.linspace(0.4, 1, 10)[:, None]
    p[2, :, 5:] = torch.linspace(0.4, 1, 10)[:, None]
    monkeypatch.setattr(made, "probabilities", lambda *_: p)
    image, main = torch.zeros(3, 40, 40, dtype=torch.uint8), torch.zeros(40, 40, dtype=torch.uint8)
    (piece,) = believed(network, [Piece(image, main)], [Concept()], 0.5)
    assert piece.known.shape == (40, 40)
    assert (piece.known[36:, :20] == 1).all()
    assert (piece.known[36:, 20:] == 2).all()
    assert (piece.known[:8] == UNKNOWN).all()
    main = main + 255
    (piece,) = believed(network, [Piece(image, main)], [Concept(3)], 0.5)
    assert set(piece.known.unique().tolist()) <= {3, UNKNOWN}
    sky = torch.full((40, 40), UNKNOWN, dtype=torch.uint8)
    sky[:10] = 0
    (piece,) = believed(network, [Piece(image, main * 0, known=sky)], [Concept(sky_above=True)], 0.5)
    assert (piece.known[:10] == 0).all(), "what the name says of the surroundings stays"


@pytest.fixture
def pieces():
    rng, found = np.random.default_rng(0), []
    for label, color in enumerate(((200, 40, 40), (40, 200, 40), (40, 40, 200), (200, 200, 40))):
        for _ in range(3):
            pixels = np.clip(np.array(color) + rng.integers(-20, 20, (64, 80, 3)), 0, 255)
            image = torch.from_numpy(pixels.astype(np.uint8)).permute(2, 0, 1)
            found.append(Piece(image, torch.full((64, 80), 255, dtype=torch.uint8), label))
    return found


def test_training_lowers_the_terms_and_changes_the_segmenter_alone(pieces):
    before = make_network()
    with torch.no_grad():
        for parameter in before.segmenter.classify.parameters():
            parameter /= 1000  # logits of the order of 1
    network = copy.deepcopy(before)
    trainer = SegmenterTrainer(network, before, SegmenterConfig("", "", "", batch=4, lr=5e-3))
    composed = Composer(pieces, 3, 100, 0)
    batch = [torch.stack(part) for part in zip(*(composed[i] for i in range(8)), strict=True)]
    first = {name: value.item() for name, value in trainer.terms(*batch).items()}
    trainer.run(composed, "round")
    after = trainer.terms(*batch)
    assert after["materials"] < 0.8 * first["materials"]
    assert after["main"] < first["main"] + 0.05
    changed = {
        k.split(".")[0] for k, v in network.state_dict().items() if not v.equal(before.state_dict()[k])
    }
    assert changed == {"segmenter"}


def test_later_rounds_believe_whole_photos_and_leave_things_on_plain_ground(pieces):
    photos = [Shown(Path(f"{i}.png"), Concept(piece.label), kind)
              for i, (piece, kind) in enumerate(zip(pieces, (PHOTOS, THINGS, "named"), strict=False))]  # fmt: skip
    known = _believing(make_network(), pieces[:3], photos, 0.5)
    assert [piece.known is None for piece in known] == [False, True, False]
    assert [piece.label for piece in known] == [piece.label for piece in pieces[:3]]
    assert (known[0].known == pieces[0].label).float().mean() > 0.4, "what the name says is believed first"


def test_the_mean_of_states_is_that_of_each_weight():
    states = [{"a": torch.full((2,), x), "b": torch.tensor(x)} for x in (1.0, 2.0, 6.0)]
    assert {name: value.tolist() for name, value in _mean(states).items()} == {"a": [3.0, 3.0], "b": 3.0}


@pytest.fixture
def command(tmp_path, checkpoint):
    """The command on photos of seconds, from a checkpoint of before version 0.2."""
    for i, name in enumerate(MATERIALS):
        for k in range(2):
            save(tmp_path / "photos" / name / f"{k}.png", 10 * i + k)
    save(tmp_path / "things/leather/a.png")
    save(tmp_path / "named/n01440764_tench.png", 7)
    save(tmp_path / "any/a.png", 8)
    (tmp_path / "table.yaml").write_text("other: ['n01*']\n")
    old = load_checkpoint(checkpoint)
    state = {k: v for k, v in old.network.state_dict().items() if "segmenter.name" not in k}
    for name in ("segmenter.classify.weight", "segmenter.classify.bias"):
        state[name] = state[name][:-1]
    network = UniStyleNetwork(replace(old.network.config, main=False))
    network.load_state_dict(state)
    save_checkpoint(tmp_path / "old.safetensors", replace(old, network=network))
    given = dict(photos="photos", things="[things]", named="[named]", table="table.yaml", unlabelled="[any]",
                 checkpoint="old.safetensors", out="new.safetensors")  # fmt: skip
    place = lambda value: f"[{tmp_path / value[1:-1]}]" if value[0] == "[" else str(tmp_path / value)  # noqa: E731
    flags = [f"--{key}={place(value)}" for key, value in given.items()]
    return ["segmenter", *flags, "--steps=2", "--rounds=2", "--batch=2", "--device=cpu"]


def test_the_command_end_to_end(command, tmp_path, capsys):
    assert train.main(command) == 0
    assert "leather, stone, metal in" in capsys.readouterr().out
    old, new = (load_checkpoint(tmp_path / f"{name}.safetensors") for name in ("old", "new"))
    assert (old.network.config.main, new.network.config.main) == (False, True)
    assert new.bank.codes.equal(old.bank.codes)
    assert "segmenter" in new.notes
    before, after = old.network.state_dict(), new.network.state_dict()
    assert {k.split(".")[0] for k in before if not after[k].equal(before[k])} == {"segmenter"}
    assert train.main([*command, f"--checkpoint={tmp_path / 'new.safetensors'}"]) == 0, "and from there on"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("--steps=0", "steps is 0"),
        ("--table=none.yaml", "no table of concepts none.yaml"),
        ("--photos=nowhere", "no folder nowhere"),
        ("--checkpoint=none.safetensors", "no such file"),
    ],
)
def test_what_cannot_be_used_is_named(command, change, message, capsys, tmp_path):
    assert train.main([*command, change]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "new.safetensors").exists()


def test_materials_that_the_checkpoint_does_not_know_are_named(command, tmp_path, capsys):
    save(tmp_path / "photos/wool/a.png")
    assert train.main(command) == 2
    assert (
        "the material 'wool', which the checkpoint does not know: unistyle train vocabulary"
        in capsys.readouterr().err
    )
