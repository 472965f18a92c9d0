"""`unistyle evaluate`, end to end on a tiny set."""

import csv
import json

import pytest
from PIL import Image

from unistyle.commands import evaluate


@pytest.fixture
def run(data, checkpoint, capsys):
    """Carry out `unistyle evaluate COMMAND` on the annotated folder; what it prints."""

    def command(name, *more):
        given = [name, "--data", data, "--checkpoint", checkpoint, *more]
        assert evaluate.main([str(x) for x in given]) == 0
        return capsys.readouterr().out

    return command


def test_the_mask_command(run, tmp_path):
    text = run("masks", "--out", tmp_path / "m.json")
    assert "n = 6" in text
    assert "below 95 %" in text
    assert "n = 3" in text
    rows = json.loads((tmp_path / "m.json").read_text())["rows"]
    assert all(0 <= row["mean_iu"] <= 1 for row in rows)


def test_the_outside_command_finds_no_change(run, tmp_path):
    run("outside", "--out", tmp_path / "o.json")
    assert {row["outside"] for row in json.loads((tmp_path / "o.json").read_text())["rows"]} == {0}


@pytest.mark.parametrize("method", ["network", "gatys"])
def test_the_style_command(run, vgg_weights, tmp_path, method):
    out = tmp_path / f"{method}.csv"
    gatys = ("--iterations", 1, "--cache", tmp_path / "cache", "--size", 96)
    given = ("--method", method, *gatys, "--vgg-weights", vgg_weights, "--pairs", 2, "--out", out)
    assert "n = 2" in run("style", *given)
    assert len(list(csv.DictReader(out.open()))) == 2
    assert len(list((tmp_path / "cache").rglob("*.png"))) == (2 if method == "gatys" else 0)


def test_a_strength_of_zero_leaves_the_photo(run, vgg_weights, tmp_path):
    out = tmp_path / "zero.csv"
    run("style", "--strength", 0, "--size", 48, "--vgg-weights", vgg_weights, "--pairs", 2, "--out", out)
    rows = list(csv.DictReader(out.open()))
    assert [float(row["relative"]) for row in rows] == [pytest.approx(1, abs=1e-3)] * 2


def test_the_bank_command(run, vgg_weights, tmp_path):
    out = tmp_path / "b.csv"
    small = ("--vgg-weights", vgg_weights, "--pairs", 2, "--size", 96)
    assert "n = 2" in run("bank", *small, "--out", out, "--to", "wood")
    assert "wood/0" in out.read_text()


def test_the_sheet_command(run, tmp_path):
    out = tmp_path / "sheet.png"
    run("sheet", "--out", out, "--styles", "stone", "wood")
    # One row for each material, whose first photo with a boundary is shown; photo, mask and two styles across.
    assert Image.open(out).size == (4 * 320, 16 + 3 * 240)


def test_the_failures_command(run, tmp_path):
    printed = run("failures", "--out", tmp_path / "f")
    kinds = [line.split(":")[0] for line in printed.splitlines()]
    assert kinds
    assert {p.stem for p in (tmp_path / "f").iterdir()} == set(kinds)
