"""The checkpoint: a round trip, and a clear error for everything that is not one."""

import pickle
import socket
import time
import unicodedata
from pathlib import Path

import huggingface_hub
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from unistyle.checkpoint.checkpoint import FILE_NAME, Checkpoint, load_checkpoint, locate, save_checkpoint
from unistyle.checkpoint.header import network_config
from unistyle.checkpoint.tensors import VERSION
from unistyle.errors import CheckpointError, UnknownNameError
from unistyle.restyle.pipeline import UniStyle
from unistyle.styles.bank import StyleBank
from unistyle.styles.codes import nearest


def rewrite(source, target, change_metadata=lambda m: m, change_tensors=lambda t: t):
    with safe_open(source, "pt") as file:
        metadata = file.metadata()
    save_file(change_tensors(load_file(source)), target, metadata=change_metadata(dict(metadata)))
    return target


def test_round_trip_in_fp16_and_in_fp32(network, checkpoint, tmp_path):
    plain = tmp_path / "plain"
    plain.touch()
    assert checkpoint.stat().st_mode == plain.stat().st_mode, "readable to whom any new file is"
    loaded = load_checkpoint(checkpoint)
    assert loaded.network.config.materials == ("leather", "stone", "metal")
    assert loaded.notes == {"recipe": "random"}
    assert loaded.bank.names == (("stone", "quarry"), ("stone", "wall"), ("metal", "plate"))
    for name, value in network.state_dict().items():
        got = loaded.network.state_dict()[name]
        assert got.dtype == value.dtype == torch.float32
        torch.testing.assert_close(got, value.half().float() if value.ndim >= 2 else value, rtol=0, atol=0)
    full = save_checkpoint(tmp_path / "full.safetensors", Checkpoint(network, loaded.bank), half=False)
    assert full.stat().st_size > 1.8 * checkpoint.stat().st_size
    for name, value in load_checkpoint(full).network.state_dict().items():
        torch.testing.assert_close(value, network.state_dict()[name], rtol=0, atol=0)


def test_a_file_of_before_the_main_object_had_a_say_finds_what_it_found(network, checkpoint, tmp_path):
    without = lambda t: {k: v for k, v in t.items() if "segmenter.name." not in k}  # noqa: E731
    old = load_checkpoint(rewrite(checkpoint, tmp_path / "old.safetensors", change_tensors=without)).network
    photo = torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(0))
    features, logits = old.find(photo)
    assert torch.equal(logits, old.segmenter.places(features))


def test_a_file_of_before_the_stylizer_had_its_size_named_has_the_first_one():
    values = {"encoder": {"name": "mobilenetv2_050"}, "materials": ["stone"], "threshold": 0.5}
    assert network_config(values).levels == (64, 96, 192)
    assert network_config(values | {"levels": [8, 16, 24]}).levels == (8, 16, 24)
    for wrong in ([8, 16], "abc", [8, 16, -1], [8, 16, True], [8, 16, 10**9]):
        with pytest.raises(ValueError, match="levels"):
            network_config(values | {"levels": wrong})


def test_weights_beyond_fp16_stay_in_fp32(network, checkpoint, tmp_path):
    name = "network.segmenter.classify.weight"
    big = rewrite(
        checkpoint, tmp_path / "big.safetensors", change_tensors=lambda t: t | {name: t[name].float() * 1e6}
    )
    again = save_checkpoint(tmp_path / "again.safetensors", load_checkpoint(big))
    weight = load_checkpoint(again).network.segmenter.classify.weight
    assert weight.isfinite().all()
    assert weight.abs().max() > 65504


def test_no_path_of_the_training_machine_in_the_file(network, checkpoint, tmp_path):
    import dataclasses

    encoder = dataclasses.replace(
        network.config.encoder, weights="/somewhere/secret.safetensors", pretrained=True
    )
    network.config, config = dataclasses.replace(network.config, encoder=encoder), network.config
    path = save_checkpoint(tmp_path / "a.safetensors", Checkpoint(network, load_checkpoint(checkpoint).bank))
    network.config = config
    assert b"secret" not in path.read_bytes()


def test_folder_file_and_hub_id(checkpoint, tmp_path, monkeypatch):
    saved = save_checkpoint(tmp_path / "model", load_checkpoint(checkpoint))
    assert saved == locate(tmp_path / "model") == tmp_path / "model" / FILE_NAME
    assert locate(checkpoint.parent) == checkpoint  # the only one of another name
    asked = []
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *a, **k: asked.append((a, k)) or str(saved))
    assert load_checkpoint("someone/unistyle", revision="v2").network.config.materials
    assert asked == [(("someone/unistyle", FILE_NAME), {"revision": "v2"})]


