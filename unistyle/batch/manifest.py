"""The record of what was done: `manifest.jsonl` of an output folder, with one line per photo."""

import json
import re
import threading
import time
from collections.abc import Iterable

from upath import UPath

from unistyle.batch.jobs import Job
from unistyle.files.places import Place, is_local, write_whole

NAME = "manifest.jsonl"
PART = re.compile(r"manifest\.(\d+(?:-\d+)?)\.jsonl")
SECONDS = 10  # between writes where files cannot be appended to


class Manifest:
    """The newest record of each photo, by the file that it becomes.

    Records are appended as photos are done, so that a run that is killed keeps them. Where several processes share a
    run, the first appends to the manifest and each of the others appends to its own part; `merge` brings them
    together. Object stores cannot append, so each process writes a new part there every few seconds.
    """

    def __init__(self, out: Place, process: int = 0):
        self.out, self.process = out, process
        self.path = out / NAME
        self._lock, self._parts, self._written = threading.Lock(), 0, time.monotonic()
        self._waiting: list[str] = []
        self._torn = False  # a full disk may take half a line

    def read(self) -> dict[str, str]:
        """One line for each photo, by `key`; what is no record, such as half a line, is dropped."""
        lines = {}
        for path in [self.path, *self._left()]:
            text = path.read_bytes().decode(errors="replace") if path.exists() else ""
            for line in text.split("\n"):
                try:
                    lines[key(json.loads(line))] = line
                except (ValueError, KeyError, TypeError):
                    continue
        return lines

    def write(self, lines: Iterable[str]) -> None:
        """Replace the manifest and all parts."""
        write_whole(self.path, "".join(f"{line}\n" for line in lines).encode())
        for path in self._left():
            path.unlink()

    def merge(self) -> None:
        """One manifest out of the parts of all processes, with one record of a photo that was done anew."""
        self.write(self.read().values())

    def add(self, record: dict) -> None:
        """Append a record. Raises OSError; what was written before stays readable. Any thread may call it."""
        with self._lock:
            if is_local(self.path):
                path = self.path if self.process == 0 else self._part(self.process)
                path.parent.mkdir(parents=True, exist_ok=True)
                data = "\n" * self._torn + f"{line(record)}\n"
                self._torn = True
                with path.open("ab") as file:
                    file.write(data.encode())
                self._torn = False
            else:
                self._waiting.append(line(record))
                if time.monotonic() - self._written > SECONDS:
                    self._flush()

    def close(self) -> None:
        """Write the records that wait for the next part. Raises OSError."""
        with self._lock:
            if self._waiting:
                self._flush()

    def _flush(self) -> None:
        self._parts += 1
        data = "".join(f"{each}\n" for each in self._waiting).encode()
        write_whole(self._part(f"{self.process}-{self._parts}"), data)
        self._waiting, self._written = [], time.monotonic()

    def _part(self, name: int | str) -> Place:
        return self.out / f"manifest.{name}.jsonl"

    def _left(self) -> list[Place]:
        """Parts, the oldest first."""
        if isinstance(self.out, UPath):
            self.out.fs.invalidate_cache()  # which does not know what other processes have written
        found = self.out.glob("manifest.*.jsonl") if self.out.exists() else ()
        parts = [(match, path) for path in found if (match := PART.fullmatch(path.name))]
        return [path for _, path in sorted(parts, key=lambda part: [int(n) for n in part[0][1].split("-")])]


def key(record: dict) -> str:
    """What a record is about: the file that is written, or what was read where nothing could be."""
    return record["output"] or record["input"]


def line(record: dict) -> str:
    """A record as one line of JSON."""
    text = json.dumps(record, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # a file name of bytes that are no text
        return json.dumps(record)
    return text


def differences(record: dict, settings: dict) -> dict[str, tuple]:
    """Settings that a result was made with and that are others now: name -> (then, now)."""
    then = record.get("settings") or {}
    return {name: (then[name], now) for name, now in settings.items() if name in then and then[name] != now}


def record(
    job: Job,
    status: str,
    reason: str | None = None,
    seconds: float = 0.0,
    settings: dict | None = None,
    materials: dict | None = None,
    styles: dict | None = None,
) -> dict:
    """What the manifest says about one photo. seconds: what was spent on it."""
    about = dict(input=str(job.source), output=str(job.output), status=status, reason=reason)
    found = dict(materials=materials or {}, styles=styles or {}, seconds=round(seconds, 3))
    return about | found | dict(settings=settings or {})
