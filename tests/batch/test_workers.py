"""Threads that share the pieces of some work, and what they note."""

import errno
import threading

import pytest

from unistyle.batch.jobs import Job
from unistyle.batch.journal import Counts, Journal, reason, stop_if_fatal
from unistyle.batch.manifest import Manifest
from unistyle.batch.workers import Workers
from unistyle.errors import ImageError, OutputError


def test_each_piece_is_worked_on_once_and_each_thread_begins():
    done, begun, together = [], [], threading.Barrier(3)

    def begin() -> None:
        begun.append(threading.get_ident())
        together.wait(60)

    assert Workers(3, done.append, begin).run(range(100)) is None
    assert sorted(done) == list(range(100))
    assert len(begun) == 3


def test_the_first_error_ends_the_work_and_is_returned():
    done = []

    def work(piece: int) -> None:
        if piece == 5:
            raise KeyError(piece)
        done.append(piece)

    stopped = Workers(1, work).run(range(100))
    assert isinstance(stopped, KeyError)
    assert done == [0, 1, 2, 3, 4]


@pytest.fixture
def job(tmp_path) -> Job:
    return Job(tmp_path / "a.png", tmp_path / "out" / "a.png")


def test_failures_are_counted_said_and_recorded(job, tmp_path, capsys):
    manifest = Manifest(tmp_path / "out")
    journal = Journal(manifest, {"strength": 1.0}, Counts())
    journal.note(job, "failed", "a.png: no photo")
    journal.note(job, "written", None, 0.5, dict(materials={"stone": 0.2}), dict(frames=3))
    journal.close()
    assert str(journal.counts) == "1 written, 1 failed"
    assert journal.counts.unchanged == 1, "nothing was restyled"
    assert capsys.readouterr().err == "failed: a.png: no photo\n"
    (line,) = manifest.read().values()  # the newest of the photo
    assert '"materials": {"stone": 0.2}, "styles": {}, "seconds": 0.5' in line
    assert '"frames": 3' in line


def test_a_manifest_that_cannot_be_written_stops_the_run(job, tmp_path):
    (tmp_path / "out").write_text("a file where the folder should be")
    with pytest.raises(OutputError, match=r"cannot write .*manifest\.jsonl"):
        Journal(Manifest(tmp_path / "out"), {}, Counts()).note(job, "written")


def test_errors_name_the_file_and_those_of_the_folder_are_told_from_others(job):
    assert reason(job, ImageError(f"{job.source}: damaged")) == f"{job.source}: damaged"
    assert reason(job, KeyError("a bug")) == f"{job.source}: KeyError: 'a bug'"
    stop_if_fatal(OSError(errno.EACCES, "Permission denied"), job.output)
    with pytest.raises(OutputError, match=r"cannot write to .*out: No space left"):
        stop_if_fatal(OSError(errno.ENOSPC, "No space left"), job.output)
