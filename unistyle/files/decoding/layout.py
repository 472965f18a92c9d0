"""What a directory of a TIFF file says of its picture, and who can read that."""

from dataclasses import dataclass

from PIL.TiffImagePlugin import COMPRESSION_INFO, OPEN_INFO

from unistyle.files.decoding.directories import Directory, Tag

MIN_IS_WHITE, GREY, RGB, PALETTE, CMYK, YCBCR, CIELAB, ICCLAB, CFA, LINEAR_RAW = (
    0,
    1,
    2,
    3,
    5,
    6,
    8,
    9,
    32803,
    34892,
)
UNSIGNED, SIGNED, FLOAT = 1, 2, 3
UNSPECIFIED, ASSOCIATED, UNASSOCIATED = 0, 1, 2

MOST_EXTRAS = 4  # what has more is no photo but measurements

# Photometric interpretations that are read here, with the colours that they have.
COLOURS = {MIN_IS_WHITE: 1, GREY: 1, RGB: 3, CMYK: 4, YCBCR: 3, CIELAB: 3, ICCLAB: 3}
# Compressions that know nothing of samples: LibTIFF unpacks them to the bytes that went in.
PLAIN = 1
PACKED = {5: "LZW", 8: "deflate", 32773: "PackBits", 32946: "deflate", 34925: "LZMA", 50000: "Zstandard"}
OLD_JPEG, JPEG = 6, 7

NAMES = {
    MIN_IS_WHITE: "min-is-white grey",
    GREY: "grey",
    RGB: "RGB",
    PALETTE: "palette",
    CMYK: "CMYK",
    YCBCR: "YCbCr",
    CIELAB: "Lab",
    ICCLAB: "Lab",
}


@dataclass(frozen=True)
class Layout:
    """How the samples of one picture lie in a TIFF file."""

    width: int
    height: int
    bits: tuple[int, ...]
    """Of each sample of a pixel."""
    formats: tuple[int, ...]
    """UNSIGNED, SIGNED or FLOAT; one for all, or one for each sample."""
    photometric: int
    extras: tuple[int, ...]
    """What the samples beyond the colours are: UNSPECIFIED, or opacity that is ASSOCIATED (the colours are multiplied
    by it) or UNASSOCIATED, for which some programs write 999."""
    planar: bool
    """Each sample has a plane of its own."""
    compression: int
    predictor: int
    fill_order: int
    like_jpeg: bool
    """Of YCbCr: whole, not subsampled, and by the matrix that JPEG uses."""
    order: str
    """Of bytes, as `struct` and numpy write it: "<" or ">"."""

    @property
    def samples(self) -> int:
        """Of a pixel."""
        return len(self.bits)

    @property
    def colours(self) -> int:
        """The samples that are no extra ones."""
        return COLOURS.get(self.photometric, 0)

    @property
    def opacity(self) -> int | None:
        """The number of the sample that is the opacity; None where there is none."""
        for number, kind in enumerate(self.extras):
            if kind != UNSPECIFIED:
                return self.colours + number
        return None

    @property
    def associated(self) -> bool:
        """Whether the colours are multiplied by the opacity."""
        return self.opacity is not None and self.extras[self.opacity - self.colours] == ASSOCIATED

    def right_in_pillow(self) -> bool:
        """Whether Pillow reads such pictures as they are.

        It knows more kinds than it reads right: it takes greys of 12 bits for 16 and large numbers for negative ones,
        does not turn deep greys whose least value is white, nor divides colours of 16 bits by their opacity, confuses
        planes, and cannot turn the bits of all kinds.
        """
        kind = (self._mark, self.photometric, self.formats, self.fill_order, self.bits, self.extras)
        if kind not in OPEN_INFO or self.compression not in COMPRESSION_INFO or self.formats != (UNSIGNED,):
            return False
        if self.compression == PLAIN and (
            (self.photometric == YCBCR and self.samples > 1) or (self.fill_order != 1 and self.colours)
        ):
            return False
        if self.compression in (OLD_JPEG, JPEG):  # whose planes LibTIFF joins
            return max(self.bits) == 8
        if max(self.bits) > 8 and (
            self.photometric == MIN_IS_WHITE or self.associated or max(self.bits) != 16
        ):
            return False
        return not (self.planar and self.samples > 1)

    @property
    def _mark(self) -> bytes:
        return b"II" if self.order == "<" else b"MM"

    def read_here(self) -> bool:
        """Whether `segments` and `pictures` read such pictures."""
        bits, form = self.bits[0], self.formats[0]
        if len(set(self.bits)) > 1 or len(self.formats) > 1 or self.photometric not in COLOURS:
            return False
        if (self.compression != PLAIN and self.compression not in PACKED) or self.predictor not in (1, 2, 3):
            return False
        if self.colours + len(self.extras) != self.samples or len(self.extras) > MOST_EXTRAS:
            return False
        if self.photometric == YCBCR:
            known = form == UNSIGNED and bits == 8 and self.like_jpeg
        elif self.photometric in (CIELAB, ICCLAB):
            known = form == UNSIGNED and bits in (8, 16)
        else:
            known = bits in {UNSIGNED: (*range(1, 17), 32), SIGNED: (32,), FLOAT: (16, 32, 64)}.get(form, ())
        if (
            self.predictor == 2 and (form == FLOAT or bits not in (8, 16, 32))
        ) or self.predictor == 3 != form:
            return False
        if self.opacity is not None and (
            self.photometric in (CMYK, YCBCR, CIELAB, ICCLAB) or (form != FLOAT and bits > 16)
        ):
            return False
        return known and not (self.associated and self.photometric == MIN_IS_WHITE)

    @property
    def dtype(self) -> str:
        """Of the numbers as they are read, for numpy."""
        bits = self.bits[0] if self.bits[0] in (8, 16, 32, 64) else 16
        return f"{ {FLOAT: 'f', SIGNED: 'i'}.get(self.formats[0], 'u') }{bits // 8}"

    def described(self) -> str:
        """In words, such as "min-is-white grey, 12 bits, LZW"."""
        bits = "+".join(str(bits) for bits in dict.fromkeys(self.bits))
        form = {SIGNED: " signed", FLOAT: " floating"}.get(self.formats[0], "")
        parts = [NAMES.get(self.photometric, f"colours of kind {self.photometric}"), f"{bits}{form} bits"]
        if self.opacity is not None:
            parts.append("multiplied by their opacity" if self.associated else "with opacity")
        elif self.extras:
            parts.append(f"{len(self.extras)} extra sample{'s' * (len(self.extras) > 1)}")
        if self.planar and self.samples > 1:
            parts.append("in planes")
        if self.compression != PLAIN:
            name = PACKED.get(self.compression) or COMPRESSION_INFO.get(
                self.compression, str(self.compression)
            )
            parts.append(f"compression {name}")
        return ", ".join(parts)


