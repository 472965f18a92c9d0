"""What a launcher says in variables: empty or wrong ones, and processes that never come."""

import os
import signal
import socket
import time

import pytest

from tests import command
from unistyle import devices
from unistyle.batch import processes
from unistyle.commands import infer, train
from unistyle.errors import ProcessLostError, UsageError

LAUNCH = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch):
    for name in LAUNCH:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def two(monkeypatch):
    """The variables of the first of two processes."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    about = dict(
        RANK=0, LOCAL_RANK=0, WORLD_SIZE=2, LOCAL_WORLD_SIZE=2, MASTER_ADDR="127.0.0.1", MASTER_PORT=port
    )
    for name, value in about.items():
        monkeypatch.setenv(name, str(value))


@pytest.mark.parametrize("name", devices.LEAST)
@pytest.mark.parametrize("text", ["", " "])
def test_an_empty_variable_says_nothing(name, text, monkeypatch):
    monkeypatch.setenv(name, text)
    assert devices.pick_device("cpu").type == "cpu"
    assert devices.cores() >= 1
    assert processes.meet() == {}
    assert not os.environ.get(name, "").strip()


@pytest.mark.parametrize(
    ("name", "text"),
    [("LOCAL_WORLD_SIZE", "0"), ("WORLD_SIZE", "two"), ("RANK", "-1"), ("WORLD_SIZE", "0"), ("RANK", "1.5")],
)
def test_a_variable_that_is_no_number_is_named(name, text, monkeypatch):
    monkeypatch.setenv(name, text)
    with pytest.raises(ValueError, match=f"the variable {name} is '{text}'; wanted a whole number from"):
        devices.pick_device("cpu")
    with pytest.raises(UsageError, match=name):
        processes.meet()


@pytest.mark.parametrize(("name", "text"), [("RANK", "x"), ("WORLD_SIZE", "x"), ("LOCAL_WORLD_SIZE", "0")])
def test_infer_says_which_variable_is_wrong(name, text, checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(name, text)
    given = ["--samples", "--to", "stone", "--checkpoint", checkpoint, "--out", tmp_path / "out"]
    assert infer.main([str(each) for each in given]) == 2
    assert f"error: the variable {name} is '{text}'" in capsys.readouterr().err


def test_infer_runs_with_empty_variables(checkpoint, tmp_path, monkeypatch):
    for name in devices.LEAST:
        monkeypatch.setenv(name, "")
    given = ["--samples", "--to", "stone", "--checkpoint", checkpoint, "--out", tmp_path / "out"]
    assert infer.main([*map(str, given), "--max-size", "64", "--device", "cpu"]) == 0


def test_a_process_that_never_comes_is_not_waited_for_for_ever(two):
    began = time.monotonic()
    with pytest.raises(ProcessLostError, match="2 processes are to work together"):
        processes.meet(patience=1)
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("command", ["infer", "train"])
def test_commands_say_that_another_process_never_came(
    command, two, checkpoint, recipe, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(processes.meet, "__defaults__", (1,))
    given = ["--samples", "--to", "stone", "--checkpoint", checkpoint, "--out", tmp_path / "out"]
    code = infer.main([str(each) for each in given]) if command == "infer" else train.main(recipe(1))
    assert code == 1
    assert "after 1 seconds they were not all here" in capsys.readouterr().err


def test_the_second_of_two_whose_first_never_comes(two, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(ProcessLostError, match="not all here"):
        processes.meet(patience=1)


def test_an_address_that_is_missing_is_named(two, monkeypatch):
    monkeypatch.delenv("MASTER_ADDR")
    with pytest.raises(UsageError, match="MASTER_ADDR"):
        processes.meet(patience=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "number", "code"),
    [("infer", signal.SIGINT, 130), ("infer", signal.SIGTERM, 130), ("train", signal.SIGINT, 130),
     ("train", signal.SIGTERM, -signal.SIGTERM)],
)  # fmt: skip
def test_signals_end_the_wait(program, number, code, two, recipe, checkpoint, tmp_path):
    given = ["--samples", "--to", "stone", "--checkpoint", checkpoint, "--out", tmp_path / "out"]
    log = tmp_path / "log"
    process = command.start(
        given if program == "infer" else recipe(1), log, {name: os.environ[name] for name in LAUNCH}, program
    )
    command.wait_for(lambda: log.exists() and command.WAITING in log.read_text())
    time.sleep(0.5)
    os.kill(process.pid, number)
    assert command.end(process) == code, log.read_text()
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize("name", ["meta", "meta:0"])
def test_a_device_without_values_is_refused(name):
    with pytest.raises(ValueError, match=f"device '{name}' is not usable here"):
        devices.pick_device(name)


def test_infer_refuses_meta(checkpoint, tmp_path, capsys):
    given = [
        "--samples",
        "--to",
        "stone",
        "--checkpoint",
        checkpoint,
        "--out",
        tmp_path / "out",
        "--device",
        "meta",
    ]
    assert infer.main([str(each) for each in given]) == 2
    assert "device 'meta' is not usable here" in capsys.readouterr().err
