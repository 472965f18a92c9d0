"""A file that begins with other bytes, and goes on after its end."""

import io
from collections.abc import Callable
from typing import BinaryIO


class Redirected(io.RawIOBase):
    """Reads like `file`, but for its first bytes, which are `head`, and for what follows its end: `tail`, and then
    `size` bytes which `make` gives when they are read for the first time."""

    def __init__(
        self,
        file: BinaryIO,
        head: bytes,
        tail: bytes,
        size: int = 0,
        make: Callable[[], memoryview] | None = None,
    ):
        self.file, self.head, self.tail, self.make = file, head, tail, make
        self.end = file.seek(0, io.SEEK_END)
        self.size = self.end + len(tail) + size
        self.place, self.made = 0, memoryview(b"")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.place, io.SEEK_END: self.size}[whence]
        return self.place

    def readinto(self, buffer) -> int:
        """As much as lies in one of the parts; 0 at the end."""
        data = self._read(len(buffer))
        buffer[: len(data)] = data
        self.place += len(data)
        return len(data)

    def _read(self, count: int) -> bytes | memoryview:
        place = self.place
        if place < len(self.head):
            return self.head[place : place + count]
        if place < self.end:
            self.file.seek(place)
            return self.file.read(min(count, self.end - place))
        if (place := place - self.end) < len(self.tail):
            return self.tail[place : place + count]
        if self.make is not None and not self.made and self.place < self.size:
            self.made = self.make()
        place -= len(self.tail)
        return self.made[place : place + count]
