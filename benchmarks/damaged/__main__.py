"""Damaged photos and videos through `unistyle infer`: each is written, or fails and is named; nothing ends the run.

    python -m benchmarks.damaged --photos 20000 --videos 500

Files are made of small ones of many kinds, and restyled by a network with random weights. Every file is made by its
number alone. A folder whose run ends otherwise is halved until the file is found.
"""

import io
import json
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from PIL import Image

from benchmarks.damaged.files import PHOTOS, VIDEOS, damaged
from benchmarks.fuzz.harness import make_bases
from unistyle.commands.arguments import argument, parser_of, read, run, whole_number
from unistyle.files.photos import MAX_PIXELS

NAME = "python -m benchmarks.damaged"
SECONDS = 5  # that a file may take, on average over a folder, before its run counts as hanging
START = 120  # seconds that a run may take beside its files
LONGEST = 1500  # characters of a reason
# Megapixels that a damaged file may claim. What is above it, and below what the command refuses, is restyled like any
# large photo: right, and for minutes.
LARGE = 4


@dataclass
class Settings:
    """Restyle damaged photos and videos. The last lines say what came of them and the peak of memory. Exit code 1 where
    a run ends by itself, hangs, loses a file or gives no reason.

    python -m benchmarks.damaged --photos 20000 --videos 500
    """

    photos: int = argument(500, type=whole_number(0))
    """How many photos."""
    videos: int = argument(20, type=whole_number(0))
    """How many videos."""
    first: int = argument(0, type=whole_number(0))
    """Number of the first of each."""
    folder: int = argument(250, type=whole_number(1))
    """How many files there are in the folder of one run."""
    processes: int = argument(2, type=whole_number(1))
    """How many runs there are at a time."""


@dataclass
class Report:
    """What came of some files."""

    outcomes: Counter = field(default_factory=Counter)
    """Number of files for each (kind of file, written or failed)."""
    problems: list[str] = field(default_factory=list)

    def plus(self, other: "Report") -> "Report":
        return Report(self.outcomes + other.outcomes, self.problems + other.problems)


def restyle(numbers: Sequence[int], names: tuple[str, ...], checkpoint: Path) -> Report:
    """One folder with the files of these numbers, through the command."""
    with tempfile.TemporaryDirectory() as place:
        photos, out = Path(place, "photos"), Path(place, "out")
        photos.mkdir()
        files = {}
        for number in numbers:
            name, kind, blob = damaged(number, names)
            if not LARGE * 1e6 < _claimed(blob) <= MAX_PIXELS:
                (photos / name).write_bytes(blob)
                files[name] = kind
        if not files:
            return Report()
        problem = _run(photos, out, checkpoint, START + SECONDS * len(files))
        if problem and len(numbers) > 1:
            half = len(numbers) // 2
            parts = (restyle(part, names, checkpoint) for part in (numbers[:half], numbers[half:]))
            found = Report.plus(*parts)
            return found if found.problems else Report(found.outcomes, [f"{numbers}: {problem}, once"])
        if problem:
            return Report(Counter(), [f"{next(iter(files))} ({files[next(iter(files))]}): {problem}"])
        return _checked(files, out)


def _claimed(blob: bytes) -> int:
    """How many pixels a file says that it has."""
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(blob)) as image:
            return image.width * image.height
    except Exception:  # a damaged file raises almost anything
        return 0


def _run(photos: Path, out: Path, checkpoint: Path, limit: float) -> str | None:
    """What is wrong with how a run ended."""
    options = [
        "--to",
        "stone",
        "--everywhere",
        "--checkpoint",
        str(checkpoint),
        "--max-size",
        "64",
        "--device",
        "cpu",
    ]
    command = [sys.executable, "-W", "ignore", "infer.py", str(photos), *options, "--out", str(out)]
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=limit, check=False, text=True, errors="replace"
        )
    except subprocess.TimeoutExpired:
        return f"no end after {limit:.0f} s"
    if "Traceback" in done.stderr:
        return f"a traceback: {done.stderr[-LONGEST:]}"
    return None if done.returncode in (0, 1) else f"exit code {done.returncode}: {done.stderr[-LONGEST:]}"


def _checked(files: dict[str, str], out: Path) -> Report:
    """What the record of a run says of its files, and what is wrong with that."""
    records = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    found, report = {Path(record["input"]).name: record for record in records}, Report()
    for name, damage in files.items():
        record = found.get(name, {"status": "lost", "reason": None})
        wrong = _wrong(record, out)
        report.outcomes[name.partition("-")[2], record["status"]] += 1
        if wrong:
            report.problems.append(f"{name} ({damage}): {wrong}")
    return report


def _wrong(record: dict, out: Path) -> str | None:
    status, reason = record["status"], record["reason"]
    if status == "failed":
        fine = reason and len(reason) < LONGEST and reason.isprintable()
        return None if fine else f"a reason that is none, long or unprintable: {reason!r}"
    if status != "written":
        return f"is {status}"
    result = Path(record["output"])
    if result.suffix == ".png":
        with Image.open(result if result.is_file() else out / result) as image:
            image.load()
    return None


def attack(settings: Settings, checkpoint: Path) -> Report:
    """What came of all files."""
    whole, start = Report(), time.perf_counter()
    Image.MAX_IMAGE_PIXELS = None  # here nothing is decoded but results
    with ThreadPoolExecutor(settings.processes) as pool:
        for kinds, count in ((PHOTOS, settings.photos), (VIDEOS, settings.videos)):
            numbers, step = range(settings.first, settings.first + count), settings.folder
            folders = [numbers[i : i + step] for i in range(0, count, step)]
            for part in pool.map(partial(restyle, names=tuple(kinds), checkpoint=checkpoint), folders):
                whole = whole.plus(part)
                print("\n".join([*part.problems, ""]), end="", flush=True)
                print(f"{whole.outcomes.total()} files, {time.perf_counter() - start:.0f} s", flush=True)
    return whole


def fuzz(settings: Settings) -> int:
    with tempfile.TemporaryDirectory() as folder:
        make_bases(Path(folder))
        report = attack(settings, Path(folder) / "base.safetensors")
    for (kind, status), count in sorted(report.outcomes.items()):
        print(f"{kind:18}{status:10}{count:8}")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"{report.outcomes.total()} files, {len(report.problems)} problems; peak of a run {peak:.0f} MiB")
    return int(bool(report.problems))


def main(argv: list[str] | None = None) -> int:
    return run(NAME, lambda: fuzz(read(parser_of(NAME, Settings), Settings, argv)))


if __name__ == "__main__":
    sys.exit(main())
