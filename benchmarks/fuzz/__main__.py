"""Damaged and hostile files for the loaders: each either loads, or is refused by a CheckpointError that names it.

    python -m benchmarks.fuzz --files 100000

Files are made of a checkpoint with random weights and of a style file. Every file is made by its number alone, so
`--first 1234 --files 1` makes one of them again. The processes have a limit on their address space, and no network.
"""

import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fuzz.harness import Report, make_bases, peak_memory, reports
from unistyle.checkpoint.checkpoint import load_checkpoint
from unistyle.commands.arguments import argument, parser_of, read, run, whole_number

NAME = "python -m benchmarks.fuzz"


@dataclass
class Settings:
    """Load damaged and hostile files. The last lines say what came of them, files per second, the slowest file, and the
    peak of memory. Exit code 1 if anything but a CheckpointError came.

    python -m benchmarks.fuzz --files 100000 --folder /dev/shm
    """

    files: int = argument(1000, type=whole_number(1))
    """How many files are loaded."""
    first: int = argument(0, type=whole_number(0))
    """Number of the first file."""
    processes: int = argument(2, type=whole_number(1))
    """How many processes load them."""
    folder: Path | None = argument(None, metavar="FOLDER")
    """Where the files are written, best in memory. Without it, a temporary folder."""


def attack_all(settings: Settings, folder: Path) -> tuple[Report, int]:
    """What came of all files, and the peak of memory with a good file alone."""
    make_bases(folder)
    load_checkpoint(folder / "base.safetensors")
    good, whole, start = peak_memory(), Report(), time.perf_counter()
    numbers = range(settings.first, settings.first + settings.files)
    for part in reports(numbers, settings.processes, folder):
        whole = whole.plus(part)
        print("\n".join([*part.failures, ""]), end="", flush=True)
        if whole.outcomes.total() % 1000 == 0:
            seconds, peak = time.perf_counter() - start, whole.peak / 2**20
            print(f"{whole.counts()}, {seconds:.0f} s, peak {peak:.0f} MiB", flush=True)
    return whole, good


def fuzz(settings: Settings) -> int:
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=settings.folder) as folder:
        whole, good = attack_all(settings, Path(folder))
    for (what, kind, outcome), count in sorted(whole.outcomes.items()):
        print(f"{what:12}{kind:18}{outcome:10}{count:8}")
    rate = whole.outcomes.total() / (time.perf_counter() - start)
    print(f"{whole.counts()}; {rate:.1f} files/s; slowest {whole.slowest[0]:.1f} s: {whole.slowest[1]}; "
          f"peak of a process {whole.peak / 2**20:.0f} MiB, with a good file alone {good / 2**20:.0f}")  # fmt: skip
    return int(bool(whole.failures))


def main(argv: list[str] | None = None) -> int:
    return run(NAME, lambda: fuzz(read(parser_of(NAME, Settings), Settings, argv)))


if __name__ == "__main__":
    sys.exit(main())
