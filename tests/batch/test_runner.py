"""The loop over many photos: memory, threads, settings, inputs and outputs."""

import json
import os
import random
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.command import PATIENCE
from tests.helpers import make_photo
from unistyle.batch.budget import Budget
from unistyle.batch.jobs import Options, collect
from unistyle.batch.manifest import Manifest
from unistyle.batch.runner import Runner
from unistyle.commands import infer
from unistyle.errors import UsageError
from unistyle.restyle.pipeline import UniStyle


@pytest.fixture
def photos(tmp_path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(6):
        make_photo(40, 50 + 10 * (i % 3), seed=i).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def run(checkpoint, capsys):
    """The command in this process: exit code, printed text, error text. It must not hang."""

    def call(*arguments, to="stone"):
        given = [*arguments, "--to", to, "--checkpoint", checkpoint, "--device", "cpu"]
        codes = []
        thread = threading.Thread(
            target=lambda: codes.append(infer.main([str(a) for a in given])), daemon=True
        )
        thread.start()
        thread.join(PATIENCE)
        assert not thread.is_alive(), "the command hangs"
        return codes[0] if codes else None, *capsys.readouterr()

    return call


@pytest.fixture(scope="module")
def model(checkpoint) -> UniStyle:
    return UniStyle.from_pretrained(checkpoint, device="cpu")


@pytest.fixture
def work(model, photos, tmp_path):
    """The loop over the photos, with so many pixels in memory: its runner, and the error that it ended with."""

    def call(limit: int, batch: int) -> tuple[Runner, Exception | None]:
        options, manifest = Options(batch_size=batch), Manifest(tmp_path / "out")
        runner = Runner(model, model.plan("stone"), options, manifest, {}, budget=Budget(limit))
        errors = []

        def run(_) -> None:
            try:
                runner.run(collect([photos], tmp_path / "out").jobs)
            except Exception as error:
                errors.append(error)

        in_threads(run, 1)
        return runner, errors[0] if errors else None

    return call


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def in_threads(function, number: int = 8) -> None:
    threads = [threading.Thread(target=function, args=(i,), daemon=True) for i in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive(), "a thread waits for ever"


def test_the_budget_is_kept_and_a_large_photo_goes_alone():
    budget, lock, inside, wrong = Budget(100), threading.Lock(), [], []

    def work(seed: int) -> None:
        choose = random.Random(seed)
        for _ in range(60):
            pixels = choose.choice([1, 30, 50, 99, 100, 101, 5000])
            budget.take(pixels, wait=True)
            with lock:
                inside.append(pixels)
                if len(inside) > 1 and sum(inside) > budget.limit:
                    wrong.append(list(inside))
            time.sleep(0.0002)
            with lock:
                inside.remove(pixels)
            budget.give(pixels)

    in_threads(work)
    assert not wrong
    assert budget.free == budget.limit


def test_a_large_photo_does_not_wait_for_all_small_ones():
    budget, large_is_in, small = Budget(100), threading.Event(), []

    def work(i: int) -> None:
        if i == 0:
            time.sleep(0.02)  # when there is always a small one
            budget.take(100, wait=True)
            large_is_in.set()
            budget.give(100)
        while not large_is_in.is_set() and len(small) < 5000:
            budget.take(40, wait=True)
            small.append(i)
            time.sleep(0.001)
            budget.give(40)

    in_threads(work)
    assert len(small) < 2000


@pytest.mark.parametrize("limit", [1, 2000, 2100, 4400])
@pytest.mark.parametrize("batch", [1, 3, 6])
def test_no_thread_waits_for_ever(work, limit, batch):
    """Of photos of 2000, 2400 and 2800 pixels."""
    runner, error = work(limit, batch)
    assert error is None
    assert str(runner.counts) == "6 written, 0 failed"
    assert runner.budget.free == limit


def test_a_photo_that_fails_gives_its_memory_back(work, photos):
    """Cut off behind its header, so that memory was taken for it."""
    for path in list(photos.iterdir()):
        path.with_name(f"{path.stem}-broken.png").write_bytes(path.read_bytes()[:2000])
    runner, error = work(limit=2800, batch=4)
    assert error is None
    assert str(runner.counts) == "6 written, 6 failed"
    assert runner.budget.free == 2800


@pytest.mark.parametrize("limit", [3000, 48_000_000])
@pytest.mark.parametrize("where", ["restyle_batch", "add"])
def test_a_bug_surfaces_and_nothing_hangs(work, monkeypatch, limit, where):
    def broken(*_, **__):
        raise KeyError("a bug")

    monkeypatch.setattr(UniStyle if where == "restyle_batch" else Manifest, where, broken)
    runner, error = work(limit, batch=3)
    assert isinstance(error, RuntimeError)
    assert isinstance(error.__cause__, KeyError)
    assert runner.budget.free == limit  # nobody can wait for what a thread has taken with it


def test_settings_that_differ_are_named_and_nothing_is_touched(run, photos, tmp_path):
    out = tmp_path / "out"
    assert run(photos, "--out", out)[0] == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    code, _, errors = run(photos, "--out", out, "--strength", 0.5, "--color", "keep")
    assert code == 2
    assert "strength was 1.0 and is 0.5 now" in errors
    assert "color was 'style' and is 'keep' now" in errors
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert run(photos, "--out", tmp_path / "other", "--strength", 0.5)[0] == 0
    assert "6 written" in run(photos, "--out", out, "--strength", 0.5, "--overwrite")[1]
    assert "6 skipped" in run(photos, "--out", out, "--strength", 0.5)[1]
    # A mask that is missing does not hide that the result beside it was made otherwise.
    assert run(photos, "--out", out, "--save-mask")[0] == 2


def test_another_photo_under_the_name_of_the_style_is_noticed(run, photos, tmp_path):
    style = tmp_path / "wall.png"
    make_photo(seed=7).save(style)
    assert run(photos, "--out", tmp_path / "out", to=style)[0] == 0
    assert "6 skipped" in run(photos, "--out", tmp_path / "out", to=style)[1]
    make_photo(seed=8).rotate(90).save(style)
    code, _, errors = run(photos, "--out", tmp_path / "out", to=style)
    assert code == 2
    assert "weights was" in errors


def test_results_that_an_interrupted_overwrite_left_keep_their_settings(run, photos, tmp_path, monkeypatch):
    out = tmp_path / "out"
    run(photos, "--out", out)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Runner, "run", interrupted)
    code, _, errors = run(photos, "--out", out, "--strength", 0.5, "--overwrite")
    assert code == 130
    assert "--overwrite starts anew" in errors
    monkeypatch.undo()
    assert run(photos, "--out", out, "--strength", 0.5)[0] == 2
    assert run(photos, "--out", out, "--strength", 0.5, "--overwrite")[0] == 0
    lines = (out / "manifest.jsonl").read_text().splitlines()
    assert [json.loads(line)["settings"]["strength"] for line in lines] == [0.5] * 6


def test_fewer_and_more_photos_into_one_folder(run, photos, tmp_path):
    out = tmp_path / "out"
    assert "1 written, 0 skipped" in run(photos / "0.png", "--out", out)[1]
    assert "5 written, 1 skipped" in run(photos, "--out", out)[1]
    assert "0 written, 1 skipped" in run(photos / "3.png", "--out", out)[1]
    assert len((out / "manifest.jsonl").read_text().splitlines()) == 6


def test_formats(run, photos, tmp_path):
    out, mask = tmp_path / "out", tmp_path / "mask.png"
    photo = pixels(photos / "0.png")
    inside = np.zeros(photo.shape[:2], np.uint8)
    inside[:, :20] = 255
    Image.fromarray(inside).save(mask)
    given = (photos / "0.png", "--mask", mask, "--out", out)
    assert "not exact" not in run(*given)[1]
    assert "not exact" not in run(*given, "--format", "webp")[1]
    assert "not exact" in run(*given, "--format", "jpg")[1]
    assert {path.name for path in out.iterdir()} == {"0.png", "0.webp", "0.jpg", "manifest.jsonl"}
    np.testing.assert_array_equal(pixels(out / "0.webp"), pixels(out / "0.png"))
    np.testing.assert_array_equal(pixels(out / "0.webp")[:, 20:], photo[:, 20:])
    assert Image.open(out / "0.jpg").format == "JPEG"
    assert np.abs(pixels(out / "0.jpg").astype(int) - pixels(out / "0.png")).mean() < 8
    assert len((out / "manifest.jsonl").read_text().splitlines()) == 3


def test_pairs_that_would_be_written_to_one_file_are_counted(tmp_path):
    for i in range(5):
        for ending in ("jpg", "heic"):
            (tmp_path / f"IMG_{i}.{ending}").touch()
    with pytest.raises(UsageError) as error:
        collect([tmp_path], tmp_path / "out")
    message = str(error.value)
    assert message.startswith("5 results would be written by two photos each")
    assert "IMG_0.heic" in message
    assert "IMG_4" not in message
    assert "and 2 more such pairs" in message
    assert "Rename" in message


def test_the_folder_of_the_photos_is_no_folder_for_results(run, photos, tmp_path, monkeypatch):
    before = sorted(photos.iterdir())
    monkeypatch.chdir(photos)
    for given in (photos, ".", "../photos/"):
        code, _, errors = run(given, "--out", photos)
        assert code == 2
        assert "the folder of the photos" in errors
    assert sorted(photos.iterdir()) == before


def test_the_work_for_a_folder_grows_as_its_files_do(tmp_path):
    """By the number of calls, some 130 per file, which does not depend on the machine. None may look at all files."""
    numbers = []
    for count in (500, 1000):
        folder = tmp_path / str(count)
        folder.mkdir()
        for i in range(count):
            (folder / f"{i}.jpg").touch()
        numbers.append(calls(lambda folder=folder: collect([folder], tmp_path / "out")))
    assert numbers[1] < 2.2 * numbers[0]


def calls(function: Callable[[], object]) -> int:
    """How many functions are called in the course of it."""
    number = 0

    def count(frame, event, argument) -> None:
        nonlocal number
        number += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(None)
    return number


def test_a_record_after_half_a_line_is_not_lost(tmp_path, monkeypatch):
    manifest = Manifest(tmp_path)
    manifest.add(dict(output="a"))
    path_open = Path.open

    def tear(path, mode):
        with path_open(path, mode) as file:
            file.write(b'{"output": "b"')
        raise OSError("the disk is full")

    monkeypatch.setattr(Path, "open", tear)
    with pytest.raises(OSError, match="full"):
        manifest.add(dict(output="b"))
    monkeypatch.undo()
    manifest.add(dict(output="c"))
    assert list(manifest.read()) == ["a", "c"]


def test_a_pipe_given_by_itself_is_no_photo_and_nobody_waits_for_it(run, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    code, _, errors = run(tmp_path / "pipe", "--out", tmp_path / "out")
    assert code == 2
    assert "no image" in errors
