"""The directories of a TIFF file, in which it says what its pictures are (TIFF 6.0; BigTIFF by Adobe and others)."""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import BinaryIO

from unistyle.errors import ImageError

MOST = 64  # directories that are looked through for the full picture: files with previews have a few


class DamageError(ImageError):
    """A TIFF file that is cut off, or whose directories make no sense."""

    def __init__(self):
        super().__init__("cannot be read as an image: the TIFF file is cut off or damaged")


class Tag(IntEnum):
    """Numbers of the entries that are looked at."""

    NEW_SUBFILE_TYPE = 254
    SUBFILE_TYPE = 255
    WIDTH = 256
    LENGTH = 257
    BITS = 258
    COMPRESSION = 259
    PHOTOMETRIC = 262
    FILL_ORDER = 266
    STRIP_OFFSETS = 273
    ORIENTATION = 274
    SAMPLES = 277
    ROWS_PER_STRIP = 278
    STRIP_BYTES = 279
    PLANAR = 284
    PREDICTOR = 317
    TILE_WIDTH = 322
    TILE_LENGTH = 323
    TILE_OFFSETS = 324
    TILE_BYTES = 325
    SUB_DIRECTORIES = 330
    EXTRA_SAMPLES = 338
    SAMPLE_FORMAT = 339
    YCBCR_COEFFICIENTS = 529
    YCBCR_SUBSAMPLING = 530
    REFERENCE_BLACK_WHITE = 532
    XMP = 700
    EXIF = 34665
    ICC_PROFILE = 34675
    GPS = 34853
    DNG_VERSION = 50706


# Types of entries, and the letter of `struct` of those that are whole numbers.
SIZES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
RATIO = 5
NUMBERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}


@dataclass(frozen=True)
class Form:
    """What holds for the whole file: the order of its bytes, and whether its places have 8 bytes (BigTIFF) or 4."""

    order: str
    """As `struct` writes it: "<" or ">"."""
    big: bool

    @property
    def place(self) -> str:
        """The letter of `struct` for a place in the file."""
        return "Q" if self.big else "I"

    def header(self, first: int) -> bytes:
        """The start of a file whose first directory lies at `first`."""
        mark = b"II" if self.order == "<" else b"MM"
        if self.big:
            return mark + struct.pack(self.order + "HHHQ", 43, 8, 0, first)
        return mark + struct.pack(self.order + "HI", 42, first)

    def entry(self, value: int) -> tuple[int, int, bytes]:
        """An entry of one whole number: (type, count, its field)."""
        kind, letter = (3, "H") if value < 65536 else (16, "Q") if self.big else (4, "I")
        return kind, 1, struct.pack(self.order + letter, value).ljust(8 if self.big else 4, b"\0")

    def long_entry(self, values: Sequence[int], place: int) -> tuple[int, int, bytes]:
        """An entry of numbers of 4 bytes that lie at `place`, or, where it is one, in the entry itself."""
        field = struct.pack(self.order + "I", values[0]) if len(values) == 1 else b""
        return (
            4,
            len(values),
            (field or struct.pack(self.order + self.place, place)).ljust(8 if self.big else 4, b"\0"),
        )

    def directory(self, entries: Mapping[int, Sequence]) -> bytes:
        """A directory with these entries (type, count, field), and with none after it."""
        lines = [
            struct.pack(f"{self.order}HH{self.place}", tag, *entry[:2]) + entry[2]
            for tag, entry in sorted(entries.items())
        ]
        return b"".join(
            [
                struct.pack(self.order + "HQ"[self.big], len(entries)),
                *lines,
                struct.pack(self.order + self.place, 0),
            ]
        )


