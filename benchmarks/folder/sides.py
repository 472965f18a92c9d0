"""The programs that are compared, each in a process of its own: `python -m benchmarks.folder.sides SIDE`.

Paths of photos come in on standard input, one on each line. The figures go out as JSON.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image

from benchmarks.two_networks import TwoNetworks
from unistyle import UniStyle
from unistyle.batch.jobs import Job, Options
from unistyle.batch.manifest import Manifest
from unistyle.batch.runner import Runner
from unistyle.checkpoint.shipped import default_checkpoint
from unistyle.commands.arguments import argument, parser_of, read, run, whole_number
from unistyle.commands.infer import BATCH
from unistyle.devices import PRECISIONS
from unistyle.files.photos import read_image
from unistyle.files.tensors import to_pil, to_tensor
from unistyle.files.writing import save_png
from unistyle.restyle.cpu import keep_freed_memory

NAME = "python -m benchmarks.folder.sides"
STYLE = "stone"
Work = Callable[[list[Path]], None]  # restyles some photos


def infer(settings: "Settings") -> Work:
    """The runner of `unistyle infer`."""
    keep_freed_memory()
    return through_runner(
        UniStyle.from_pretrained(settings.checkpoint, settings.device, settings.precision), settings
    )


def compiled(settings: "Settings") -> Work:
    """The same with a compiled network."""
    keep_freed_memory()
    model = UniStyle.from_pretrained(settings.checkpoint, settings.device, settings.precision)
    model.compile()
    return through_runner(model, settings)


def through_runner(model: UniStyle, settings: "Settings") -> Work:
    """Photos through the runner, each written to OUT/FOLDER/STEM.png."""
    options = Options(batch_size=1 if model.device.type == "cpu" else BATCH)
    plan = model.plan(STYLE)

    def work(paths: list[Path]) -> None:
        jobs = [Job(path, settings.out / path.parent.name / f"{path.stem}.png") for path in paths]
        runner = Runner(model, plan, options, Manifest(settings.out), {})
        runner.run(jobs)
        assert runner.counts.written == len(paths), runner.counts

    return work


def loop(save: Callable[[Image.Image, Path], None], settings: "Settings") -> Work:
    """One photo after the other through `UniStyle.restyle`, as a user would write it."""
    model = UniStyle.from_pretrained(settings.checkpoint, settings.device, settings.precision)
    plan = model.plan(STYLE)

    def work(paths: list[Path]) -> None:
        for path in paths:
            save(model.restyle(path, plan).image, place(settings, path))

    return work


def place(settings: "Settings", path: Path) -> Path:
    """Where a loop writes the result of a photo."""
    return settings.out / f"{path.parent.name}-{path.stem}.png"


def two_networks(settings: "Settings") -> Work:
    """Two networks in a row, one photo after the other. Their style is noise: time does not depend on it."""
    device = torch.device(settings.device)
    network = TwoNetworks().eval().to(device, memory_format=torch.channels_last)
    with torch.inference_mode():
        style = network.encode_style(torch.rand(1, 3, 384, 512).to(device))

    @torch.inference_mode()
    def work(paths: list[Path]) -> None:
        for path in paths:
            photo = to_tensor(read_image(path))[None].to(device, memory_format=torch.channels_last)
            to_pil(network(photo, *style)[0]).save(place(settings, path))

    return work


SIDES: dict[str, Callable[["Settings"], Work]] = {
    "unistyle infer": infer,
    "compiled": compiled,
    "plain loop": lambda settings: loop(lambda image, path: image.save(path), settings),
    "plain loop, fast PNG": lambda settings: loop(save_png, settings),
    "two networks": two_networks,
}


@dataclass
class Settings:
    """Time one program on photos, whose paths come in on standard input. `python -m benchmarks.folder` starts this.

    find photos -name '*.jpg' | python -m benchmarks.folder.sides 'plain loop' --out out
    """

    side: str = argument(positional=True, choices=list(SIDES))
    """The program."""
    out: Path = argument(metavar="FOLDER")
    """Where results are written."""
    warm_up: int = argument(8, type=whole_number(0))
    """Photos before the clock starts."""
    checkpoint: str = argument(default_checkpoint(), metavar="PATH")
    """File, folder or hub id."""
    device: str = "cpu"
    """cpu, cuda, cuda:1, mps."""
    precision: str = argument("fp32", choices=PRECISIONS)
    """What the networks compute in."""


def timed(work: Work, paths: list[Path], warm_up: int) -> dict[str, float]:
    """Milliseconds for each photo, cores used, and peak of memory in MiB."""
    work(paths[:warm_up])
    rest, before, start = paths[warm_up:], os.times(), time.perf_counter()
    work(rest)
    seconds, after = time.perf_counter() - start, os.times()
    cpu = (after.user + after.system - before.user - before.system) / seconds
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return dict(each=seconds / len(rest) * 1e3, cpu=cpu, peak=peak)


def measure(settings: Settings) -> None:
    paths = [Path(line) for line in sys.stdin.read().splitlines()]
    settings.out.mkdir(parents=True, exist_ok=True)
    print(json.dumps(timed(SIDES[settings.side](settings), paths, settings.warm_up)))


def main(argv: list[str] | None = None) -> int:
    return run(NAME, lambda: measure(read(parser_of(NAME, Settings), Settings, argv)))


if __name__ == "__main__":
    sys.exit(main())
