"""TIFF files as Pillow can read them right: what it would misread is put before it as plain samples of 8 bits.

Such a file is given to Pillow with another first directory. That holds all entries of the old one, so that profile,
EXIF, XMP and density are found as ever, but for those that say how samples lie.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import BinaryIO, cast

from unistyle.errors import ImageError
from unistyle.files.decoding.directories import (
    DamageError,
    Directory,
    Tag,
    all_directories,
    first_place,
    read_directory,
)
from unistyle.files.decoding.layout import (
    CFA,
    CIELAB,
    GREY,
    ICCLAB,
    LINEAR_RAW,
    MIN_IS_WHITE,
    PLAIN,
    RGB,
    UNASSOCIATED,
    YCBCR,
    Layout,
    layout_of,
)
from unistyle.files.decoding.pictures import picture
from unistyle.files.decoding.raw import raw_error, refuse_raw
from unistyle.files.decoding.redirected import Redirected
from unistyle.files.decoding.segments import Segments

# What says how samples lie, and which picture of a file this is.
ABOUT_SAMPLES = {
    Tag.NEW_SUBFILE_TYPE,
    Tag.SUBFILE_TYPE,
    Tag.WIDTH,
    Tag.LENGTH,
    Tag.BITS,
    Tag.COMPRESSION,
    Tag.PHOTOMETRIC,
    Tag.FILL_ORDER,
    Tag.STRIP_OFFSETS,
    Tag.SAMPLES,
    Tag.ROWS_PER_STRIP,
    Tag.STRIP_BYTES,
    Tag.PLANAR,
    Tag.PREDICTOR,
    Tag.TILE_WIDTH,
    Tag.TILE_LENGTH,
    Tag.TILE_OFFSETS,
    Tag.TILE_BYTES,
    Tag.SUB_DIRECTORIES,
    Tag.EXTRA_SAMPLES,
    Tag.SAMPLE_FORMAT,
}
STANDS_FOR = {MIN_IS_WHITE: GREY, YCBCR: RGB, ICCLAB: CIELAB}  # how `picture` gives their colours
ABOUT_THE_PHOTO = (Tag.ORIENTATION, Tag.XMP, Tag.EXIF, Tag.ICC_PROFILE, Tag.GPS)


def readable(file: BinaryIO, frame: int | None = None) -> BinaryIO:
    """A file that Pillow reads right: the one given, or another one that stands for it.

    file: any file; what is no TIFF is given back. frame: the number of the picture that is wanted; None for the first
    full one, neither a thumbnail nor a mask. Raises ImageError for a camera's raw file, for a kind of TIFF that is not
    read, and for a damaged one.
    """
    found = first_place(start := _start(file))
    refuse_raw(start)
    if found is None:
        return file
    if found[0].big and found[0].order == ">":  # Pillow takes its version for that of an ordinary one
        raise ImageError(
            "a BigTIFF file of big-endian numbers is not read; save it as PNG or as little-endian TIFF"
        )
    first = read_directory(file, *found)
    chosen = _full_picture(first) if frame is None else _frame(first, frame)
    layout = layout_of(chosen)
    if layout.right_in_pillow():
        if layout.compression == PLAIN:
            Segments(chosen, layout)  # looks whether all strips are there, for which Pillow would put black
        file.seek(0)
        if chosen is first or frame is not None:
            return file
        return _led_by(first, {**_about_the_photo(first, chosen), **chosen.entries})
    if not layout.read_here():
        raise ImageError(f"a TIFF of this kind ({layout.described()}) is not read; save it as PNG")
    return _plain_samples(first, chosen, layout)


def _start(file: BinaryIO) -> bytes:
    file.seek(0)
    start = file.read(16)
    file.seek(0)
    return start


def _full_picture(first: Directory) -> Directory:
    """Of a file that begins with a thumbnail or a mask, the first full picture; where none is, the largest one."""
    if first.full and Tag.SUB_DIRECTORIES not in first.entries:
        _refuse_mosaic(first, first)
        return first
    found: list[Directory] = []
    try:
        for directory in all_directories(first):
            _refuse_mosaic(directory, first)
            found.append(directory)
    except DamageError:  # after the picture that is wanted, it is none of ours
        if not any(directory.full for directory in found):
            raise
    return next((directory for directory in found if directory.full), max(found, key=lambda one: one.area))


def _refuse_mosaic(directory: Directory, first: Directory) -> None:
    """Most cameras' raw files are TIFF files: a preview, and samples of which each has one colour."""
    if directory.number(Tag.PHOTOMETRIC) in (CFA, LINEAR_RAW):
        raise raw_error("DNG" if Tag.DNG_VERSION in first.entries else "a TIFF of single colours")


def _frame(first: Directory, number: int) -> Directory:
    directory = first
    for _ in range(number):
        directory = read_directory(first.file, first.form, directory.next)
    return directory


def _plain_samples(first: Directory, chosen: Directory, layout: Layout) -> BinaryIO:
    """A file whose first directory describes samples of 8 bits, which are made when they are read."""
    segments, form = Segments(chosen, layout), first.form
    bands = layout.colours + (layout.opacity is not None)
    size = layout.width * layout.height * bands
    values = {
        Tag.WIDTH: layout.width,
        Tag.LENGTH: layout.height,
        Tag.BITS: 8,
        Tag.COMPRESSION: 1,
        Tag.PHOTOMETRIC: STANDS_FOR.get(layout.photometric, layout.photometric),
        Tag.SAMPLES: bands,
        Tag.ROWS_PER_STRIP: layout.height,
        Tag.STRIP_BYTES: size,
        Tag.STRIP_OFFSETS: 0,
    }
    if bands > layout.colours:
        values[Tag.EXTRA_SAMPLES] = UNASSOCIATED
    entries = {tag: entry for tag, entry in chosen.entries.items() if tag not in ABOUT_SAMPLES}
    entries |= _about_the_photo(first, chosen) | {tag: form.entry(value) for tag, value in values.items()}
    place = first.file.seek(0, io.SEEK_END)
    # The pixels follow the directory, whose length does not depend on where they are.
    entries[Tag.STRIP_OFFSETS] = form.entry(place + len(form.directory(entries)))
    return _led_by(first, entries, size, lambda: picture(segments, layout).data.cast("B"))


def _about_the_photo(first: Directory, chosen: Directory) -> dict[int, Sequence]:
    """What the first directory says of the photo, and the chosen one does not."""
    return {
        tag: first.entries[tag]
        for tag in ABOUT_THE_PHOTO
        if tag in first.entries and tag not in chosen.entries
    }


def _led_by(
    first: Directory,
    entries: Mapping[int, Sequence],
    size: int = 0,
    pixels: Callable[[], memoryview] | None = None,
) -> BinaryIO:
    """The file with a directory of these entries in front of its own, and pixels at its end."""
    end = first.file.seek(0, io.SEEK_END)
    redirected = Redirected(first.file, first.form.header(end), first.form.directory(entries), size, pixels)
    return cast(BinaryIO, io.BufferedReader(redirected))
