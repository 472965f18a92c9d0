"""Damaged and hostile files: each loads, or is refused by name, soon and in little memory."""

import json

import pytest

from benchmarks.fuzz.harness import LOADERS, MEMORY, attack, no_network, peak_memory
from benchmarks.fuzz.kinds import make
from unistyle.checkpoint.checkpoint import load_checkpoint
from unistyle.checkpoint.header import MOST
from unistyle.checkpoint.style_files import StyleFile, load_style, save_style
from unistyle.errors import CheckpointError
from unistyle.styles.bank import StyleBank
from unistyle.styles.codes import code_space

COUNT = 300


@pytest.fixture(scope="module")
def blobs(checkpoint, tmp_path_factory):
    """The bytes of a checkpoint and of a style file."""
    loaded = load_checkpoint(checkpoint)
    path = tmp_path_factory.mktemp("style") / "style.safetensors"
    save_style(path, StyleFile(loaded.bank.only([0, 1]), code_space(loaded.network)))
    return {"checkpoint": checkpoint.read_bytes(), "style": path.read_bytes()}


def test_damaged_files_are_loaded_or_refused_by_name(blobs, tmp_path, monkeypatch):
    for name in ("socket.socket.connect", "socket.getaddrinfo"):
        monkeypatch.setattr(name, no_network)
    before = peak_memory()
    report = attack(range(COUNT), blobs, tmp_path)
    assert report.failures == []
    assert report.outcomes.total() == COUNT
    assert report.peak - before < MEMORY
    assert {what for what, _, _ in report.outcomes} == {"checkpoint", "style"}
    assert len({kind for _, kind, _ in report.outcomes}) >= 20
    refused = sum(count for (_, _, outcome), count in report.outcomes.items() if outcome == "refused")
    assert refused > COUNT / 2


def test_a_file_is_made_again_by_its_number(blobs):
    for number in range(20):
        assert make(number, blobs) == make(number, blobs)


def test_what_is_no_refusal_is_reported(blobs, tmp_path):
    def broken(path):
        raise KeyError("encoder")

    bases, loaders = blobs | {"checkpoint": b""}, LOADERS | {"style": broken}
    assert any("KeyError" in failure for failure in attack(range(8), bases, tmp_path, loaders).failures)


def test_the_parts_of_a_report_are_added_up(blobs, tmp_path):
    parts = [attack(range(start, start + 3), blobs, tmp_path) for start in (0, 3)]
    whole = parts[0].plus(parts[1])
    assert whole.counts() == "6 files, 0 failures"
    assert whole.slowest == max(part.slowest for part in parts)


def changed(blob, tmp_path, config=None, metadata=None):
    """A file whose configuration (a dict of changes) or other metadata is another."""
    end = 8 + int.from_bytes(blob[:8], "little")
    header = json.loads(blob[8:end])
    about = header["__metadata__"]
    about["config"] = json.dumps(json.loads(about["config"]) | (config or {}))
    about |= metadata or {}
    text = json.dumps(header).encode()
    path = tmp_path / "changed.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + blob[end:])
    return path


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"encoder": {"name": "hf-hub:timm/resnet18.a1_in1k"}}, "plain name"),
        ({"encoder": {"name": "local-dir:/etc"}}, "plain name"),
        ({"encoder": {"name": "regnety_2560"}}, "1272742644 numbers"),
        ({"encoder": {"name": 5}}, "wanted one with a name"),
        ({"encoder": {"name": "mobilenetv2_050", "widths": [10**9]}}, "widths"),
        ({"widths": 10**9}, "does not know its setting 'widths'"),
        ({"materials": "abc"}, "wanted a list of names"),
        ({"materials": ["a", "a", "b"]}, "same name"),
        ({"materials": [str(i) for i in range(10**5)]}, "100000 materials; the weights are of 3"),
        ({"materials": ["a", "b", "\x1b[2J"]}, "wanted a list of names"),
        ({"materials": ["a" * 10**6, "b", "c", 1]}, "wanted a list of names"),
        ({"materials": [str(i) for i in range(10**6)]}, f"wanted {MOST} at most"),
        ({"threshold": "0.5"}, "between 0 and 1"),
        ({"threshold": -0.5}, "between 0 and 1"),
        ({"threshold": float("nan")}, "between 0 and 1"),
    ],
)
def test_a_hostile_configuration(blobs, tmp_path, config, message):
    with pytest.raises(CheckpointError, match=message) as error:
        load_checkpoint(changed(blobs["checkpoint"], tmp_path, config))
    assert "changed.safetensors" in str(error.value)
    assert len(str(error.value)) < 1000


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"bank": '["ab", "cd", "ef"]'}, "wanted .style, exemplar. pairs"),
        ({"bank": '[["a", "b", "c"]]'}, "wanted .style, exemplar. pairs"),
        ({"bank": '[["a", 1], ["a", 2], ["a", 3]]'}, "wanted .style, exemplar. pairs"),
        ({"notes": "[]"}, "'notes' is a list; wanted a dict"),
        ({"config": "[" * 10**5}, "'config' is not JSON"),
        ({"version": "9" * 5000}, "not a UniStyle checkpoint"),
    ],
)
def test_hostile_metadata(blobs, tmp_path, metadata, message):
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(changed(blobs["checkpoint"], tmp_path, metadata=metadata))


def test_names_of_all_languages_are_names(blobs, tmp_path):
    path = changed(blobs["checkpoint"], tmp_path, {"materials": ["もふもふ", "old　brick", "métal"]})
    assert load_checkpoint(path).network.config.materials == ("もふもふ", "old　brick", "métal")
    bank = StyleBank((("もふもふ", "犬　白"),), load_checkpoint(path).bank.codes[:1])
    saved = save_style(tmp_path / "a.safetensors", StyleFile(bank, "0" * 12))
    assert load_style(saved).bank.names == bank.names
