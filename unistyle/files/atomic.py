"""Files that are either complete or absent."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path`, renamed to it when the block ends well and removed when it does not.

    An interrupted run leaves the old file or none, never half of one. Missing folders are made.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Hidden, so that a search for images passes it by, and short, because names have a limit of 255 bytes.
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def kept(
    path: Path, make: Callable[[], T], write: Callable[[T, Path], object], read: Callable[[Path], T]
) -> T:
    """What `read` finds in the file `path`, where it exists; otherwise what `make` gives, which `write` writes there.

    Whoever names the file by a digest of everything that decides its content never makes the same thing twice, and
    several processes may share the folder.
    """
    if path.is_file():
        return read(path)
    made = make()
    with atomic(path) as temporary:
        write(made, temporary)
    return made
