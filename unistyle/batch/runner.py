"""The loop over many photos: decode, network and encode at the same time, in bounded memory."""

import threading
import time
from dataclasses import dataclass, field, replace
from itertools import islice

import torch

from unistyle.batch.budget import Budget
from unistyle.batch.jobs import Job, Options
from unistyle.batch.journal import Counts, Journal, reason, stop_if_fatal
from unistyle.batch.loading import Item, Waiting, load
from unistyle.batch.manifest import Manifest, inputs_of
from unistyle.batch.workers import Workers
from unistyle.devices import cores
from unistyle.errors import ImageError, OutputError
from unistyle.files.places import is_local, write_whole
from unistyle.files.writing import encode_image
from unistyle.restyle.pipeline import UniStyle
from unistyle.restyle.plan import Plan
from unistyle.restyle.result import Result

# Pixels of the photos in memory at a time, at some 20 bytes each; a larger photo goes alone.
IN_FLIGHT = 48_000_000


@dataclass
class Runner:
    """Threads that each take photos, decode, restyle, encode and write them, and record what became of them.

    On a CPU each thread's network stays on one core: several photos at a time use the cores better than several
    cores one photo, the other stages overlap by themselves, and the results do not depend on the number of cores.
    """

    model: UniStyle
    plan: Plan
    options: Options
    manifest: Manifest
    """The record of the output folder."""
    settings: dict
    """What decides the results, for each record."""
    counts: Counts = field(default_factory=Counts)
    """What became of the photos so far."""
    budget: Budget = field(default_factory=lambda: Budget(IN_FLIGHT))
    """The memory that the threads share."""

    def __post_init__(self):
        self.on_cpu = self.model.device.type == "cpu"
        self.journal = Journal(self.manifest, self.settings, self.counts)
        # One pass per core; on an accelerator one that computes and one that loads or unloads.
        self.slots = threading.Semaphore(cores() if self.on_cpu else 2)

    def run(self, jobs: list[Job], name: str = "photos") -> None:
        """Work through the jobs. Raises OutputError, and KeyboardInterrupt once the photos in work are finished."""
        remote = any(not is_local(job.source) for job in jobs[:1])
        # More than compute, and most where reading waits.
        count = min(len(jobs), cores() + (8 if remote else 1))
        left = iter(jobs)
        batches = iter(lambda: list(islice(left, self.options.batch_size)), [])
        with self.journal.progress(len(jobs), name):
            stopped = Workers(count, self._process, self._begin).run(batches)
        self.journal.close()
        if isinstance(stopped, OutputError | KeyboardInterrupt):
            raise stopped
        if stopped is not None:  # of a kind that no photo accounts for, so not one for a user to repair
            raise RuntimeError(
                "an error in UniStyle itself; please report it with what is above"
            ) from stopped

    def _begin(self) -> None:
        if self.on_cpu:
            torch.set_num_threads(1)  # of this thread

    def _process(self, jobs: list[Job]) -> None:
        """Photos of one size go in one pass."""
        with Waiting(self.budget, self._restyle) as waiting:
            for given in jobs:
                start, job = time.perf_counter(), replace(given, read=inputs_of(given))
                try:
                    waiting.add(load(job, self.options.masked, waiting.take, self.budget.give))
                except ImageError as error:
                    self.journal.note(job, "failed", str(error), time.perf_counter() - start)
            waiting.work_off()

    def _restyle(self, batch: list[Item]) -> None:
        start, o = time.perf_counter(), self.options
        photos = [item.photo for item in batch]
        masks = [item.mask for item in batch if item.mask] or None  # of all, or of none
        try:
            with self.slots:
                results = self.model.restyle_batch(photos, self.plan, masks, **o.look)
        except (ValueError, RuntimeError, MemoryError) as error:
            self._after(batch, error)
            return
        each = (time.perf_counter() - start) / len(batch)
        for item, result in zip(batch, results, strict=True):
            self._write(item, result, item.seconds + each)

    def _after(self, batch: list[Item], error: Exception) -> None:
        """One bad photo does not take the others with it."""
        if len(batch) > 1:
            for item in batch:
                self._restyle([item])
            return
        (item,) = batch
        self.journal.note(item.job, "failed", reason(item.job, error), item.seconds)

    def _write(self, item: Item, result: Result, seconds: float) -> None:
        """seconds: what was spent on the photo so far."""
        start, job = time.perf_counter(), item.job
        images = {job.output: (result.image, self.options.format), job.mask_output: (result.mask, "png")}
        try:
            for path in self.options.missing(job):
                write_whole(path, encode_image(*images[path]))
        except (OSError, ImageError) as error:
            self.journal.note(job, "failed", f"cannot write: {error}", seconds)
            stop_if_fatal(error, path)
            return
        materials = {name: round(share, 4) for name, share in result.materials.items()}
        found = dict(materials=materials, styles=result.styles)
        self.journal.note(job, "written", None, seconds + time.perf_counter() - start, found)
