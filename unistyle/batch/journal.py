"""What is said and recorded while a run works: counts, a progress bar, failures, one record per photo."""

import errno
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tqdm import tqdm

from unistyle.batch.jobs import Job
from unistyle.batch.manifest import Manifest, record
from unistyle.errors import ImageError, OutputError
from unistyle.files.places import Place

# Errors of a folder, not of a photo: every further photo would meet them, and its work be lost.
FATAL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}


@dataclass
class Counts:
    """Photos by what became of them in this run."""

    written: int = 0
    failed: int = 0
    unchanged: int = 0
    """Of those that were written, the ones in which nothing was restyled."""

    def __str__(self) -> str:
        return f"{self.written} written, {self.failed} failed"


class Journal:
    """Notes what became of each photo or video. Any thread may call it."""

    def __init__(self, manifest: Manifest, settings: dict, counts: Counts):
        """settings: what decides the results, for each record. counts: are kept up to date."""
        self.manifest, self.settings, self.counts = manifest, settings, counts
        self._lock, self._bar = threading.Lock(), tqdm(disable=True)

    @contextmanager
    def progress(self, total: int, name: str) -> Iterator[None]:
        """Show a bar that advances with every photo that is noted."""
        with progress_bar(total, "photo", name, smoothing=0.05) as self._bar:
            yield

    def note(
        self,
        job: Job,
        status: str,
        reason: str | None = None,
        seconds: float = 0.0,
        found: dict | None = None,
        more: dict | None = None,
    ) -> None:
        """Count a photo and record it; say the reason of one that failed.

        status: written or failed. seconds: what was spent on it. found: its materials and styles, as the manifest's
        `record` takes them. more: further entries of its record. Raises OutputError where the manifest cannot be
        written.
        """
        with self._lock:
            setattr(self.counts, status, getattr(self.counts, status) + 1)
            self.counts.unchanged += found is not None and not found.get("styles")
            if status == "failed":
                tqdm.write(f"failed: {reason}", file=sys.stderr)
                self._bar.set_postfix(failed=self.counts.failed, refresh=False)
            self._bar.update()
        with self._or_stop():
            self.manifest.add(
                record(job, self.manifest.out, status, reason, seconds, self.settings, **found or {})
                | (more or {})
            )

    def close(self) -> None:
        """Write the records that wait. Raises OutputError where they cannot be written."""
        with self._or_stop():
            self.manifest.close()

    @contextmanager
    def _or_stop(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            message = f"cannot write {self.manifest.path}: {error.strerror or error}"
            raise OutputError(message) from error


def progress_bar(total: int | None, unit: str, name: str, smoothing: float = 0.3) -> tqdm:
    """A bar on the error stream. In a log file one line per minute is enough."""
    often = 0.1 if sys.stderr.isatty() else 60
    return tqdm(total=total, unit=unit, desc=name, mininterval=often, maxinterval=often, smoothing=smoothing)


def reason(job: Job, error: Exception) -> str:
    """Why a job failed, in words that name its file."""
    text = str(error) if isinstance(error, ImageError) else f"{type(error).__name__}: {error}"
    return text if str(job.source) in text else f"{job.source}: {text}"


def stop_if_fatal(error: Exception, output: Place) -> None:
    """Raises OutputError for an error in writing a file that every further file would meet as well."""
    if isinstance(error, OSError) and error.errno in FATAL:
        raise OutputError(f"cannot write to {output.parent}: {error.strerror}") from error
