"""A folder of photos from end to end: `unistyle infer` against loops that restyle one photo after the other.

    python -m benchmarks.folder --photos DATA/fmd/image

The sides are: the runner of `unistyle infer`; the same with a compiled network; a loop over `UniStyle.restyle` and
`image.save`, as a user would write it; the same with the encoder that `unistyle infer` uses; and two networks in a row
(`benchmarks.two_networks`) with `image.save`. Each side is a process of its own, which starts, works through
`--warm-up` photos, and is timed from then on. The sides take turns. The table gives medians, with the lowest and
highest in brackets, and as CPU the share of all cores that the process used.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.folder.sides import SIDES
from unistyle.checkpoint.shipped import default_checkpoint
from unistyle.commands.arguments import argument, parser_of, read, run, whole_number
from unistyle.devices import PRECISIONS
from unistyle.files.photos import read_image
from unistyle.files.samples import content_photos, sample_photos

NAME = "python -m benchmarks.folder"
HEAVY = "two networks"
WINDOW = (300, 225)  # pixels that are cut out of a sample


@dataclass
class Settings:
    """Time a folder of photos from end to end, by `unistyle infer` and by loops over one photo after the other.

    python -m benchmarks.folder --photos DATA/fmd/image
    """

    photos: Path | None = argument(None, metavar="FOLDER")
    """Photos. Without it, the sample photos of scikit-image are cut at different places."""
    count: int = argument(200, type=whole_number(1))
    """How many photos are taken."""
    heavy: int = argument(20, type=whole_number(1))
    """How many of them the two networks are timed on, which take the same time for each."""
    rounds: int = argument(3, type=whole_number(1))
    """How often each side runs."""
    warm_up: int = argument(8, type=whole_number(0))
    """Photos before the clock starts."""
    checkpoint: str = argument(default_checkpoint(), metavar="PATH")
    """File, folder or hub id."""
    device: str = "cpu"
    """cpu, cuda, cuda:1, mps."""
    precision: str = argument("fp32", choices=PRECISIONS)
    """What the networks compute in."""


def sample_folder(folder: Path, count: int) -> list[Path]:
    """Photos of 512 x 384 cut from the samples at different places."""
    images = [read_image(path) for path in sample_photos()]
    rng, paths = np.random.default_rng(0), []
    for i in range(count):
        image = images[i % len(images)]
        x, y = (
            int(rng.integers(0, max(1, side - least))) for side, least in zip(image.size, WINDOW, strict=True)
        )
        paths.append(folder / f"{i:04}.jpg")
        box = (x, y, x + WINDOW[0], y + WINDOW[1])
        image.crop(box).resize((512, 384)).save(paths[-1], quality=92)
    return paths


def sizes_first(paths: list[Path]) -> list[Path]:
    """A photo of each size before the others, so that what happens once for each size falls into the warm-up."""
    firsts: dict[tuple[int, int], Path] = {}
    for path in paths:
        with Image.open(path) as image:
            firsts.setdefault(image.size, path)
    return [*firsts.values(), *(path for path in paths if path not in firsts.values())]


def chosen(settings: Settings, folder: Path) -> list[Path]:
    """The photos, of which some are made in `folder` where none are given."""
    if not settings.photos:
        return sizes_first(sample_folder(folder, settings.count))
    found = content_photos([settings.photos])
    return sizes_first(found[:: max(1, len(found) // settings.count)][: settings.count])


def figures(side: str, paths: list[Path], settings: Settings) -> dict[str, float]:
    """The figures of one run of one side."""
    some = paths[: settings.warm_up + settings.heavy] if side == HEAVY else paths
    command = [sys.executable, "-m", "benchmarks.folder.sides", side, "--warm-up", settings.warm_up]
    command += ["--checkpoint", settings.checkpoint, "--device", settings.device]
    command += ["--precision", settings.precision]
    with tempfile.TemporaryDirectory() as out:
        done = subprocess.run([*map(str, command), "--out", out], input="\n".join(map(str, some)), text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def table(results: dict[str, list[dict[str, float]]]) -> str:
    """One line for each side; time also as a multiple of the first side's."""
    lines = [f"{'':22}{'ms for a photo':>24}{'photos/s':>10}{'CPU':>7}{'peak MB':>9}{'time x':>9}"]
    first = statistics.median(r["each"] for r in next(iter(results.values())))
    for side, runs in results.items():
        each, cpu, peak = (statistics.median(r[name] for r in runs) for name in ("each", "cpu", "peak"))
        spread = f"({min(r['each'] for r in runs):.1f}-{max(r['each'] for r in runs):.1f})"
        lines.append(f"{side:22}{f'{each:.1f} {spread}':>24}{1e3 / each:10.1f}{cpu / (os.cpu_count() or 1):7.0%}"
                     f"{peak:9.0f}{each / first:9.2f}")  # fmt: skip
    return "\n".join(lines)


def measure(settings: Settings) -> None:
    results: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    with tempfile.TemporaryDirectory() as folder:
        paths = chosen(settings, Path(folder))
        for _ in range(settings.rounds):
            for side in SIDES:
                results[side].append(figures(side, paths, settings))
                print(side, results[side][-1], file=sys.stderr)
    machine = f"{settings.device}, {os.cpu_count()} cores, {settings.precision}"
    print(f"{len(paths)} photos, {machine}; median of {settings.rounds} runs")
    print(table(results))


def main(argv: list[str] | None = None) -> int:
    return run(NAME, lambda: measure(read(parser_of(NAME, Settings), Settings, argv)))


if __name__ == "__main__":
    sys.exit(main())
