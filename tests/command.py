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
FORKS.set_forkserver_preload(["unistyle.commands.infer"])
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
    os.environ.clear()
    os.environ.update(environment)
    from unistyle.batch import processes

    heard = processes._heard
    processes._heard = lambda work: (print(WAITING, flush=True), heard(work))[1]
    sys.exit(import_module(f"unistyle.commands.{program}").main(arguments))


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
