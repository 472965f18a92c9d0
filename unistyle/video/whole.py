"""Whether a video file is all there. A file that was cut off would otherwise pass as a shorter video.

Each container has its own way to say how much it holds. MPEG streams (.mpg, .mts) do not say it, and live recordings
may not: what is there is then all that was promised.
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
ASF_FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")  # of the object with the size of the file
EBML, SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
PAGE, MAX_PAGE = b"OggS", 27 + 255 + 255 * 255  # of Ogg; the most bytes that one has
BOXES = set(b"ftyp styp moov moof mdat free skip wide sidx uuid meta emsg prft pnot udta".split())
# Some programs count the header of a RIFF file once too often.
RIFF_SLACK = 16
TIMED = ("matroska", "flv", "avi", "asf")  # as FFmpeg calls those whose header says how long they last
TIME_SLACK = 0.5  # seconds by which what is said of a duration may differ from the frames
RESTART = "copy or download it again"


def lack(path: Path, container) -> str | None:
    """What is missing of a file, in words; None: nothing that can be told.

    container: the file, just opened by PyAV. Where a duration is promised, its packets are read to the end, as the
    bytes that are there may be empty ones.
    """
    there = path.stat().st_size
    promised = max(_indexed(container), _declared(path))
    if promised > there:
        return f"cut off: {there} bytes are there of {promised} or more; {RESTART}"
    return _early_end(container) if container.format.name.startswith(TIMED) else None


def _indexed(container) -> int:
    """Where the data ends of which the index of a file tells, in bytes; 0: there is none."""
    return max((e.pos + e.size for stream in container.streams for e in stream.index_entries), default=0)


def _declared(path: Path) -> int:
    """How many bytes a file has by its own account; 0: it does not say."""
    with path.open("rb") as file:
        head = file.read(16)
        file.seek(0)
        if head[4:8] in BOXES:
            return _fragments(file)
        if head == ASF:
            return _asf(file)
        known = {EBML: _matroska, b"RIFF": _riff, PAGE: _ogg}
        return known[head[:4]](file) if head[:4] in known else 0


def _fragments(file: BinaryIO) -> int:
    """Of MP4 in fragments, whose index has only those that are there. Other MP4 is told by its index alone, because
    the box of its data may be larger than what is used of it."""
    ends = {end: kind for kind, end in _boxes(file)}
    return max(ends) if b"moof" in ends.values() else 0


def _boxes(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """The kind and the end of each box of the file itself."""
    start = 0
    while True:
        file.seek(start)
        head = file.read(16)
        size, kind = int.from_bytes(head[:4]), head[4:8]
        if size == 1:
            size = int.from_bytes(head[8:16])
        if kind not in BOXES or size < 8:  # no box, or one that goes on to the end
            return
        start += size
        yield kind, start


def _matroska(file: BinaryIO) -> int:
    for _ in range(2):  # the header, and the one segment with all else
        kind, size = file.read(4), _ebml_size(file)
        if kind == SEGMENT:
            return file.tell() + size if size else 0
        file.seek(size, 1)
    return 0


def _ebml_size(file: BinaryIO) -> int:
    """The number of variable length at this place of the file; 0 for the one that says unknown."""
    first = (file.read(1) or b"\0")[0]
    length = 9 - first.bit_length()
    value = int.from_bytes(bytes([first]) + file.read(length - 1)) & ((1 << 7 * length) - 1)
    return 0 if value == (1 << 7 * length) - 1 else value


def _riff(file: BinaryIO) -> int:
    """AVI: one part after the other, of 1 GB or so each."""
    end = 0
    while (head := file.read(8))[:4] == b"RIFF" and (size := int.from_bytes(head[4:], "little")):
        end += 8 + size + size % 2
        file.seek(end)
    return max(0, end - RIFF_SLACK)


def _asf(file: BinaryIO) -> int:
    head = file.read(1 << 16)
    start = head.find(ASF_FILE)
    if start < 0 or int.from_bytes(head[start + 88 : start + 92], "little") & 1:  # a live recording
        return 0
    return int.from_bytes(head[start + 40 : start + 48], "little")


def _ogg(file: BinaryIO) -> int:
    """Where the last page ends; it says that of itself alone."""
    start = max(0, file.seek(0, 2) - MAX_PAGE)
    file.seek(start)
    tail = file.read()
    page = tail.rfind(PAGE)
    if page < 0 or len(tail) < page + 27:
        return 0
    sizes = tail[page + 27 : page + 27 + tail[page + 26]]
    return start + page + 27 + tail[page + 26] + sum(sizes)


def _early_end(container) -> str | None:
    """What is missing of what a file says of how long it lasts."""
    video, end, broken, starts = container.streams.video[0], 0.0, False, list[float]()
    for packet in container.demux():
        time = packet.dts if packet.pts is None else packet.pts
        if time is None:
            continue
        end = max(end, float((time + (packet.duration or 0)) * packet.time_base))
        broken = packet.is_corrupt  # the last one: the file ends within it
        if packet.stream is video:
            starts.append(float(time * packet.time_base))
    promised = (container.duration or 0) / 1e6
    if (
        video.frames and video.average_rate
    ):  # as AVI has it, of which FFmpeg takes the duration from what is there
        promised = max(promised, float(video.frames / video.average_rate))
    # Where pictures stand for long, the last one may do so as well.
    longest = max((b - a for a, b in pairwise(sorted(starts))), default=0.0)
    if broken or end + max(TIME_SLACK, longest) < promised:
        return f"cut off: {end:.1f} s are there of {promised:.1f} s; {RESTART}"
    return None
