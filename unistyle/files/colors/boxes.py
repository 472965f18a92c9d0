"""Colours in the boxes of PNG, AVIF, HEIF and JPEG 2000 that Pillow passes by."""

import struct
from collections.abc import Iterator
from typing import IO

from PIL import Image

MOST = 1000  # boxes that are looked at
LONGEST = 2**24  # bytes of a profile

Code = tuple[int, int, int]  # primaries, transfer and whether the range is full (ITU-T H.273)
Box = tuple[bytes, int, int]  # its name, and where its content starts and ends


def coded(image: Image.Image) -> Code | None:
    """The code of an image's colours; None where there is none, or the file is closed."""
    nclx = image.info.get("nclx_profile")  # of pillow-heif
    if isinstance(nclx, dict):
        return int(nclx.get("color_primaries", 2)), int(nclx.get("transfer_characteristics", 2)), 1
    find = {"PNG": _cicp, "AVIF": _nclx}.get(image.format or "")
    return _looked_up(image, find) if find else None


def icc_of_jp2(image: Image.Image) -> bytes | None:
    """The ICC profile of a JPEG 2000 file (ISO/IEC 15444-1, annex I.5.3.3)."""
    return _looked_up(image, _jp2)


def _looked_up(image: Image.Image, find):
    file = getattr(image, "fp", None)
    if file is None:
        return None
    try:
        before = file.tell()
        try:
            return find(file)
        finally:
            file.seek(before)
    except (OSError, ValueError, struct.error):  # of a file that is cut off, or closed
        return None


def _cicp(file: IO[bytes]) -> Code | None:
    """PNG, third edition, 11.3.2.6. It comes before the pixels."""
    at = 8
    for _ in range(MOST):
        file.seek(at)
        size, name = struct.unpack(">I4s", file.read(8))
        if name == b"cICP":
            primaries, transfer, matrix, full = file.read(4)
            return (primaries, transfer, full) if matrix == 0 else None
        if name in (b"IDAT", b"IEND"):
            return None
        at += 12 + size
    return None


def _boxes(file: IO[bytes], at: int, end: int) -> Iterator[Box]:
    """ISO/IEC 14496-12, 4.2."""
    for _ in range(MOST):
        if at + 8 > end:
            return
        file.seek(at)
        size, name = struct.unpack(">I4s", file.read(8))
        start = at + 8
        if size == 1:
            (size,), start = struct.unpack(">Q", file.read(8)), at + 16
        last = end if size == 0 else min(at + size, end)
        if last < start:
            return
        yield name, start, last
        at = last


def _colors(file: IO[bytes], *path: bytes) -> Iterator[Box]:
    """The boxes `colr` within boxes of boxes."""
    inner = [(b"", 0, file.seek(0, 2))]
    for name in (*path, b"colr"):
        skip = 4 if name == b"iprp" else 0  # a version and flags open the box `meta`, which holds this one
        inner = [box for _, start, end in inner for box in _boxes(file, start + skip, end) if box[0] == name]
    yield from inner


def _nclx(file: IO[bytes]) -> Code | None:
    """ISO/IEC 14496-12, 12.1.5. The first is the picture's; those after it belong to what goes with it."""
    for _, start, _ in _colors(file, b"meta", b"iprp", b"ipco"):
        file.seek(start)
        if file.read(4) == b"nclx":
            primaries, transfer = struct.unpack(">HH", file.read(4))
            return primaries, transfer, 1  # of the range the decoder has taken care, and of the matrix
    return None


def _jp2(file: IO[bytes]) -> bytes | None:
    for _, start, end in _colors(file, b"jp2h"):
        file.seek(start)
        if file.read(3)[:1] in (b"\2", b"\3") and 0 < end - start - 3 < LONGEST:
            return file.read(end - start - 3)
    return None
