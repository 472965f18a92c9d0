"""Kinds of photos whose samples have other bits, planes and opacities than those of most files."""

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from tests.files.test_opacity import rows_of, targa
from tests.files.tiffs import Page, of_bits
from tests.files.tiffs import tiff as pages
from tests.helpers import chunk, make_photo, png

COLOURS = np.asarray(make_photo())
GREY = COLOURS[..., :1]
ALPHA = np.asarray(make_photo(seed=1))[..., 1:2]
FOUR = np.dstack([COLOURS, ALPHA])
GREY_SHOWN = np.repeat(GREY, 3, axis=2)
GREY_FOUR = np.dstack([GREY_SHOWN, ALPHA])
INKS_SHOWN = np.asarray(Image.fromarray(FOUR, mode="CMYK").convert("RGB"))
RAW = "a camera's raw file ({}), which has to be developed first"
Kind = Callable[[Path], np.ndarray | str]


def file(data: bytes, outcome: np.ndarray | str) -> Kind:
    def make(path: Path) -> np.ndarray | str:
        path.write_bytes(data)
        return outcome

    return make


def by_hand(outcome: np.ndarray | str, *several: Page, order: str = "<") -> Kind:
    return file(pages(*several, order=order), outcome)


def by_tifffile(values: np.ndarray, outcome: np.ndarray | str, **options) -> Kind:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, **options)
    return file(buffer.getvalue(), outcome)


def levels(bits: int, values: np.ndarray = GREY_SHOWN) -> np.ndarray:
    """What is left of 8 bits in fewer ones."""
    return np.rint(of_bits(values, bits) * (255 / (2**bits - 1))).astype(np.uint8)


def transparent(bits: int, colour_type: int) -> Kind:
    """A PNG of which all pixels like one of them are transparent."""
    colours = COLOURS if colour_type == 2 else GREY
    values = of_bits(colours, bits)
    opacity = np.where((values == values[10, 10]).all(axis=2), 0, 255)
    data = png(
        64,
        48,
        rows_of(values, bits),
        chunk(b"tRNS", values[10, 10].astype(">u2").tobytes()),
        bits,
        colour_type,
    )
    shown = np.broadcast_to(levels(bits, colours) if bits < 8 else colours, COLOURS.shape)
    return file(data, np.dstack([shown, opacity]).astype(np.uint8))


def bitmap(alpha: np.ndarray, outcome: np.ndarray) -> Kind:
    """A Windows bitmap of version 4 with a mask for the opacity."""
    header = struct.pack("<IiiHHIIiiII", 108, 64, -48, 1, 32, 3, 12288, 0, 0, 0, 0)
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + b"BGRs" + bytes(48)
    pixels = np.dstack([COLOURS[..., ::-1], alpha]).tobytes()
    return file(b"BM" + struct.pack("<IHHI", 122 + len(pixels), 0, 0, 122) + header + masks + pixels, outcome)


def thumbnail(tag: int = 254, value: int = 1, **options) -> Page:
    return Page(COLOURS[::4, ::4].copy(), 8, 2, tags={tag: ("I", value)}, **options)


def packed(compression: str, outcome: np.ndarray) -> Kind:
    """16 bits of grey, of which the least is white, packed by LibTIFF."""
    buffer = io.BytesIO()
    image = Image.fromarray((255 - GREY[..., 0]).astype(np.uint16) * 257)
    image.save(buffer, "TIFF", compression=compression, tiffinfo={262: 0})
    return file(buffer.getvalue(), outcome)


def run_lengths() -> bytes:
    """A Targa file as Pillow packs it, whose header then gives no bits to the opacity."""
    buffer = io.BytesIO()
    Image.fromarray(FOUR).save(buffer, "TGA", compression="tga_rle")
    data = bytearray(buffer.getvalue())
    data[17] &= 0xF0
    return bytes(data)


