"""Loading damaged files in processes with a limit on their address space, and without a network."""

import multiprocessing
import resource
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch

from benchmarks.fuzz.kinds import make
from unistyle.checkpoint.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from unistyle.checkpoint.style_files import StyleFile, load_style, save_style
from unistyle.errors import CheckpointError
from unistyle.network.encoder import EncoderConfig
from unistyle.network.model import NetworkConfig, UniStyleNetwork
from unistyle.styles.bank import StyleBank
from unistyle.styles.codes import code_space

MEMORY = 2**30  # bytes that a process may need more than after a good file
TIME = 10  # seconds of a processor that a file may take
CHUNK = 100  # files of one task
LOADERS = {"checkpoint": load_checkpoint, "style": load_style}


@dataclass
class Report:
    """What came of some files."""

    outcomes: Counter = field(default_factory=Counter)
    """Number of files for each (what it was, kind of damage, loaded or refused or FAILED)."""
    failures: list[str] = field(default_factory=list)
    """What is no CheckpointError, or is one that does not name its file, or took too long."""
    slowest: tuple[float, str] = (0.0, "none")
    """Seconds and file."""
    peak: int = 0
    """Bytes of memory that a process used at most."""

    def add(self, number: int, about: tuple[str, str], outcome: str, seconds: float) -> None:
        """Note what came of one file; about: what it was, and its kind of damage."""
        label, fine = f"file {number} ({', '.join(about)})", outcome in ("loaded", "refused")
        self.outcomes[*about, outcome if fine else "FAILED"] += 1
        if not fine:
            self.failures.append(f"{label}: {outcome}")
        elif seconds > TIME:
            self.failures.append(f"{label}: {outcome}, but only after {seconds:.0f} s")
        self.slowest = max(self.slowest, (seconds, label))

    def plus(self, other: "Report") -> "Report":
        """What came of the files of both."""
        outcomes, failures = self.outcomes + other.outcomes, self.failures + other.failures
        return Report(outcomes, failures, max(self.slowest, other.slowest), max(self.peak, other.peak))

    def counts(self) -> str:
        """How many files there were, and how many failed."""
        return f"{self.outcomes.total()} files, {len(self.failures)} failures"


def attack(
    numbers: Iterable[int], bases: dict[str, bytes], folder: Path, loaders: Mapping[str, Callable] = LOADERS
) -> Report:
    """Load the files of these numbers, one after the other. bases: the bytes of a checkpoint and of a style."""
    report = Report()
    for number in numbers:
        what, kind, blob = make(number, bases)
        path = folder / f"{number}.safetensors"
        path.write_bytes(blob)
        start = time.process_time()
        outcome = _load(loaders[what], path)
        report.add(number, (what, kind), outcome, time.process_time() - start)
        path.unlink()
    report.peak = peak_memory()
    return report


def _load(load: Callable, path: Path) -> str:
    try:
        load(path)
    except CheckpointError as error:
        message = str(error)
        fine = path.name in message and len(message) < 1500 and message.isprintable()
        return "refused" if fine else f"refused without a name, at length or unprintably: {message[:300]!r}"
    # A panic of the parser is no Exception.
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return f"{type(error).__name__}: {str(error)[:300]!r}"
    return "loaded"


def peak_memory() -> int:
    """Bytes of memory that this process has used at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def make_bases(folder: Path) -> dict[str, bytes]:
    """A checkpoint with random weights, and a style file of it."""
    torch.manual_seed(0)
    encoder = EncoderConfig("mobilenetv2_050", pretrained=False)
    network = UniStyleNetwork(NetworkConfig(encoder, ("leather", "stone", "metal"))).eval()
    pairs = (("stone", "quarry"), ("stone", "wall"), ("metal", "plate"))
    bank = StyleBank(pairs, torch.randn(len(pairs), network.stylizer.code_size))
    checkpoint = save_checkpoint(folder / "base.safetensors", Checkpoint(network, bank, {"recipe": "random"}))
    style = save_style(folder / "style.safetensors", StyleFile(bank.only([0, 1]), code_space(network)))
    return {"checkpoint": checkpoint.read_bytes(), "style": style.read_bytes()}


def no_network(*_, **__):
    """In place of what would ask the network."""
    raise AssertionError("a file made the loader ask the network")


def _prepare(folder: Path, spare: int) -> None:
    """A process: one thread, no network, and as much more address space than a good file takes."""
    torch.set_num_threads(1)
    socket.socket.connect = socket.getaddrinfo = no_network
    load_checkpoint(folder / "base.safetensors")
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + spare, used + spare))


def _task(numbers: range, folder: Path) -> Report:
    here = folder / str(multiprocessing.current_process().pid)
    here.mkdir(exist_ok=True)
    blobs = {"checkpoint": folder / "base.safetensors", "style": folder / "style.safetensors"}
    return attack(numbers, {name: path.read_bytes() for name, path in blobs.items()}, here)


def reports(numbers: range, processes: int, folder: Path) -> Iterator[Report]:
    """Reports of parts of the files. A process that dies raises BrokenProcessPool."""
    chunks = [numbers[i : i + CHUNK] for i in range(0, len(numbers), CHUNK)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, _prepare, (folder, MEMORY)) as pool:
        yield from pool.map(partial(_task, folder=folder), chunks)
