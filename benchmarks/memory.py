"""Memory of a long run: resident memory of the runner of `unistyle infer` as it works through photos of many sizes.

    python -m benchmarks.memory --photos DATA/fmd/image

The last line says how much memory grew from the first 50 photos to the end, and how much of that still happened in the
second half.
"""

import resource
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unistyle import UniStyle
from unistyle.batch.jobs import Job, Options
from unistyle.batch.manifest import Manifest
from unistyle.batch.runner import Runner
from unistyle.checkpoint.shipped import default_checkpoint
from unistyle.commands.arguments import argument, parser_of, read, run, whole_number
from unistyle.files.photos import read_image
from unistyle.files.samples import content_photos
from unistyle.restyle.cpu import keep_freed_memory

NAME = "python -m benchmarks.memory"


@dataclass
class Settings:
    """Measure the resident memory of a long run after every so many photos.

    python -m benchmarks.memory --photos DATA/fmd/image
    """

    photos: Path | None = argument(None, metavar="FOLDER")
    """Photos. Without it, the samples."""
    count: int = argument(1000, type=whole_number(1))
    """How many photos are restyled."""
    every: int = argument(50, type=whole_number(1))
    """How many photos there are between two lines."""
    cut: bool = False
    """Cut each photo at random to sides of 150 to 512 pixels. This is the hard case, because memory that was freed
    after one size hardly fits the next."""
    checkpoint: str = argument(default_checkpoint(), metavar="PATH")
    """File, folder or hub id."""


def resident() -> float:
    """MiB of this process that are in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def cut(paths: list[Path], folder: Path) -> list[Path]:
    """The photos, each cut to a size of its own."""
    rng, result = np.random.default_rng(0), []
    for i, path in enumerate(paths):
        image = read_image(path)
        width, height = (int(rng.integers(150, min(512, side) + 1)) for side in image.size)
        result.append(folder / f"{i:05}.jpg")
        image.crop((0, 0, width, height)).save(result[-1], quality=92)
    return result


def watched(runner: Runner, jobs: list[Job], every: int) -> Iterator[float]:
    """Resident memory after every so many photos, while the runner does its jobs."""
    thread, seen = threading.Thread(target=runner.run, args=(jobs,)), 0
    thread.start()
    while thread.is_alive():
        if runner.counts.written >= every * (seen + 1):
            seen += 1
            yield resident()
        time.sleep(0.05)


def measure(settings: Settings) -> None:
    keep_freed_memory()
    model = UniStyle.from_pretrained(settings.checkpoint, "cpu")
    paths = content_photos([settings.photos] if settings.photos else None)
    some = [paths[i % len(paths)] for i in range(settings.count)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        some = cut(some, folder) if settings.cut else some
        jobs = [Job(path, folder / "out" / f"{i:05}.png") for i, path in enumerate(some)]
        runner, table = Runner(model, model.plan("stone"), Options(), Manifest(folder / "out"), {}), []
        print(f"{'photos':>8}{'MiB':>8}")
        for mib in watched(runner, jobs, settings.every):
            table.append(mib)
            print(f"{runner.counts.written:8}{mib:8.0f}", flush=True)
    if table:
        print(growth(table, settings.every))


def growth(table: list[float], every: int) -> str:
    """How much memory grew, and how much of it in the second half."""
    half = len(table) // 2
    late = max(table[half:]) - max(table[: half + 1])
    return (
        f"growth after the first {every}: {max(table) - table[0]:.0f} MiB; in the second half {late:.0f} MiB"
    )


def main(argv: list[str] | None = None) -> int:
    return run(NAME, lambda: measure(read(parser_of(NAME, Settings), Settings, argv)))


if __name__ == "__main__":
    sys.exit(main())
