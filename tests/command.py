"""Commands in processes of their own that can be killed, infer.py above all. They are forks of one that has imported
it, which takes seconds."""

import multiprocessing
import os
import socket
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from tests.helpers import ROOT

# For the processes that start anew and have no settings of pytest.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["unistyle.commands.infer", "unistyle.commands.bank"])
CLOSED, LEFT = "&-", "| true"  # where a stream goes, if not to a file: nowhere, to a reader that has left
WAITING = "waiting for other processes"
PATIENCE = 120  # seconds after which something hangs


def start(arguments: list, log: Path, environment: dict[str, str] | None = None, program: str = "infer"):
    """Start the command; what it prints is appended to a log file, and so is WAITING once it waits for others."""
    # Its surroundings are those of now, not those in which the first process was started.
    given = ([str(a) for a in arguments], log, os.environ | (environment or {}), program)
    process = FORKS.Process(target=_command, args=given)
    process.start()
    return process


def _command(arguments: list[str], log: Path, environment: dict[str, str], program: str) -> None:
    with log.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    _surround(environment)
    from unistyle.batch import processes

    heard = processes._heard
    processes._heard = lambda work: (print(WAITING, flush=True), heard(work))[1]
    sys.exit(import_module(f"unistyle.commands.{program}").main(arguments))


def _surround(environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)


def start_printing(arguments: list, streams: dict[int, str], encoding: str | None = None):
    """Start `unistyle` with its file descriptors 1 and 2, and the streams that Python makes of them, where they are
    said to go: a file, CLOSED or LEFT."""
    given = [os.fsdecode(a) for a in arguments], streams, encoding, dict(os.environ)
    process = FORKS.Process(target=_printing, args=given)
    process.start()
    return process


def _printing(
    arguments: list[str], streams: dict[int, str], encoding: str | None, environment: dict[str, str]
) -> None:
    _surround(environment)
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream, to = None, streams[number]
        if to == CLOSED:
            os.close(number)
        else:
            there, here = (
                os.pipe() if to == LEFT else (None, os.open(to, os.O_WRONLY | os.O_CREAT | os.O_APPEND))
            )
            os.dup2(here, number)
            for each in {here, there} - {None}:
                os.close(each)
            stream = open(number, "w", encoding=encoding, closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
    from unistyle.__main__ import main

    sys.exit(main(arguments))


def end(process) -> int:
    """The exit code, once the process has ended; one that hangs is killed."""
    process.join(PATIENCE)
    if process.is_alive():
        process.kill()
        raise AssertionError("the process hangs")
    return process.exitcode


def start_together(number: int, arguments: list, log: Path, program: str = "infer") -> list:
    """Several processes of one run, as a launcher starts them."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    about = {
        "WORLD_SIZE": number,
        "LOCAL_WORLD_SIZE": number,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
    }
    if program == "train":  # on the CPU its processes come together only where they are told so
        about["ACCELERATE_USE_CPU"] = True
    return [
        start(arguments, log, {k: str(v) for k, v in (about | {"RANK": i, "LOCAL_RANK": i}).items()}, program)
        for i in range(number)
    ]


def wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.002)
