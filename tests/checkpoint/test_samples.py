"""Samples in checkpoints and style files."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.helpers import sampled
from unistyle.checkpoint.checkpoint import load_checkpoint, save_checkpoint
from unistyle.checkpoint.style_files import StyleFile, load_style, save_style
from unistyle.checkpoint.tensors import CHECKPOINT
from unistyle.errors import CheckpointError
from unistyle.styles.bank import StyleBank
from unistyle.styles.swatches import TILE, Swatches


@pytest.fixture
def two_of_three(checkpoint):
    """A checkpoint in whose bank the second exemplar has no sample."""
    plain = load_checkpoint(checkpoint)
    full = sampled(plain.bank).swatches
    structure = torch.tensor([1.0, 0.0, 0.5])
    tiles = full.tiles * (structure > 0).view(-1, 1, 1, 1)
    return replace(plain, bank=StyleBank.of(plain.bank.names, Swatches(full.codes, tiles, structure)))


def test_samples_come_back_as_they_were(two_of_three, tmp_path):
    path = save_checkpoint(tmp_path / "a.safetensors", two_of_three)
    assert load_file(path)["bank.tiles"].shape == (2, 3, TILE, TILE)
    again = load_checkpoint(path).bank
    assert all(
        a.equal(b) for a, b in zip(again.swatches.tensors, two_of_three.bank.swatches.tensors, strict=True)
    )
    stone = two_of_three.bank.only([0, 1])
    style = load_style(save_style(tmp_path / "b.safetensors", StyleFile(stone, "0" * 12))).bank
    assert all(a.equal(b) for a, b in zip(style.swatches.tensors, stone.swatches.tensors, strict=True))


def test_a_bank_without_samples_takes_no_room_and_version_1_loads(checkpoint, tmp_path):
    tensors = load_file(checkpoint)
    assert not {"bank.tiles", "bank.structure"} & tensors.keys()
    assert not load_checkpoint(checkpoint).bank.swatches.structure.any()
    from safetensors import safe_open

    with safe_open(checkpoint, "pt") as file:
        metadata = file.metadata()
    assert metadata["version"] == str(CHECKPOINT.version) == "2"
    save_file(tensors, tmp_path / "old.safetensors", metadata | {"version": "1"})
    assert load_checkpoint(tmp_path / "old.safetensors").bank.names == load_checkpoint(checkpoint).bank.names


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("bank.structure"), "samples without a structure for each of 3"),
        (lambda t: t.pop("bank.tiles"), "samples none; wanted"),
        (lambda t: t.update({"bank.tiles": t["bank.tiles"][:1]}), "wanted (2, 3, 256, 256)"),
        (lambda t: t.update({"bank.tiles": t["bank.tiles"].float()}), "torch.float32; wanted"),
        (lambda t: t.update({"bank.structure": t["bank.structure"] * 3}), "not between 0 and 1"),
        (lambda t: t.update({"bank.structure": t["bank.structure"][:2]}), "samples without a structure"),
    ],
)
def test_samples_that_do_not_fit_are_refused(two_of_three, tmp_path, change, message):
    from safetensors import safe_open

    path = save_checkpoint(tmp_path / "a.safetensors", two_of_three)
    tensors = load_file(path)
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    change(tensors)
    save_file(tensors, path, metadata)
    with pytest.raises(CheckpointError, match=r"a\.safetensors: the style bank cannot be used") as refused:
        load_checkpoint(path)
    assert message in str(refused.value)
