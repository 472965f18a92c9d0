"""Several processes share one run: `accelerate launch`, and the same by hand, which is quicker."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests import command
from tests.helpers import make_photo, pictures

pytestmark = pytest.mark.slow

COUNT = 60
# The launcher of several GPUs is the one that starts several processes on CPUs too; `--cpu` starts a single one.
LAUNCH = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_machines", "1", "--mixed_precision", "no"]
LAUNCH += ["--dynamo_backend", "no", "--main_process_port", "0", "--num_processes"]


@pytest.fixture(scope="module")
def arguments(checkpoint, tmp_path_factory) -> list:
    """The command but for --out."""
    folder = tmp_path_factory.mktemp("photos")
    for i in range(COUNT):
        make_photo(120, 160, seed=i).save(folder / f"{i:02}.png")
    return [folder, "--to", "stone", "--checkpoint", checkpoint]


@pytest.fixture(scope="module")
def alone(arguments, tmp_path_factory) -> dict[str, str]:
    """What a single process writes."""
    out = tmp_path_factory.mktemp("alone")
    process = command.start([*arguments, "--device", "cpu", "--out", out], out.with_name("alone.log"))
    assert command.end(process) == 0
    return pictures(out)


def launch(number: int, arguments: list, log: Path) -> subprocess.Popen:
    given = [sys.executable, *LAUNCH, number, command.ROOT / "infer.py", *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with log.open("a") as file:
        return subprocess.Popen(
            [str(a) for a in given], stdout=file, stderr=subprocess.STDOUT, env=environment
        )


def statuses(out: Path) -> list[str]:
    """Of the photos, each of which has one record."""
    lines = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    names = [Path(line["input"]).name for line in lines]
    assert sorted(names) == sorted(set(names))
    assert not list(out.glob("manifest.?*.jsonl"))
    return [line["status"] for line in lines]


def test_accelerate_launch_and_a_process_that_is_killed(arguments, alone, tmp_path):
    """Without --device, as one does with GPUs. A killed process takes only its current photos with it, and the same
    command does what is left."""
    out, log = tmp_path / "out", tmp_path / "log"
    process = launch(2, [*arguments, "--out", out], log)
    command.wait_for(lambda: (out / "manifest.1.jsonl").exists())
    children = psutil.Process(process.pid).children()
    victim = next(child for child in children if child.environ().get("RANK") == "1")
    victim.send_signal(signal.SIGKILL)
    assert process.wait(command.PATIENCE) != 0
    assert not any(child.is_running() for child in children)
    finished = {path: path.stat().st_mtime_ns for path in out.glob("*.png")}
    left = COUNT - len(finished)
    assert 0 < left < COUNT

    again = command.start_together(2, [*arguments, "--out", out], tmp_path / "again")
    assert [command.end(each) for each in again] == [0, 0]
    printed = (tmp_path / "again").read_text()
    assert "2 processes" in printed
    assert f"{left} written, {COUNT - left} skipped, 0 failed" in printed
    for share in (left // 2, left - left // 2):  # each has done its half
        assert share == 0 or f"{share}/{share}" in printed
    assert pictures(out) == alone
    assert all(path.stat().st_mtime_ns == time for path, time in finished.items())
    assert sorted(statuses(out)) == ["skipped"] * (COUNT - left) + ["written"] * left


def test_the_others_end_when_one_is_gone(arguments, alone, tmp_path):
    """Without a launcher that ends them: they do their share, keep it, and say that something is missing."""
    out, log = tmp_path / "out", tmp_path / "log"
    processes = command.start_together(2, [*arguments, "--out", out], log)
    command.wait_for(lambda: (out / "manifest.1.jsonl").exists())
    processes[1].kill()
    assert [command.end(each) for each in processes] == [1, -signal.SIGKILL]
    assert "another process ended" in log.read_text()
    assert "Traceback" not in log.read_text()
    assert COUNT / 2 < len(pictures(out)) < COUNT
    assert command.end(command.start([*arguments, "--device", "cpu", "--out", out], log)) == 0
    assert pictures(out) == alone
    assert len(statuses(out)) == COUNT


def test_four_processes_and_a_photo_that_fails(arguments, alone, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"broken")
    given = [tmp_path / "broken.jpg", *arguments, "--out", tmp_path / "out"]
    processes = command.start_together(4, given, tmp_path / "log")
    assert [command.end(each) for each in processes] == [1, 1, 1, 1]
    assert f"{COUNT} written, 0 skipped, 1 failed" in (tmp_path / "log").read_text()
    assert pictures(tmp_path / "out") == alone
    assert sorted(statuses(tmp_path / "out")) == ["failed"] + ["written"] * COUNT


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["--mask", "no-such-folder"], "no such file or folder"),
        (["--to", "stoen"], "Did you mean 'stone'?"),
        (["--strength", "2"], "got '2'"),
    ],
)
def test_errors_of_usage_are_said_once(arguments, tmp_path, wrong, message):
    given = [*arguments, *wrong, "--out", tmp_path / "out"]
    processes = command.start_together(2, given, tmp_path / "log")
    assert [command.end(each) for each in processes] == [2, 2]
    assert (tmp_path / "log").read_text().count(message) == 1
    assert not (tmp_path / "out").exists()


def test_two_runs_at_the_same_time(arguments, alone, tmp_path):
    """At worst work is done twice."""
    out = tmp_path / "out"
    runs = [
        command.start([*arguments, "--device", "cpu", "--out", out], tmp_path / f"{i}.log") for i in range(2)
    ]
    assert [command.end(each) for each in runs] == [0, 0]
    assert pictures(out) == alone
    statuses(out)
    assert not list(out.glob(".*"))
