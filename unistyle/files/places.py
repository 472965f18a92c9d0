"""Where photos come from and results go: paths of this machine, or addresses of fsspec such as s3://bucket/photos."""

import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import cache
from pathlib import Path

from fsspec.implementations.local import LocalFileSystem
from upath import UPath

from unistyle.files.atomic import atomic
from unistyle.files.folders import passed_by, there, walk

Place = Path | UPath
LEFTOVER = re.compile(r"\.[0-9a-f]{32}\.tmp")  # what `atomic` leaves behind when its process is killed
ABANDONED = 600  # seconds after which such a file is nobody's
# Where the file systems of fsspec say which content a file has, the surest first.
TIMES = ("ETag", "etag", "md5Hash", "content_md5", "blob_id", "mtime", "LastModified", "last_modified", "updated",
         "modified", "created")  # fmt: skip


def place(text: str | os.PathLike) -> Place:
    """The place that a user's text stands for, also where its name is stored in another form of the same signs
    (`there`). Raises ValueError for an empty text, and for an address whose file system is missing."""
    if text == "":
        raise ValueError(
            "an empty path stands for no file and no folder; give one (. is the folder that you are in)"
        )
    if not isinstance(text, str) or "://" not in text:
        return there(Path(text))
    try:
        found = UPath(text)
        # This opens the file system, which may need a package that is not installed. What is on this machine becomes
        # a plain path, so that its files are either complete or absent.
        return Path(found.path) if isinstance(found.fs, LocalFileSystem) else found
    except (ImportError, ValueError) as error:
        raise ValueError(f"{text}: {error}; wanted a path, or an address that fsspec can open") from error


def is_local(where: Place) -> bool:
    """Whether a place is a path of this machine."""
    return not isinstance(where, UPath)


def search(folder: Place) -> tuple[list[Place], list[str]]:
    """Files below a folder, sorted, and a message for each folder that could not be searched. Hidden files and
    folders are passed by, and so are folders of other programs."""
    if not isinstance(folder, UPath):
        return walk(folder)  # type: ignore[return-value]  # a list of paths is a list of places
    found = {
        folder.joinpath(name): about for name, about in sorted(_names(folder).items()) if not _hidden(name)
    }
    _listed.update({str(path): _stamp_of(about) for path, about in found.items()})
    return list(found), []


def _hidden(name: str) -> bool:
    return any(map(passed_by, filter(None, name.split("/"))))


def present(folder: Place) -> Callable[[Place], bool]:
    """A function that tells whether a file below a folder exists. Below an address, one listing answers for all
    files, because each single question would take as long as the listing."""
    if not isinstance(folder, UPath):
        return lambda path: os.path.exists(str(path))  # noqa: PTH110  (never raises, as Path.exists may)
    names = set(_names(folder)) if folder.exists() else set()
    return lambda path: relative(path, folder) in names


def _names(folder: UPath) -> dict[str, dict]:
    """The files of an address: path relative to it -> what the file system says of the file."""
    root = folder.path.rstrip("/") + "/"
    absolute = _absolute(root)
    found = folder.fs.find(folder.path, detail=True)
    return {absolute(path).removeprefix(root): about for path, about in found.items()}


def _absolute(root: str):
    # Some file systems list with the leading slash that a path has, others without it.
    return lambda path: path if path.startswith("/") or not root.startswith("/") else f"/{path}"


def relative(path: Place, folder: Place) -> str:
    """The part of a path below a folder, with slashes. It is taken from the text, because a `Path` would take several
    times as long."""
    if isinstance(path, UPath) and isinstance(folder, UPath):
        return path.path.removeprefix(folder.path.rstrip("/") + "/")
    text, above = str(path), str(folder)
    below = text if above == "." else text.removeprefix(above.rstrip(os.sep) + os.sep)
    return below.replace(os.sep, "/")


_real = cache(os.path.realpath)  # of folders, which may hold a million photos
_listed: dict[
    str, dict[str, object]
] = {}  # stamps of files at addresses, so that nobody asks for each by itself


def forget() -> None:
    """Forget where links lead and which stamps files have. Every run begins with it."""
    _real.cache_clear()
    _listed.clear()


def identity(path: Place) -> str:
    """The one name of a file or folder, behind all links. Folders are looked up once until `forget` is called.

    Links that are folders are resolved once for each folder, so that a file takes 3.0 us; its own `realpath` takes
    9.8 us (20,000 files in one folder). `os.stat` takes 2.5 us, but it takes hard links for one file, which they are
    not for a writer that renames, and it does not know files that are still to be written.
    """
    text = str(path)
    if is_local(path) and (os.path.islink(text) or text[-1] in "./"):  # noqa: PTH114 (a million times)
        return _real(text)
    return named(path)


def named(path: Place) -> str:
    """The one name of a file, however its folder was typed. A link that is a file keeps its own name."""
    return f"{folder_of(path)}/{str(path).rstrip('/').rpartition('/')[2]}"


def folder_of(path: Place) -> str:
    """The one name of the folder of a file. Cut off the text: 0.1 us, and 1.1 us with `Path.parent`."""
    folder = str(path).rstrip("/").rpartition("/")[0]
    return _real(folder or path.anchor) if is_local(path) else folder


def stamp(path: Place) -> dict[str, object] | None:
    """What tells one content of a file from another without reading it: its size in bytes and the time of its last
    change, of addresses what their file system says in place of a time. None where there is no such file."""
    if _listed and (listed := _listed.get(str(path))):
        return listed
    try:
        if not isinstance(path, UPath):
            about = os.stat(path)  # noqa: PTH116  (half of the time that `Path.stat` takes)
            return {"size": about.st_size, "time": about.st_mtime_ns}
        return _stamp_of(path.fs.info(path.path))
    except Exception:  # file systems have errors of their own
        return None


def _stamp_of(info: dict) -> dict[str, object]:
    time = next((info[name] for name in TIMES if info.get(name) is not None), None)
    if isinstance(time, datetime):  # of some in a listing, and as a number for a single file
        time = time.timestamp()
    if isinstance(time, float):
        time = round(time, 3)
    return {"size": info.get("size"), "time": None if time is None else str(time)}


def write_whole(where: Place, data: bytes) -> None:
    """Write a file that is either complete or absent: on this machine by a rename, elsewhere by one upload, which
    object stores show only when it is complete."""
    if not isinstance(where, UPath):
        with atomic(where) as temporary:
            temporary.write_bytes(data)
        return
    try:
        where.parent.mkdir(parents=True, exist_ok=True)
        where.fs.pipe_file(where.path, data)
    except OSError:
        raise
    except Exception as error:  # file systems have errors of their own
        raise OSError(f"{where}: {type(error).__name__}: {error}") from error


def remove_leftovers(folder: Place) -> None:
    """Remove the temporary files of killed runs."""
    if isinstance(folder, UPath):
        return
    for root, _, names in os.walk(folder):
        for name in filter(LEFTOVER.fullmatch, names):
            path = Path(root, name)
            with suppress(FileNotFoundError):  # another run has just removed or renamed it
                if time.time() - path.stat().st_mtime > ABANDONED:
                    path.unlink()
