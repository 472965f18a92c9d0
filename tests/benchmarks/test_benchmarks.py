"""Every benchmark explains itself, and those that can do so in seconds run on a few small photos."""

import io
import json
import sys
from importlib import import_module
from pkgutil import walk_packages

import pytest
from PIL import Image

import benchmarks
from benchmarks import encoders, figure, flicker, large, memory
from benchmarks.folder import sides
from benchmarks.folder.__main__ import sample_folder, sizes_first, table
from tests.helpers import make_photo
from unistyle.checkpoint.checkpoint import load_checkpoint
from unistyle.files import writing

MODULES = [
    module
    for found in walk_packages(benchmarks.__path__, "benchmarks.")
    if hasattr(module := import_module(found.name), "main")
]


def test_all_benchmarks_are_there():
    names = {module.__name__.removeprefix("benchmarks.") for module in MODULES}
    assert {"speed", "folder.__main__", "folder.sides", "fuzz.__main__", "trials", "same_results"} <= names


@pytest.mark.parametrize("module", MODULES, ids=[module.__name__ for module in MODULES])
def test_help(module, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["benchmark", "--help"])
    try:
        code = module.main()
    except SystemExit as stop:
        code = stop.code
    assert code == 0
    text = capsys.readouterr().out
    assert "usage: " in text
    if hasattr(module, "NAME"):
        assert f"usage: {module.NAME} " in " ".join(text.split())
        assert f"python -m {module.__name__.removesuffix('.__main__')}" == module.NAME


@pytest.fixture
def photos(tmp_path):
    """A folder of three photos of two sizes."""
    (tmp_path / "photos").mkdir()
    for number, side in enumerate((48, 48, 64)):
        make_photo(48, side, number).save(tmp_path / "photos" / f"{number}.jpg")
    return tmp_path / "photos"


def test_photos_of_each_size_come_first(photos):
    assert [path.name for path in sizes_first(sorted(photos.iterdir()))] == ["0.jpg", "2.jpg", "1.jpg"]


def test_cuts_of_the_samples(tmp_path):
    paths = sample_folder(tmp_path, 5)
    assert [path.name for path in paths] == [f"000{i}.jpg" for i in range(5)]
    assert {Image.open(path).size for path in paths} == {(512, 384)}


@pytest.mark.parametrize("side", [side for side in sides.SIDES if side != "compiled"])
def test_a_side_of_the_folder_benchmark(side, photos, checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(map(str, sorted(photos.iterdir())))))
    given = [side, "--out", tmp_path / "out", "--warm-up", 1, "--checkpoint", checkpoint]
    assert sides.main([str(x) for x in given]) == 0
    assert json.loads(capsys.readouterr().out).keys() == {"each", "cpu", "peak"}
    assert len(list((tmp_path / "out").rglob("*.png"))) == 3


def test_the_table_of_the_folder_benchmark():
    run = dict(each=100.0, cpu=1.0, peak=500.0)
    lines = table({"unistyle infer": [run], "plain loop": [run | {"each": 200.0}]}).splitlines()
    assert [line.split()[-1] for line in lines[1:]] == ["1.00", "2.00"]


def test_encoders_are_compared(photos, capsys):
    compressor = writing.isal_zlib
    assert encoders.main([str(photos), "--rounds", "3", "--count", "1"]) == 0
    assert writing.isal_zlib is compressor, "which a benchmark leaves out for a while"
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("| unistyle png |") for line in lines)
    assert len({line.count("|") for line in lines}) == 1


def test_memory_is_watched(photos, checkpoint, capsys):
    given = ["--photos", photos, "--count", 3, "--every", 1, "--checkpoint", checkpoint]
    assert memory.main([str(x) for x in given]) == 0
    assert capsys.readouterr().out.startswith("  photos     MiB")


def test_flicker_of_clips(checkpoint, capsys):
    given = ["--frames", 3, "--size", 64, 48, "--checkpoint", checkpoint]
    assert flicker.main([str(x) for x in given]) == 0
    lines = capsys.readouterr().out.splitlines()[2:]
    assert len(lines) == 2 + 5 * 5
    assert len({line.count("|") for line in lines}) == 1


def test_tiles_agree_with_one_pass(photos, checkpoint):
    from unistyle import UniStyle

    model = UniStyle.from_pretrained(checkpoint, "cpu")
    image = large.large_photo(sorted(photos.iterdir()), 640, 480)
    found = large.agreement(model, image, "stone")
    assert found.keys() == {"tiles", "moments of a reduced copy"}
    assert found["tiles"].float().mean() < 0.3


def test_the_figure(checkpoint, tmp_path):
    out = tmp_path / "figure.jpg"
    given = ["--out", out, "--checkpoint", checkpoint, "--materials", "stone", "metal"]
    assert figure.main([str(x) for x in given]) == 0
    assert Image.open(out).size == (4 * 208 + 3 * 4, 16 + 4 * 156 + 3 * 4)
    make_photo(60, 80).save(tmp_path / "own.png")
    given[-2:] = ["all", "--photos", tmp_path / "own.png"]
    styles = len(load_checkpoint(checkpoint).bank.styles)
    assert figure.main([str(x) for x in given]) == 0
    assert Image.open(out).size == ((2 + styles) * 208 + (1 + styles) * 4, 16 + 156)


def test_a_mistake_ends_with_one_line(tmp_path, capsys):
    assert memory.main(["--photos", str(tmp_path)]) == 2
    assert "error: no photos in" in capsys.readouterr().err
