"""Videos in, restyled videos out: one pass per frame, with a memory from frame to frame."""

import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from tqdm import tqdm
from upath import UPath

from unistyle.batch.jobs import Job, Options
from unistyle.batch.journal import Counts, Journal, progress_bar, reason, stop_if_fatal
from unistyle.batch.manifest import Manifest, inputs_of
from unistyle.errors import ImageError
from unistyle.files.atomic import atomic
from unistyle.files.masks import usable_mask
from unistyle.files.photos import Photo
from unistyle.files.places import Place, write_whole
from unistyle.restyle.passes import FOUND
from unistyle.restyle.pipeline import UniStyle
from unistyle.restyle.plan import Plan
from unistyle.restyle.result import Result
from unistyle.video.clips import Clip, Frame, Reader, Writer, av
from unistyle.video.memory import SMOOTHING, Memory


class Done(NamedTuple):
    """A video that is written."""

    frames: int
    """The number of frames."""

    materials: dict[str, float]
    """Material -> its share of the frame in [0, 1], the mean over all frames."""

    styles: dict[str, str]
    """Material -> the style that was used, as in `Result`."""

    remarks: list[str]
    """In words, what was not kept as it was."""


@dataclass
class Videos:
    """The videos of a run, one after the other, and the record of what became of them."""

    model: UniStyle
    plan: Plan
    options: Options
    manifest: Manifest
    """The record of the output folder."""
    settings: dict
    """What decides the results, for each record."""
    smoothing: float = SMOOTHING
    """As in `Memory`."""

    counts: Counts = field(default_factory=Counts)
    """What became of the videos so far."""

    def __post_init__(self):
        self.journal = Journal(self.manifest, self.settings, self.counts)

    def run(self, jobs: Sequence[Job]) -> None:
        """Work through the jobs. Raises OutputError, and KeyboardInterrupt at once: of the video in work no file is
        left, and the same command begins it anew."""
        for given in jobs:
            start, job = time.perf_counter(), replace(given, read=inputs_of(given))
            try:
                done = self.restyle(job)
            except Exception as error:  # one bad video does not take the others with it
                stop_if_fatal(error, job.output)
                seconds = time.perf_counter() - start
                self.journal.note(job, "failed", _reason(job, error), seconds, more=dict(frames=0))
                continue
            for remark in done.remarks:
                tqdm.write(f"{job.source}: {remark}", file=sys.stderr)
            found, more = dict(materials=done.materials, styles=done.styles), dict(frames=done.frames)
            self.journal.note(job, "written", None, time.perf_counter() - start, found, more)
        self.journal.close()

    def restyle(self, job: Job) -> Done:
        """Write the files of a job that are missing. Raises ImageError for a video or a mask that is not usable."""
        if self.options.masked and not job.mask:
            raise ImageError(f"{job.source}: no mask {job.source.stem}.* among the masks")
        mask = usable_mask(job.mask) if job.mask else None
        missing = self.options.missing(job)
        with ExitStack() as files:
            path = files.enter_context(_local(job.source))
            with Reader(path, job.source) as reader:
                clip = reader.clip()
            out = {place: files.enter_context(_new(place)) for place in missing}
            reader = files.enter_context(Reader(path, job.source))
            writers = {place: Writer(to, place.suffix, clip, reader, place == job.output)
                       for place, to in out.items()}  # fmt: skip
            with ExitStack() as open_files:
                for writer in writers.values():
                    open_files.enter_context(writer)
                done = self._frames(reader, clip, mask, writers.get(job.output), writers.get(job.mask_output))
        remarks = [*clip.remarks, *(remark for writer in writers.values() for remark in writer.remarks)]
        return done._replace(remarks=remarks)

    def _frames(
        self, reader: Reader, clip: Clip, mask: Image.Image | None, image: Writer | None, masks: Writer | None
    ) -> Done:
        memory, count = Memory(self.smoothing), 0
        shares: Counter[str] = Counter()
        styles: dict[str, str] = {}
        writers = [writer for writer in (image, masks) if writer]
        with progress_bar(clip.frames, "frame", reader.name.name) as progress:
            for part in reader.read(clip):
                if not isinstance(part, Frame):
                    for writer in writers:
                        writer.packet(part)
                    continue
                result = self._restyle(part, mask, memory)
                for writer in writers:
                    writer.frame(part._replace(rgb=_pixels(result.image if writer is image else result.mask)))
                shares.update(result.materials)
                styles |= result.styles
                count += 1
                progress.update()
        for writer in writers:
            writer.finish()
        means = {name: round(share / count, 4) for name, share in shares.items() if share / count >= FOUND}
        return Done(count, means, styles, [])

    def _restyle(self, frame: Frame, mask: Image.Image | None, memory: Memory) -> Result:
        o = self.options
        photo = Photo(Image.fromarray(frame.rgb))
        masks = None if mask is None else [mask]
        return self.model.restyle_batch([photo], self.plan, masks, **o.look, memory=memory)[0]


def _pixels(image: Image.Image) -> np.ndarray:
    """uint8 `h w 3` of an image in colour or grey."""
    return np.asarray(image.convert("RGB"))


def _reason(job: Job, error: Exception) -> str:
    if av and isinstance(error, av.FFmpegError):  # of a writer; a reader raises ImageError
        error = ImageError(f"cannot write {job.output}: {error.strerror or error}")
    return reason(job, error)


@contextmanager
def _local(source: Place) -> Iterator[Path]:
    """A file of this machine with what is at an address; decoders go back and forth in it."""
    if not isinstance(source, UPath):
        yield source
        return
    with tempfile.NamedTemporaryFile(suffix=source.suffix) as file:
        with source.open("rb") as remote:
            shutil.copyfileobj(remote, file)
        file.flush()
        yield Path(file.name)


@contextmanager
def _new(place: Place) -> Iterator[Path]:
    """A path to write to, which becomes the place when the block ends well."""
    if not isinstance(place, UPath):
        with atomic(place) as temporary:
            yield temporary
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, place.name)
        yield path
        write_whole(place, path.read_bytes())