@dataclass
class Directory:
    """One directory: one picture of the file, or what else is listed like a picture."""

    file: BinaryIO
    form: Form
    entries: Mapping[int, Sequence]
    """By tag: the type, the count, and the field of bytes that holds the values or the place where they lie."""
    next: int
    """Where the next directory of the chain lies; 0 at its end."""

    def numbers(self, tag: Tag, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """The whole numbers of an entry. Raises DamageError where they are not whole, or lie beyond the file's end."""
        if tag not in self.entries:
            return default
        kind, count, data = self._entry(tag)
        if kind not in NUMBERS:
            raise DamageError()
        return struct.unpack(f"{self.form.order}{count}{NUMBERS[kind]}", data)

    def ratios(self, tag: Tag) -> tuple[float, ...]:
        """The fractions of an entry; none where there is none, or where it holds something else."""
        kind, count, data = self._entry(tag) if tag in self.entries else (0, 0, b"")
        if kind != RATIO:
            return ()
        numbers = struct.unpack(f"{self.form.order}{2 * count}I", data)
        return tuple(top / (bottom or 1) for top, bottom in zip(numbers[::2], numbers[1::2], strict=True))

    def _entry(self, tag: Tag) -> tuple[int, int, bytes]:
        """Type, count and bytes of an entry."""
        kind, count, field = self.entries[tag]
        size = SIZES.get(kind, 1) * count
        if size > len(field):
            place = struct.unpack(self.form.order + self.form.place, field)[0]
            field = read_at(self.file, place, size)
        return kind, count, field[:size]

    def number(self, tag: Tag, default: int = 0) -> int:
        """The first whole number of an entry."""
        return (self.numbers(tag) or (default,))[0]

    @property
    def full(self) -> bool:
        """Whether this is a picture of its own: neither a reduced copy of another one, nor its mask."""
        return not (self.number(Tag.NEW_SUBFILE_TYPE) & 5 or self.number(Tag.SUBFILE_TYPE) == 2)

    @property
    def area(self) -> int:
        """The number of pixels."""
        return self.number(Tag.WIDTH) * self.number(Tag.LENGTH)


def read_at(file: BinaryIO, place: int, size: int) -> bytes:
    """Bytes at a place in the file. Raises DamageError where there are fewer."""
    file.seek(0, 2)
    if place + size > file.tell():
        raise DamageError()
    file.seek(place)
    return file.read(size)


def first_place(start: bytes) -> tuple[Form, int] | None:
    """The form of a TIFF file that begins with these 16 bytes, and where its first directory lies; None for others."""
    order = {b"II": "<", b"MM": ">"}.get(start[:2])
    if order is None or len(start) < 16:
        return None
    if start[2:4] == struct.pack(order + "H", 42):
        return Form(order, big=False), *struct.unpack(order + "I", start[4:8])
    if start[2:8] == struct.pack(order + "HHH", 43, 8, 0):
        return Form(order, big=True), *struct.unpack(order + "Q", start[8:16])
    return None


def read_directory(file: BinaryIO, form: Form, place: int) -> Directory:
    """The directory at a place. Raises DamageError where the file ends before it does."""
    head, size, field_size = ("Q", 20, 8) if form.big else ("H", 12, 4)
    (count,) = struct.unpack(form.order + head, read_at(file, place, struct.calcsize(head)))
    place += struct.calcsize(head)
    data = read_at(file, place, count * size)
    (after,) = struct.unpack(form.order + form.place, _padded(file, struct.calcsize(form.place)))
    entries = struct.iter_unpack(f"{form.order}HH{form.place}{field_size}s", data)
    return Directory(file, form, {tag: rest for tag, *rest in entries}, after)


def _padded(file: BinaryIO, size: int) -> bytes:
    """The next bytes of a file: zeros where it is over, as some programs leave out what ends the chain."""
    return file.read(size).ljust(size, b"\0")


def all_directories(first: Directory) -> Iterator[Directory]:
    """The first directory, those inside of it, and then those of the chain with theirs; each once, MOST of them."""
    waiting, seen = [first], set[int]()
    while waiting and len(seen) < MOST:
        directory = waiting.pop(0)
        yield directory
        places = (*directory.numbers(Tag.SUB_DIRECTORIES)[:MOST], directory.next)
        new = [place for place in places if place and place not in seen]
        seen.update(new)
        waiting += [read_directory(first.file, first.form, place) for place in new]
