"""The record of what was done: `manifest.jsonl` of an output folder, with one line per photo."""

import json
import os
import re
import threading
import time
from collections.abc import Iterable
from pathlib import PurePath

from upath import UPath

from unistyle.batch.jobs import Job
from unistyle.files.places import Place, is_local, named, relative, stamp, write_whole
from unistyle.styles.mixing import split_mix

NAME = "manifest.jsonl"
PART = re.compile(r"manifest\.(\d+(?:-\d+)?)\.jsonl")
SECONDS = 10  # between writes where files cannot be appended to


class Manifest:
    """The newest record of each photo, by the file that it becomes: by its name in the output folder, so that it is
    the same however the folder is typed, and wherever it is moved.

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
                    lines[key(json.loads(line), self.out)] = line
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

    def finish(self, problems: Iterable[str]) -> None:
        """Bring the records of all processes together, with those of the folders that could not be searched."""
        for problem in problems:
            folder = problem.partition(": cannot")[0]
            self.add(dict(input=folder, name=None, output=None, status="failed", reason=problem))
        self.close()
        self.merge()

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


def name_of(job: Job, out: Place) -> str:
    """The file that a job becomes, below the output folder, with slashes."""
    return relative(job.output, out)


def key(record: dict, out: Place) -> str:
    """What a record is about: the file that is written, below the output folder, or what was read where nothing could
    be."""
    if record.get("name"):
        return record["name"]
    return _below(record["output"], out) if record["output"] else record["input"]


def _below(output: str, out: Place) -> str:
    """The part of a file's path below the output folder, which was typed in another way or from another folder.
    Records of older versions have no other name."""
    if isinstance(out, UPath) or output.startswith(f"{out}/"):
        return output.removeprefix(f"{out}/")
    parts, above = PurePath(output).parts, PurePath(os.path.realpath(out)).parts
    length = next(n for n in range(len(parts) - 1, -1, -1) if n == 0 or parts[:n] == above[-n:])
    return "/".join(parts[length:])


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
    then = dict(record.get("settings") or {})
    if "mask" in then:  # as it was typed, in records of older versions
        then.setdefault("masked", bool(then["mask"]))
    found = {name: (then[name], now) for name, now in settings.items() if name in then and then[name] != now}
    if "weights" not in found and "styles" in found and then["styles"].keys() == settings["styles"].keys():
        del found["styles"]  # the same style by another name or path: what it is made of is among the weights
    return found


def styles_by_place(styles: dict[str, str]) -> dict[str, str]:
    """What becomes what, for records: style photos, also those in a mix, are named by where they are."""

    def named_style(text: str) -> str:
        if os.path.isfile(text):  # noqa: PTH113  (never raises)
            return os.path.realpath(text)
        parts = split_mix(text) if ":" in text else []
        if not any(os.path.isfile(part) for part, _ in parts):  # noqa: PTH113
            return text
        return ",".join(f"{named_style(part)}:{weight:.3g}" for part, weight in parts)

    return {material: named_style(style) for material, style in styles.items()}


def inputs_of(job: Job) -> dict[str, dict | None]:
    """What a job is made of, for its record: `photo` and `mask`, each with its place, however it was typed, and
    its `stamp`."""
    each = {"photo": job.source, "mask": job.mask}
    return {
        name: None if path is None else {"place": named(path), **(stamp(path) or {})}
        for name, path in each.items()
    }


def record(
    job: Job,
    out: Place,
    status: str,
    reason: str | None = None,
    seconds: float = 0.0,
    settings: dict | None = None,
    materials: dict | None = None,
    styles: dict | None = None,
) -> dict:
    """What the manifest of an output folder says about one photo. seconds: what was spent on it."""
    about = dict(
        input=str(job.source), name=name_of(job, out), output=str(job.output), status=status, reason=reason
    )
    found = dict(materials=materials or {}, styles=styles or {}, seconds=round(seconds, 3))
    return about | found | dict(read=job.read or inputs_of(job), settings=settings or {})