TURNED = {274: ("H", 6)}  # a quarter to the right
PREMULTIPLIED = np.dstack([COLOURS * np.uint16(257) // 2, np.full_like(GREY, 0) + np.uint16(32768)])
HALF = np.dstack([COLOURS, np.full_like(GREY, 128)])
DEEP = COLOURS.astype(np.uint16) * 257
CUT = pages(Page(of_bits(GREY, 12), 12))

GOOD: dict[str, Kind] = {
    "12 bits.tif": by_hand(GREY_SHOWN, Page(of_bits(GREY, 12), 12)),
    "12 bits, big-endian.tif": by_hand(GREY_SHOWN, Page(of_bits(GREY, 12), 12), order=">"),
    "10 bits.tif": by_hand(GREY_SHOWN, Page(of_bits(GREY, 10), 10)),
    "14 bits, deflate.tif": by_hand(GREY_SHOWN, Page(of_bits(GREY, 14), 14, packed=True)),
    "12 bits of colours.tif": by_hand(COLOURS, Page(of_bits(COLOURS, 12), 12, 2)),
    "4 bits of colours.tif": by_hand(levels(4, COLOURS), Page(of_bits(COLOURS, 4), 4, 2)),
    "min is white.tif": by_hand(GREY_SHOWN, Page(of_bits(255 - GREY, 16), 16, 0)),
    "min is white, tiles.tif": by_hand(
        GREY_SHOWN, Page(of_bits(255 - GREY, 16), 16, 0, tile=(16, 32), packed=True)
    ),
    "min is white, 12 bits.tif": by_hand(GREY_SHOWN, Page(of_bits(255 - GREY, 12), 12, 0)),
    "min is white, alpha.tif": by_hand(GREY_FOUR, Page(np.dstack([255 - GREY, ALPHA]), 8, 0, extras=(2,))),
    "min is white, floats.tif": by_tifffile(
        (1 - GREY[..., 0] / 255).astype(np.float32), GREY_SHOWN, photometric="miniswhite"
    ),
    "min is white, lzw.tif": packed("tiff_lzw", GREY_SHOWN),
    "min is white, packbits.tif": packed("packbits", GREY_SHOWN),
    "bits from the other end.tif": by_hand(COLOURS, Page(of_bits(COLOURS, 12), 12, 2, fill_order=2)),
    "12 bits, turned.tif": by_hand(np.rot90(COLOURS, -1), Page(of_bits(COLOURS, 12), 12, 2, tags=TURNED)),
    "planes of 12 bits.tif": by_hand(COLOURS, Page(of_bits(COLOURS, 12), 12, 2, planar=True, packed=True)),
    "1x1 of 12 bits.tif": by_hand(GREY_SHOWN[:1, :1], Page(of_bits(GREY[:1, :1], 12), 12)),
    "planes of 16 bits.tif": by_hand(COLOURS, Page(DEEP, 16, 2, planar=True)),
    "planes of 16 bits, tiles.tif": by_hand(
        COLOURS, Page(DEEP, 16, 2, planar=True, tile=(32, 16)), order=">"
    ),
    "planes of 8 bits.tif": by_hand(COLOURS, Page(COLOURS, 8, 2, planar=True)),
    "planes with alpha.tif": by_hand(FOUR, Page(of_bits(FOUR, 16), 16, 2, planar=True, extras=(2,))),
    "planes of inks.tif": by_hand(INKS_SHOWN, Page(of_bits(FOUR, 16), 16, 5, planar=True)),
    "grey alpha, 16 bits.tif": by_hand(
        GREY_FOUR, Page(of_bits(np.dstack([GREY, ALPHA]), 16), 16, extras=(2,))
    ),
    "grey alpha 999.tif": by_hand(GREY_FOUR, Page(np.dstack([GREY, ALPHA]), 8, extras=(999,))),
    "multiplied, 16 bits.tif": by_hand(HALF, Page(PREMULTIPLIED, 16, 2, extras=(1,))),
    "one sample more.tif": by_hand(GREY_SHOWN, Page(np.dstack([GREY, ALPHA]), 8, extras=(0,))),
    "half floats.tif": by_tifffile(
        (GREY[..., 0] / 255).astype(np.float16), GREY_SHOWN, photometric="minisblack"
    ),
    "floats of colours.tif": by_tifffile((COLOURS / 255).astype(np.float32), COLOURS, photometric="rgb"),
    "doubles.tif": by_tifffile(COLOURS / 255, COLOURS, photometric="rgb", planarconfig="contig"),
    "32 bits.tif": by_tifffile(GREY[..., 0] * np.uint32(16843009), GREY_SHOWN, photometric="minisblack"),
    "32 bits of 8.tif": by_tifffile(GREY[..., 0].astype(np.int32), GREY_SHOWN, photometric="minisblack"),
    "ycbcr.tif": by_hand(
        np.asarray(Image.fromarray(COLOURS, mode="YCbCr").convert("RGB")),
        Page(COLOURS, 8, 6, tags={530: ("H", 1, 1)}),
    ),
    "big.tif": by_tifffile(DEEP, COLOURS, photometric="rgb", bigtiff=True, byteorder="<"),
    "thumbnail first.tif": by_hand(COLOURS, thumbnail(), Page(COLOURS, 8, 2)),
    "thumbnail first, deep.tif": by_hand(COLOURS, thumbnail(255, 2), Page(DEEP, 16, 2, planar=True)),
    "mask first.tif": by_hand(COLOURS, Page(ALPHA, 8, tags={254: ("I", 4)}), Page(COLOURS, 8, 2)),
    "full picture inside.tif": by_hand(COLOURS, thumbnail(inside=[thumbnail(), Page(COLOURS, 8, 2)])),
    "pyramid.tif": by_hand(COLOURS, Page(COLOURS, 8, 2, inside=[thumbnail()]), thumbnail()),
    "1 bit, transparent.png": transparent(1, 0),
    "2 bits, transparent.png": transparent(2, 0),
    "4 bits, transparent.png": transparent(4, 0),
    "16 bits, transparent.png": transparent(16, 0),
    "16 bits, transparent colour.png": transparent(16, 2),
    "no attribute bits.tga": file(targa(np.dstack([COLOURS, ALPHA * 0]), 0), COLOURS),
    "no attribute bits, noise.tga": file(targa(FOUR, 0), COLOURS),
    "no attribute bits, run lengths.tga": file(run_lengths(), COLOURS),
    "attribute bits of zeros.tga": file(targa(np.dstack([COLOURS, ALPHA * 0]), 8), COLOURS),
    "attribute bits.tga": file(targa(FOUR, 8), FOUR),
    "grey targa.tga": file(targa(np.dstack([GREY, ALPHA]), 8, kind=3), GREY_FOUR),
    "no opacity.bmp": bitmap(ALPHA * 0, COLOURS),
    "opacity.bmp": bitmap(ALPHA, FOUR),
    "netpbm, 16 bits.pgm": file(b"P5 64 48 65535\n" + DEEP[..., 0].astype(">u2").tobytes(), GREY_SHOWN),
    "netpbm, 12 bits.pgm": file(b"P5 64 48 4095\n" + of_bits(GREY, 12).astype(">u2").tobytes(), GREY_SHOWN),
}

BAD: dict[str, Kind] = {
    "negative.tif": by_hand(RAW.format("DNG"), thumbnail(50706, 1, inside=[Page(GREY, 8, 32803)])),
    "mosaic.tif": by_hand(RAW.format("a TIFF of single colours"), Page(GREY, 8, 32803)),
    "canon.tif": file(b"II*\0\x10\0\0\0CR\2\0" + bytes(100), RAW.format("CR2")),
    "canon 3.jpg": file(b"\0\0\0\x18ftypcrx " + bytes(100), RAW.format("CR3")),
    "fuji.jpg": file(b"FUJIFILMCCD-RAW 0201" + bytes(100), RAW.format("RAF")),
    "signed.tif": by_hand("(grey, 16 signed bits) is not read", Page(GREY.astype(np.int16), 16, format=2)),
    "negative numbers.tif": by_tifffile(GREY[..., 0].astype(np.int32) - 9, "wanted 0 to 255, or 0 to 65535"),
    "inks with alpha.tif": by_hand(
        "(CMYK, 8 bits, with opacity) is not read", Page(np.dstack([FOUR, ALPHA]), 8, 5, extras=(2,))
    ),
    "subsampled, uncompressed.tif": by_hand("(YCbCr, 8 bits) is not read", Page(COLOURS, 8, 6)),
    "twelve bits of jpeg.tif": by_hand(
        "(grey, 12 bits, compression jpeg) is not read", Page(of_bits(GREY, 12), 12, tags={259: ("H", 7)})
    ),
    "nine samples.tif": by_hand(
        "(RGB, 8 bits, 6 extra samples) is not read", Page(np.dstack([COLOURS] * 3), 8, 2, extras=(0,) * 6)
    ),
    "big, of the other order.tif": by_tifffile(DEEP, "of big-endian numbers", bigtiff=True, byteorder=">"),
    "half a deep one.tif": file(CUT[: len(CUT) // 2], "the TIFF file is cut off or damaged"),
    "light.tif": by_tifffile(np.float16([[0, 3]]), "with values from 0 to 3; wanted 0 to 1"),
}
