"""The loop over many photos: decode, network and encode at the same time, in bounded memory."""

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice

import torch
from PIL import Image
from tqdm import tqdm

from unistyle.batch.budget import Budget
from unistyle.batch.jobs import Job, Options
from unistyle.batch.journal import FATAL, Counts
from unistyle.batch.manifest import Manifest, record
from unistyle.devices import cores
from unistyle.errors import ImageError, OutputError
from unistyle.files.photos import Photo, read_mask, read_photo
from unistyle.files.places import Place, is_local, write_whole
from unistyle.files.writing import encode_image
from unistyle.restyle.pipeline import Result, UniStyle
from unistyle.restyle.plan import Plan

# Pixels of the photos in memory at a time, at some 20 bytes each; a larger photo goes alone.
IN_FLIGHT = 48_000_000
SAME = 2  # seconds in which another signal is the same one: a launcher passes on what the terminal has sent already


@dataclass
class Item:
    """A photo in memory; pixels: what it has of the budget; seconds: what was spent on it so far."""

    job: Job
    photo: Photo
    mask: Image.Image | None
    pixels: int
    seconds: float


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
    settings: dict
    counts: Counts = field(default_factory=Counts)

    def __post_init__(self):
        self.on_cpu = self.model.device.type == "cpu"
        self.budget = Budget(IN_FLIGHT)
        # One pass a core; on an accelerator one that computes and one that loads or unloads.
        self.slots = threading.Semaphore(cores() if self.on_cpu else 2)
        self.stop = threading.Event()
        self._lock, self._error = threading.Lock(), None

    def run(self, jobs: list[Job], name: str = "photos") -> None:
        """Work through the jobs. Raises OutputError, and KeyboardInterrupt once the photos in work are finished."""
        remote = any(not is_local(job.source) for job in jobs[:1])
        # More than compute, and most where reading waits.
        count = min(len(jobs), cores() + (8 if remote else 1))
        self._jobs = iter(jobs)
        with self._bar(len(jobs), name) as self.progress:
            threads = [threading.Thread(target=self._work, daemon=True) for _ in range(count)]
            for thread in threads:
                thread.start()
            self._wait(threads)
        with self._or_stop(self.manifest.path):
            self.manifest.close()
        if isinstance(self._error, OutputError | KeyboardInterrupt):
            raise self._error
        if self._error is not None:  # of a kind that no photo accounts for, so not one for a user to repair
            raise RuntimeError(
                "an error in UniStyle itself; please report it with what is above"
            ) from self._error

    def _bar(self, total: int, name: str) -> tqdm:
        # In a log file a line a minute is enough.
        often = 0.1 if sys.stderr.isatty() else 60
        return tqdm(
            total=total, unit="photo", desc=name, mininterval=often, maxinterval=often, smoothing=0.05
        )

    def _wait(self, threads: list[threading.Thread]) -> None:
        try:
            for thread in threads:
                while thread.is_alive():  # a wait without an end would not hear Ctrl-C
                    thread.join(0.1)
        except KeyboardInterrupt as interrupt:
            self.stop.set()
            self._error = interrupt
            tqdm.write("stopping: the photos in work are finished first", file=sys.stderr)
            self._finish(threads, until=time.monotonic() + SAME)

    def _finish(self, threads: list[threading.Thread], until: float) -> None:
        """Wait for the photos in work; an interrupt after `until` is one more, and ends the wait."""
        while any(thread.is_alive() for thread in threads):
            try:
                time.sleep(0.05)
            except KeyboardInterrupt:
                if time.monotonic() > until:
                    raise

    def _work(self) -> None:
        if self.on_cpu:
            torch.set_num_threads(1)  # of this thread
        try:
            while jobs := self._next():
                self._process(jobs)
        except BaseException as error:
            self.stop.set()
            self._error = self._error or error

    def _next(self) -> list[Job]:
        with self._lock:
            if self.stop.is_set():
                return []
            return list(islice(self._jobs, self.options.batch_size))

    def _process(self, jobs: list[Job]) -> None:
        """Photos of one size in one pass. What waits is worked off before this thread waits for memory itself."""
        waiting: dict[tuple[int, int], list[Item]] = {}

        def make_room(size: tuple[int, int]) -> None:
            if not self.budget.take(size[0] * size[1], wait=False):
                self._restyle_all(waiting)
                self.budget.take(size[0] * size[1], wait=True)

        try:
            for job in jobs:
                if (item := self._load(job, make_room)) is not None:
                    waiting.setdefault(item.photo.size, []).append(item)
            self._restyle_all(waiting)
        finally:  # others may wait for what is left after an error
            self._give_back(item for items in waiting.values() for item in items)

    def _give_back(self, items: Iterable[Item]) -> None:
        for item in items:
            self.budget.give(item.pixels)

    def _load(self, job: Job, make_room: Callable[[tuple[int, int]], None]) -> Item | None:
        start, pixels, trouble = time.perf_counter(), 0, None

        def admit(size: tuple[int, int]) -> None:
            nonlocal pixels, trouble
            try:
                make_room(size)
                pixels = size[0] * size[1]
            except Exception as error:  # of the photos before this one, and no fault of its file
                trouble = error
                raise

        try:
            if self.options.masked and not job.mask:
                raise ImageError(f"{job.source}: no mask {job.source.stem}.* among the masks")
            photo = read_photo(job.source, admit)
            mask = read_mask(job.mask) if job.mask else None
            return Item(job, photo, mask, pixels, time.perf_counter() - start)
        except Exception as error:
            self.budget.give(pixels)
            if trouble or not isinstance(error, ImageError):
                raise trouble or error from None
            self._record(job, "failed", reason=str(error), seconds=time.perf_counter() - start)
            return None

    def _restyle_all(self, waiting: dict[tuple[int, int], list[Item]]) -> None:
        while waiting:
            _, items = waiting.popitem()
            try:
                self._restyle(items)
            finally:
                self._give_back(items)

    def _restyle(self, batch: list[Item]) -> None:
        start, o = time.perf_counter(), self.options
        masks = [item.mask for item in batch] if o.masked else None
        try:
            with self.slots:
                results = self.model.restyle_batch(
                    [item.photo for item in batch], self.plan, masks, o.strength, o.color, o.max_size
                )
        except (ValueError, RuntimeError, MemoryError) as error:
            self._after(batch, error)
            return
        each = (time.perf_counter() - start) / len(batch)
        for item, result in zip(batch, results, strict=True):
            self._write(item, result, each)

    def _after(self, batch: list[Item], error: Exception) -> None:
        """One bad photo does not take the others with it."""
        if len(batch) > 1:
            for item in batch:
                self._restyle([item])
            return
        reason = str(error) if isinstance(error, ImageError) else f"{type(error).__name__}: {error}"
        reason = reason if str(batch[0].job.source) in reason else f"{batch[0].job.source}: {reason}"
        self._record(batch[0].job, "failed", reason=reason, seconds=batch[0].seconds)

    def _write(self, item: Item, result: Result, each: float) -> None:
        start, job = time.perf_counter(), item.job
        images = {job.output: (result.image, self.options.format), job.mask_output: (result.mask, "png")}
        try:
            for path in self.options.missing(job):
                write_whole(path, encode_image(*images[path]))
        except (OSError, ImageError) as error:
            self._record(job, "failed", reason=f"cannot write: {error}", seconds=item.seconds + each)
            if isinstance(error, OSError) and error.errno in FATAL:
                raise OutputError(f"cannot write to {path.parent}: {error.strerror}") from error
            return
        found = {name: round(share, 4) for name, share in result.materials.items()}
        seconds = item.seconds + each + time.perf_counter() - start
        self._record(job, "written", materials=found, styles=result.styles, seconds=seconds)

    def _record(
        self, job: Job, status: str, reason: str | None = None, seconds: float = 0.0, **found
    ) -> None:
        with self._lock:
            setattr(self.counts, status, getattr(self.counts, status) + 1)
            if status == "failed":
                tqdm.write(f"failed: {reason}", file=sys.stderr)
                self.progress.set_postfix(failed=self.counts.failed, refresh=False)
            self.progress.update()
        with self._or_stop(self.manifest.path):
            self.manifest.add(record(job, status, reason, seconds, self.settings, **found))

    @contextmanager
    def _or_stop(self, path: Place) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
