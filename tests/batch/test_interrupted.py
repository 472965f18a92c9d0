"""Runs that are killed or interrupted, or whose disk is full, go on where they stopped.

UNISTYLE_KILLS=20 python -m pytest tests/batch/test_interrupted.py
"""

import errno
import json
import os
import random
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

import unistyle.batch.runner
from tests import command
from tests.helpers import make_photo, pictures
from unistyle.commands import infer

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("UNISTYLE_KILLS", 4))
COUNT = 24


@pytest.fixture(scope="module")
def arguments(checkpoint, tmp_path_factory) -> list:
    """The command but for --out, over COUNT photos."""
    folder = tmp_path_factory.mktemp("photos")
    for i in range(COUNT):
        make_photo(200, 240 + i % 3, seed=i).save(folder / f"{i:02}.png")
    return [folder, "--to", "stone", "--checkpoint", checkpoint, "--device", "cpu", "--save-mask"]


@pytest.fixture(scope="module")
def undisturbed(arguments, tmp_path_factory) -> dict[str, str]:
    out = tmp_path_factory.mktemp("undisturbed")
    assert run(arguments, out) == 0
    return pictures(out)


def run(arguments: list, out: Path) -> int:
    return infer.main([str(a) for a in [*arguments, "--out", out]])


def number(out: Path) -> int:
    return len(list(out.glob("*.png")))


def check_finished(out: Path, undisturbed: dict[str, str]) -> None:
    assert pictures(out) == undisturbed
    lines = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    assert sorted(Path(line["output"]).name for line in lines) == [f"{i:02}.png" for i in range(COUNT)]
    assert {line["status"] for line in lines} <= {"written", "skipped"}
    assert not list(out.glob("manifest.?*.jsonl"))


def remove_later(out: Path) -> None:
    """What a later run removes of what a killed one left: temporary files, once they are old."""
    for path in out.glob(".*"):
        os.utime(path, (0, 0))
    infer.remove_leftovers(out)
    assert not list(out.glob(".*"))


def start_and_wait(arguments: list, out: Path):
    """A run that has just written its first result."""
    before = number(out)
    process = command.start([*arguments, "--out", out], out.with_suffix(".log"))
    command.wait_for(lambda: number(out) > before or not process.is_alive())
    return process


def test_kills_at_random_moments(arguments, undisturbed, tmp_path):
    """Whenever a run is killed every file is whole, and the same command brings the rest."""
    moments, out, kills = random.Random(0), tmp_path / "out", 0
    while kills < KILLS:
        process = start_and_wait(arguments, out)
        time.sleep(moments.uniform(0, 0.1))
        if process.is_alive():
            process.kill()
        if command.end(process) == -signal.SIGKILL:
            kills += 1
        else:
            shutil.rmtree(out)  # it was done before it could be killed
        for path in out.glob("*.png"):
            Image.open(path).load()
    assert run(arguments, out) == 0
    check_finished(out, undisturbed)
    remove_later(out)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_interrupts_finish_the_photos_in_work(arguments, undisturbed, tmp_path, sent):
    out, log = tmp_path / "out", tmp_path / "out.log"
    process = start_and_wait(arguments, out)
    os.kill(process.pid, sent)
    time.sleep(0.02)
    with suppress(ProcessLookupError):  # which may have ended already
        os.kill(process.pid, sent)  # as from a terminal and once more from a launcher
    assert command.end(process) == 130
    assert "stopped: interrupted" in log.read_text()
    assert "Traceback" not in log.read_text()
    written = json.loads("[" + ",".join((out / "manifest.jsonl").read_text().splitlines()) + "]")
    assert 0 < len(written) < COUNT
    # No photo is half done: each has its record, its result and its mask, and nothing is left over.
    assert number(out) == 2 * len(written)
    assert not list(out.glob(".*"))
    assert run(arguments, out) == 0
    check_finished(out, undisturbed)


def test_a_full_disk_stops_the_run(arguments, undisturbed, tmp_path, monkeypatch, capsys):
    out, left = tmp_path / "out", iter(range(9))

    def write(path, data):
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        whole(path, data)

    whole = unistyle.batch.runner.write_whole
    monkeypatch.setattr(unistyle.batch.runner, "write_whole", write)
    assert run(arguments, out) == 1
    assert f"stopped: cannot write to {out}: No space left on device" in capsys.readouterr().err
    assert number(out) == 9
    monkeypatch.undo()
    assert run(arguments, out) == 0
    check_finished(out, undisturbed)


def test_a_disk_too_full_for_the_manifest_stops_the_run(
    arguments, undisturbed, tmp_path, monkeypatch, capsys
):
    def add(self, record):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(unistyle.batch.runner.Manifest, "add", add)
    assert run(arguments, tmp_path / "out") == 1
    assert "stopped: cannot write" in capsys.readouterr().err
    monkeypatch.undo()
    assert run(arguments, tmp_path / "out") == 0
    check_finished(tmp_path / "out", undisturbed)