def test_absent_checkpoints(tmp_path, monkeypatch):
    for source in (tmp_path / "none.safetensors", tmp_path / "none", "none/none.safetensors", "none"):
        with pytest.raises(CheckpointError, match="no such file or folder"):
            load_checkpoint(source)
    with pytest.raises(CheckpointError, match="found none"):
        load_checkpoint(tmp_path)

    def offline(*_, **__):
        raise ConnectionError("offline")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", offline)
    with pytest.raises(CheckpointError, match="hub id it gave: offline"):
        load_checkpoint("someone/unistyle")


@pytest.mark.parametrize("size", [0, 5, 300, -1])
def test_truncated(checkpoint, tmp_path, size):
    path = tmp_path / "short.safetensors"
    path.write_bytes(checkpoint.read_bytes()[:size])
    with pytest.raises(CheckpointError, match=r"short.safetensors: truncated, or not a safetensors"):
        load_checkpoint(path)


def test_foreign(tmp_path):
    save_file({"a": torch.ones(2)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="not a UniStyle checkpoint"):
        load_checkpoint(tmp_path / "other.safetensors")
    (tmp_path / "pickle.pt").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        load_checkpoint(tmp_path / "pickle.pt")


def test_newer_version(checkpoint, tmp_path):
    path = rewrite(checkpoint, tmp_path / "new.safetensors", lambda m: m | {"version": str(VERSION + 1)})
    with pytest.raises(CheckpointError, match=f"format version {VERSION + 1}.*update"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: {k: v for k, v in m.items() if k != "config"}, "config"),
        (lambda m: m | {"config": "{"}, "header cannot be used"),
        (lambda m: m | {"config": m["config"].replace('"threshold"', '"treshold"')}, "treshold"),
        (lambda m: m | {"config": m["config"].replace("mobilenetv2_050", "no_such_net")}, "no_such_net"),
        (lambda m: m | {"bank": "[]"}, "0 names for codes"),
    ],
)
def test_bad_header(checkpoint, tmp_path, change, message):
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(rewrite(checkpoint, tmp_path / "bad.safetensors", change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: {k: v for k, v in t.items() if k != "network.segmenter.classify.bias"}, "1 missing"),
        (lambda t: t | {"network.extra": torch.ones(1)}, "1 unexpected, such as extra"),
        (lambda t: t | {"network.segmenter.classify.bias": torch.ones(2)}, "size mismatch"),
        (lambda t: {k: v for k, v in t.items() if k != "bank.codes"}, "style codes none"),
        (lambda t: t | {"bank.codes": torch.ones(3, 4)}, "style codes of shape"),
        (lambda t: t | {"bank.codes": t["bank.codes"] * float("nan")}, "not finite"),
    ],
)
def test_bad_tensors(checkpoint, tmp_path, change, message):
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(rewrite(checkpoint, tmp_path / "bad.safetensors", change_tensors=change))


