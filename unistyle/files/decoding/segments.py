"""The samples of a picture in a TIFF file, put together from its strips or tiles."""

import io
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import DTypeLike
from PIL import Image

from unistyle.errors import ImageError
from unistyle.files.decoding.directories import DamageError, Directory, Form, Tag, read_at
from unistyle.files.decoding.layout import FLOAT, GREY, PLAIN, SIGNED, Layout

BAND = 1 << 24  # bytes that are unpacked at a time: a little against what a large picture takes
LARGEST = 1 << 30  # bytes of one strip or tile, which are in memory at once
REVERSED = np.packbits(np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)[:, ::-1], axis=1)[:, 0]


@dataclass(frozen=True)
class Band:
    """Strips or tiles that are unpacked together: a rectangle of one plane, or of all."""

    places: tuple[int, ...]
    counts: tuple[int, ...]
    """Bytes of each as they lie in the file; nothing where they are not packed."""
    rows: int
    """Of each; the last one may have less."""
    total: int
    """Rows of all of them, one below the other."""
    width: int
    """Pixels of a row."""


class Segments:
    """Reads the samples of one picture. Raises ImageError for a picture that is cut off."""

    def __init__(self, directory: Directory, layout: Layout):
        self.directory, self.layout = directory, layout
        self.planes = layout.samples if layout.planar else 1
        self.together = 1 if layout.planar else layout.samples  # samples that lie side by side
        tiled = Tag.TILE_OFFSETS in directory.entries
        self.tile_width = directory.number(Tag.TILE_WIDTH) if tiled else layout.width
        length = Tag.TILE_LENGTH if tiled else Tag.ROWS_PER_STRIP
        self.rows = directory.number(length, layout.height)
        if min(self.rows, self.tile_width, layout.width, layout.height) < 1:
            raise DamageError()
        self.rows = self.rows if tiled else min(self.rows, layout.height)
        self.across, self.down = -(-layout.width // self.tile_width), -(-layout.height // self.rows)
        self.tiled = tiled
        self.places = directory.numbers(Tag.TILE_OFFSETS if tiled else Tag.STRIP_OFFSETS)
        self.counts = directory.numbers(Tag.TILE_BYTES if tiled else Tag.STRIP_BYTES)
        needed, packed = self.across * self.down * self.planes, layout.compression != PLAIN
        if len(self.places) < needed or (packed and len(self.counts) < needed):
            raise DamageError()
        if self.down == 1 and not (tiled or packed):
            self._cut_up_strips()
        size, picture = self.row_bytes * self.rows, layout.width * layout.height * layout.samples * 8
        if size > min(LARGEST, max(BAND, picture)):
            raise ImageError(
                f"a TIFF whose strips or tiles have {size} bytes each is not read; save it as PNG"
            )

    @property
    def row_bytes(self) -> int:
        """Bytes of a row of a strip or tile, unpacked."""
        return -(-self.tile_width * self.together * self.layout.bits[0] // 8)

    def _cut_up_strips(self) -> None:
        """Where one strip is all of a plane, as many of a band's size: each of its rows can be read alone."""
        self.rows = min(self.rows, max(1, BAND // self.row_bytes))
        starts = [row * self.row_bytes for row in range(0, self.layout.height, self.rows)]
        self.places = tuple(place + start for place in self.places[: self.planes] for start in starts)
        self.down = len(starts)

    def read(
        self, wanted: list[int], dtype: DTypeLike, into: Callable[[np.ndarray], np.ndarray] | None = None
    ) -> np.ndarray:
        """The picture as an array (height, width, samples) of the given dtype.

        wanted: the numbers of the samples, in their order. into: makes what is wanted of the file's own numbers, for a
        part of the picture at a time.
        """
        height, width = self.layout.height, self.layout.width
        out = np.empty((height, width, len(wanted)), dtype)
        for band, plane, y, x in self._bands(wanted):
            values = self._values(band)[: height - y, : width - x]
            values = values if self.layout.planar else values[..., wanted]
            to = [wanted.index(plane)] if self.layout.planar else slice(None)
            out[y : y + values.shape[0], x : x + values.shape[1], to] = into(values) if into else values
        return out

    def _bands(self, wanted: list[int]) -> Iterator[tuple[Band, int, int, int]]:
        """Each band with its plane, and where its upper left corner lies: (band, plane, y, x)."""
        together = 1 if self.tiled else max(1, BAND // (self.row_bytes * self.rows))
        for plane in wanted if self.layout.planar else [0]:
            for row in range(0, self.down, together):
                for column in range(self.across):
                    start = (plane * self.down + row) * self.across + column
                    part = slice(start, start + min(together, self.down - row))
                    y = row * self.rows
                    rows = len(self.places[part]) * self.rows
                    total = rows if self.tiled else min(rows, self.layout.height - y)
                    yield (
                        Band(self.places[part], self.counts[part], self.rows, total, self.tile_width),
                        plane,
                        y,
                        column * self.tile_width,
                    )

    def _values(self, band: Band) -> np.ndarray:
        """The samples of a band, of shape (rows, width, samples side by side)."""
        data = self._unpacked(band).reshape(band.total, self.row_bytes)
        bits, samples = self.layout.bits[0], band.width * self.together
        if self.layout.predictor == 3:
            values = _from_byte_planes(data, samples, self.together, bits)
        elif bits in (8, 16, 32, 64):
            kind = {FLOAT: "f", SIGNED: "i"}.get(self.layout.formats[0], "u")
            values = data.view(f"{self.layout.order}{kind}{bits // 8}")
        else:
            values = _from_bits(data, samples, bits)
        values = values.reshape(band.total, band.width, self.together)
        if self.layout.predictor == 2:
            native = values.astype(values.dtype.newbyteorder("="))
            values = np.add.accumulate(native, axis=1, dtype=native.dtype)
        return values

    def _unpacked(self, band: Band) -> np.ndarray:
        """The bytes of a band as they were before they were compressed."""
        file, size = self.directory.file, band.total * self.row_bytes
        if self.layout.compression == PLAIN:
            parts, left = [], size
            for place in band.places:
                parts.append(read_at(file, place, min(left, band.rows * self.row_bytes)))
                left -= len(parts[-1])
            data = np.frombuffer(b"".join(parts), np.uint8)
            return REVERSED[data] if self.layout.fill_order == 2 else data
        packed = [read_at(file, place, count) for place, count in zip(band.places, band.counts, strict=True)]
        wrapped = _as_bytes_in_rows(self.layout, packed, band, self.row_bytes)
        with Image.open(wrapped, formats=["TIFF"]) as image:
            return np.asarray(image).reshape(-1)


def _as_bytes_in_rows(layout: Layout, packed: list[bytes], band: Band, width: int) -> io.BytesIO:
    """A TIFF file whose grey pixels of 8 bits are the bytes of these strips, for LibTIFF, which has the unpackers.

    The strips stay as they are. A predictor is none of the unpacker's business, and is undone afterwards.
    """
    form, lengths = Form(layout.order, big=False), [len(part) for part in packed]
    values = {
        Tag.WIDTH: width,
        Tag.LENGTH: band.total,
        Tag.BITS: 8,
        Tag.COMPRESSION: layout.compression,
        Tag.PHOTOMETRIC: GREY,
        Tag.FILL_ORDER: layout.fill_order,
        Tag.SAMPLES: 1,
        Tag.ROWS_PER_STRIP: band.rows,
    }
    entries: dict[int, Sequence] = {tag: form.entry(value) for tag, value in values.items()}
    *places, end = accumulate(lengths, initial=8)
    numbers = b""
    for tag, several in ((Tag.STRIP_OFFSETS, places), (Tag.STRIP_BYTES, lengths)):
        entries[tag] = form.long_entry(several, end + len(numbers))
        numbers += struct.pack(f"{form.order}{len(several)}I", *several)
    header = form.header(end + len(numbers))
    return io.BytesIO(b"".join([header, *packed, numbers, form.directory(entries)]))


def _from_bits(data: np.ndarray, samples: int, bits: int) -> np.ndarray:
    """Numbers of 1 to 15 bits, of which each row has `samples` and starts with a byte of its own, as uint16."""
    first = np.arange(samples) * bits
    byte, shift = first >> 3, 24 - bits - (first & 7)
    padded = np.pad(data, ((0, 0), (0, 2))).astype(np.uint32)
    three = padded[:, byte] << 16 | padded[:, byte + 1] << 8 | padded[:, byte + 2]
    return (three >> shift.astype(np.uint32) & ((1 << bits) - 1)).astype(np.uint16)


def _from_byte_planes(data: np.ndarray, samples: int, together: int, bits: int) -> np.ndarray:
    """Floats of which each row holds all first bytes, then all second ones, each as the difference to the pixel before
    (Adobe, TIFF Technical Note 3)."""
    size = bits // 8
    rows = len(data)
    steps = data.reshape(rows, samples * size // together, together)
    planes = np.add.accumulate(steps, axis=1, dtype=np.uint8).reshape(rows, size, samples)
    return np.ascontiguousarray(planes.transpose(0, 2, 1)).view(f">f{size}")
