"""Cameras' raw files, which hold no picture but what one is developed from."""

from unistyle.errors import ImageError

# How the files begin that are no ordinary TIFF, with the names of their kinds.
STARTS = {
    b"IIU\0": "RW2",
    b"IIRO": "ORF",
    b"IIRS": "ORF",
    b"MMOR": "ORF",
    b"FUJIFILMCCD-RAW": "RAF",
    b"FOVb": "X3F",
}


def raw_error(kind: str) -> ImageError:
    """The error for a raw file of this kind, such as "DNG"."""
    return ImageError(
        f"a camera's raw file ({kind}), which has to be developed first: save it as JPEG or TIFF with a raw converter"
    )


def refuse_raw(start: bytes) -> None:
    """Raises ImageError for a file that begins, with these 16 bytes, as those of STARTS and of Canon do."""
    kind = next((kind for mark, kind in STARTS.items() if start.startswith(mark)), None)
    if start[4:12] == b"ftypcrx ":
        kind = "CR3"
    if start[:2] in (b"II", b"MM") and start[8:10] == b"CR":
        kind = "CR2"
    if kind:
        raise raw_error(kind)
