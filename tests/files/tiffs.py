"""TIFF files as no library here writes them: any number of bits, any layout, directories inside of directories."""

import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.helpers import make_photo
from unistyle.files.photos import read_photo

COLOURS = np.asarray(make_photo(23, 37))
GREY = COLOURS[..., :1]
ALPHA = np.asarray(make_photo(23, 37, seed=1))[..., 1:2]
TYPES = {"B": 1, "s": 2, "H": 3, "I": 4, "II": 5, "Q": 16}


@dataclass
class Page:
    """One picture: whole numbers or floats (height, width, samples), and how they lie."""

    values: np.ndarray
    bits: int = 8
    photometric: int = 1
    extras: tuple[int, ...] = ()
    planar: bool = False
    packed: bool = False
    """Compressed by zlib."""
    tile: tuple[int, int] | None = None
    """Height and width."""
    rows: int = 5
    format: int = 1
    fill_order: int = 1
    tags: dict[int, tuple] = field(default_factory=dict)
    """More of them: (letter of struct, values or bytes)."""
    inside: list["Page"] = field(default_factory=list)
    """Pages of its SubIFDs."""

    def pieces(self, order: str) -> list[bytes]:
        """Strips or tiles, as they are written."""
        planes = np.moveaxis(self.values, -1, 0)[..., None] if self.planar else [self.values]
        height, width = self.tile or (self.rows, self.values.shape[1])
        out = []
        for plane in planes:
            for y in range(0, plane.shape[0], height):
                for x in range(0, plane.shape[1], width):
                    part = plane[y : y + height, x : x + width]
                    if self.tile:
                        missing = (height - part.shape[0], width - part.shape[1])
                        part = np.pad(part, ((0, missing[0]), (0, missing[1]), (0, 0)))
                    out.append(self.packed_rows(part.reshape(len(part), -1), order))
        return out

    def packed_rows(self, rows: np.ndarray, order: str) -> bytes:
        """Bytes of numbers, each row from a byte of its own on."""
        if self.format == 3 or self.bits in (8, 16, 32):
            kind = "f" if self.format == 3 else "i" if self.format == 2 else "u"
            data = rows.astype(f"{order}{kind}{self.bits // 8}").tobytes()
        else:
            digits = rows[..., None] >> np.arange(self.bits)[::-1] & 1
            data = np.packbits(digits.astype(np.uint8).reshape(len(rows), -1), axis=1).tobytes()
        data = zlib.compress(data) if self.packed else data
        if self.fill_order == 2:
            data = bytes(int(f"{byte:08b}"[::-1], 2) for byte in data)
        return data

    def all_tags(self, places: list[int], counts: list[int], inside: list[int]) -> dict[int, tuple]:
        """Of its directory."""
        height, width, samples = self.values.shape
        tags: dict[int, tuple] = {
            256: ("I", width),
            257: ("I", height),
            258: ("H", *[self.bits] * samples),
            259: ("H", 8 if self.packed else 1),
            262: ("H", self.photometric),
            266: ("H", self.fill_order),
            277: ("H", samples),
            284: ("H", 2 if self.planar else 1),
            339: ("H", *[self.format] * samples),
        }
        if self.tile:
            tags |= {
                322: ("I", self.tile[1]),
                323: ("I", self.tile[0]),
                324: ("I", *places),
                325: ("I", *counts),
            }
        else:
            tags |= {273: ("I", *places), 278: ("I", self.rows), 279: ("I", *counts)}
        if self.extras:
            tags[338] = ("H", *self.extras)
        if inside:
            tags[330] = ("I", *inside)
        return tags | self.tags


def tiff(*pages: Page, order: str = "<") -> bytes:
    """A file of these pages."""
    data, links = bytearray((b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 0)), [4]
    for page in pages:
        inside = []
        for sub in page.inside:
            inside.append(_add(data, sub, [], order)[0])
        place, link = _add(data, page, inside, order)
        data[links[-1] : links[-1] + 4] = struct.pack(order + "I", place)
        links.append(link)
    return bytes(data)


def _add(data: bytearray, page: Page, inside: list[int], order: str) -> tuple[int, int]:
    """Where its directory lies, and where the place of the next one has to be written."""
    places, pieces = [], page.pieces(order)
    for piece in pieces:
        places.append(len(data))
        data += piece
    tags = page.all_tags(places, list(map(len, pieces)), inside)
    lines = []
    for tag, (letter, *values) in sorted(tags.items()):
        raw = (
            values[0]
            if letter == "s"
            else b"".join(struct.pack(order + letter[0], value) for value in values)
        )
        count = len(raw) if letter == "s" else len(values) // len(letter)
        if len(raw) > 4:
            place = len(data)
            data += raw
            raw = struct.pack(order + "I", place)
        kind = 7 if tag == 34675 else TYPES[letter]
        lines.append(struct.pack(order + "HHI", tag, kind, count) + raw.ljust(4, b"\0"))
    directory = len(data)
    data += struct.pack(order + "H", len(lines)) + b"".join(lines) + bytes(4)
    return directory, len(data) - 4


def save(path: Path, *pages: Page, order: str = "<") -> Path:
    """The path of a file of these pages."""
    path.write_bytes(tiff(*pages, order=order))
    return path


def of_bits(values: np.ndarray, bits: int) -> np.ndarray:
    """Values of 8 bits in another number of bits."""
    return np.rint(values * ((2**bits - 1) / 255)).astype(np.uint32)


def shown(path) -> np.ndarray:
    """What is read: (height, width, 3 or 4)."""
    photo = read_photo(path)
    return np.asarray(photo.with_rgb(photo.rgb))


def with_alpha(colours: np.ndarray = COLOURS) -> np.ndarray:
    return np.concatenate([np.broadcast_to(colours, (*ALPHA.shape[:2], 3)), ALPHA], axis=2)


def close(found: np.ndarray, wanted: np.ndarray, least: float = 1) -> None:
    assert found.shape == wanted.shape
    assert np.abs(found.astype(int) - wanted).max() <= least