def test_a_failed_save_leaves_the_old_file(checkpoint, tmp_path, monkeypatch):
    path = save_checkpoint(tmp_path / "a.safetensors", load_checkpoint(checkpoint))
    before = path.read_bytes()

    def stop(target, data):
        with target.open("wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError("disk full")

    monkeypatch.setattr(Path, "write_bytes", stop)
    with pytest.raises(OSError, match="disk full"):
        save_checkpoint(path, load_checkpoint(checkpoint))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_bank_finds_styles_exemplars_and_close_matches():
    bank = StyleBank(
        (("stone", "quarry"), ("stone", "wall"), ("metal", "plate")), torch.arange(12.0).view(3, 4)
    )
    assert bank.styles == ["stone", "metal"]
    assert bank.find("stone") == [0, 1]
    assert bank.find("stone/wall") == [1]
    with pytest.raises(UnknownNameError, match=r"'stnoe'. Did you mean 'stone'\? .*metal, stone"):
        bank.find("stnoe")
    with pytest.raises(UnknownNameError, match="Did you mean 'stone/quarry'"):
        bank.find("stone/qarry")
    with pytest.raises(ValueError, match="same name"):
        StyleBank((("a", "b"), ("a", "b")), torch.zeros(2, 4))


def test_nearest_goes_by_the_deepest_level():
    own = torch.tensor([[100.0, 10.0, 1.0, 0.1]])  # levels of one channel each: mean, std; mean, std
    codes = torch.tensor([[100.0, 10.0, 2.0, 0.1], [180.0, 10.0, 1.0, 0.1]])
    assert nearest(own, codes, (1, 1)).tolist() == [1]
    assert nearest(codes, codes, (1, 1)).tolist() == [0, 1]


STARTS = {
    "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
    "a web page": b"<!DOCTYPE html>\n<html lang=en><head><title>Sign in</title>",
    "a web page, with blanks": b"\xef\xbb\xbf\n <html><body>404",
    "a PyTorch": pickle.dumps({"a": torch.ones(2)}, protocol=2),
    "a PyTorch, newer": b"PK\x03\x04\0\0\x08\x08",
    "a file of weights": b"GGUF\x03\0\0\0",
    "a packed file": b"\x1f\x8b\x08\0",
}


@pytest.mark.parametrize("name", STARTS)
def test_files_of_other_kinds_are_named(checkpoint, tmp_path, name):
    for path in (tmp_path / "c.safetensors", tmp_path / "folder" / FILE_NAME):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(STARTS[name] + b" " * 300)
    for source in (tmp_path / "c.safetensors", tmp_path / "folder"):
        with pytest.raises(CheckpointError, match=f"not a safetensors file but {name.partition(',')[0]}"):
            load_checkpoint(source)


@pytest.mark.parametrize("size", [0x0280, 0x0380])
def test_the_size_of_a_header_may_be_the_bytes_of_another_kind(checkpoint, tmp_path, size):
    """Which count as such only where no header follows."""
    header = b'{"__metadata__":{"format":"pt"}}'
    (tmp_path / "c.safetensors").write_bytes(size.to_bytes(8, "little") + header.ljust(size))
    with pytest.raises(CheckpointError, match="not a UniStyle checkpoint"):
        load_checkpoint(tmp_path / "c.safetensors")


def test_a_typo_in_a_folder_that_is_here_is_no_hub_id(checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "checkpoints" / "materials").mkdir(parents=True)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", None)  # nobody asks
    for source, near in (("checkpoints/materails", "materials"), ("checkpoints/x", "materials")):
        with pytest.raises(
            CheckpointError, match=rf"{source}: no such file or folder in .*Did you mean '.*{near}'"
        ):
            load_checkpoint(source)
    (tmp_path / "checkpoints" / "materials" / "weights.pth").touch()
    with pytest.raises(CheckpointError, match=r"found none, but weights\.pth"):
        load_checkpoint("checkpoints/materials")


@pytest.mark.parametrize("name", ["x.pt", "x.PTH", "x.bin", "x.onnx", "x.json", "x.safetensor"])
def test_checkpoints_are_not_written_as_files_of_other_kinds(checkpoint, tmp_path, name):
    loaded = load_checkpoint(checkpoint)
    with pytest.raises(
        CheckpointError, match=r"checkpoints are \.safetensors files, not .*; give x\.safetensors"
    ):
        save_checkpoint(tmp_path / name, loaded)
    with pytest.raises(CheckpointError, match=r"give x\.safetensors"):
        UniStyle(loaded, "cpu").save_pretrained(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_folders_of_any_name_are_written_to(checkpoint, tmp_path):
    loaded = load_checkpoint(checkpoint)
    (tmp_path / "old.pth").mkdir()
    for name in ("v1.5", "model", "old.pth"):
        assert save_checkpoint(tmp_path / name, loaded) == tmp_path / name / FILE_NAME
    assert save_checkpoint(tmp_path / "LOUD.SAFETENSORS", loaded) == tmp_path / "LOUD.SAFETENSORS"


def test_names_of_styles_count_in_any_form_of_their_signs_and_capitals():
    nfc, nfd = (unicodedata.normalize(form, "caf\u00e9") for form in ("NFC", "NFD"))
    names = ((nfd, nfd), ("Stone", "Wall"), ("wood", "a"), ("WOOD", "b"))
    bank = StyleBank(names, torch.zeros(4, 3))
    assert bank.find(nfc) == bank.find(nfd) == bank.find(f"{nfd}/{nfc}") == bank.find("CAF\u00c9") == [0]
    assert bank.find("stone") == bank.find("STONE/wall") == [1]
    assert (bank.find("wood"), bank.find("WOOD")) == ([2], [3])
    with pytest.raises(UnknownNameError):  # either may be meant
        bank.find("Wood")
    again = bank.renamed("stone", "stone")
    assert again.find("Stone") == again.find("stone") == [1]
    assert bank.renamed(nfd, "Tea").find("tea") == [0]
    assert bank.without("stone", nfc).styles == ["wood", "WOOD"]


def test_nobody_waits_for_a_hub_that_cannot_be_reached(tmp_path, monkeypatch):
    def unknown(*_):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("socket.getaddrinfo", unknown)
    monkeypatch.setattr("unistyle.checkpoint.checkpoint.getproxies", dict)
    start = time.monotonic()
    with pytest.raises(
        CheckpointError, match="nobody/nothing: no such file or folder here, and as a hub id it gave"
    ):
        load_checkpoint("nobody/nothing")
    assert time.monotonic() - start < 5
    assert not huggingface_hub.constants.HF_HUB_OFFLINE