def layout_of(directory: Directory) -> Layout:
    """The layout of a directory's picture. What is missing is what TIFF 6.0 takes for given, and Pillow with it."""
    number, numbers = directory.number, directory.numbers
    compression = number(Tag.COMPRESSION, PLAIN)
    photometric = YCBCR if compression == OLD_JPEG else number(Tag.PHOTOMETRIC)
    jpeg = compression in (OLD_JPEG, JPEG) and photometric in (RGB, YCBCR)
    samples = max(1, number(Tag.SAMPLES, 3 if jpeg else 1))
    bits = numbers(Tag.BITS) or (1,)
    if len(bits) == 1:
        bits *= min(samples, 64)  # a number for all; more than 64 samples are no photo's
    formats = numbers(Tag.SAMPLE_FORMAT) or (UNSIGNED,)
    extras = numbers(Tag.EXTRA_SAMPLES)
    missing = samples - COLOURS.get(photometric, samples) - len(extras)
    if photometric == RGB and not extras and missing == 1:  # as some programs write RGB with opacity
        extras = (UNASSOCIATED,)
    return Layout(
        width=number(Tag.WIDTH),
        height=number(Tag.LENGTH),
        bits=bits[:samples],
        formats=formats[:1] if len(set(formats)) == 1 else formats,
        photometric=photometric,
        extras=extras,
        planar=number(Tag.PLANAR, 1) == 2,
        compression=compression,
        predictor=number(Tag.PREDICTOR, 1),
        fill_order=number(Tag.FILL_ORDER, 1),
        like_jpeg=_like_jpeg(directory),
        order=directory.form.order,
    )


def _like_jpeg(directory: Directory) -> bool:
    """Whether YCbCr is as JPEG has it, and as Pillow writes it: with values from 0 to 255, and not subsampled."""
    levels = directory.ratios(Tag.REFERENCE_BLACK_WHITE)
    if Tag.YCBCR_COEFFICIENTS in directory.entries or levels not in ((), (0, 255, 128, 255, 128, 255)):
        return False
    return directory.numbers(Tag.YCBCR_SUBSAMPLING) == (1, 1)
