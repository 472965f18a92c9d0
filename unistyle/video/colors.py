"""The matrices between RGB and YUV, and which of them a file is said to have."""

from contextlib import suppress

from unistyle.errors import ImageError

with suppress(ImportError):  # the extra `video`, without which nothing here is called
    from av.video.reformatter import Colorspace, Interpolation

# Numbers of H.273, as files have them.
RGB, BT709, UNSPECIFIED, RESERVED = 0, 1, 2, 3


def exact() -> int:
    """The conversion between RGB and YUV that loses least, there and back: no luminance, and hardly any colour."""
    i = Interpolation
    return i.BICUBIC | i.ACCURATE_RND | i.FULL_CHR_H_INT | i.FULL_CHR_H_INP


def matrix(number: int) -> "Colorspace":
    """The colour matrix for a number of H.273. Where a file says none, or none that YUV can have, BT.601 is taken both
    ways. Raises ImageError for a matrix that is not known here."""
    c = Colorspace
    known = {BT709: c.ITU709, 4: c.FCC, 5: c.ITU601, 6: c.ITU601, 7: c.SMPTE240M, 9: c.BT2020}
    if number in known:
        return known[number]
    if number in (RGB, UNSPECIFIED, RESERVED):
        return c.ITU601
    raise ImageError(
        f"its colours have the matrix {number} of H.273, which is not read; convert it to BT.709 first, "
        "with ffmpeg and its filter zscale"
    )


def written_as(number: int, from_rgb: bool) -> int:
    """The number to write for YUV that was made of frames with this one. `from_rgb`: they are RGB, without a matrix.

    H.264 forbids the number of RGB for YUV with colour at half the size, and players show what has it in wrong colours.
    """
    if from_rgb:
        return BT709
    return UNSPECIFIED if number in (RGB, RESERVED) else number
