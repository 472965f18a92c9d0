"""The picture of a TIFF file in samples of 8 bits."""

import numpy as np
from PIL import Image

from unistyle.files.decoding import samples
from unistyle.files.decoding.layout import FLOAT, ICCLAB, MIN_IS_WHITE, UNSIGNED, YCBCR, Layout
from unistyle.files.decoding.segments import Segments

FULL = 1 << 24  # a number of 32 bits from here on shows as more than black where all 32 are meant


def picture(segments: Segments, layout: Layout) -> np.ndarray:
    """The colours, and the opacity where there is one, as uint8 (height, width, samples).

    0 is black (of CMYK: no ink), the colours are not multiplied by the opacity, Lab is CIE's (a and b are signed), and
    YCbCr is RGB.
    Raises ImageError for numbers of which the white is not known.
    """
    wanted = list(range(layout.colours))
    if layout.opacity is not None:
        wanted.append(layout.opacity)
    out = _scaled(segments, layout, wanted)
    if layout.photometric == MIN_IS_WHITE:
        out[..., 0] = 255 - out[..., 0]
    if layout.photometric == YCBCR:
        out = np.array(Image.fromarray(out, mode="YCbCr").convert("RGB"))
    if layout.photometric == ICCLAB:  # whose a and b have 128 for 0
        out[..., 1:] ^= 128
    return out


def _scaled(segments: Segments, layout: Layout, wanted: list[int]) -> np.ndarray:
    bits, what = layout.bits[0], f"image ({layout.described()})"
    if layout.associated:
        return _divided(segments.read(wanted, layout.dtype), bits, what)
    if layout.formats[0] == FLOAT:
        return segments.read(wanted, np.uint8, lambda values: samples.floats(values, what))
    if bits <= 16:
        # As Pillow reads the colours of 16 bits that it reads: one picture looks the same in every layout.
        cut = bits == 16 and layout.colours > 1
        return segments.read(wanted, np.uint8, lambda values: samples.eight_bits(values, bits, cut))
    values = segments.read(wanted, layout.dtype)
    if layout.formats[0] == UNSIGNED and values.max() >= FULL:
        return (values >> 24).astype(np.uint8)
    return samples.whole_numbers(values, what)


def _divided(values: np.ndarray, bits: int, what: str) -> np.ndarray:
    """Colours that were multiplied by the opacity, the last sample, without that."""
    if values.dtype.kind == "f":
        opacity = samples.floats(values[..., -1:], what)
        samples.floats(values, what)
    else:
        opacity = samples.eight_bits(values[..., -1:], bits)
    numbers = values.astype(np.float32)
    shares = numbers[..., :-1] / np.maximum(numbers[..., -1:], np.float32(1e-6))
    colours = np.where(numbers[..., -1:] > 0, shares.clip(0, 1) * 255, 0).round().astype(np.uint8)
    return np.concatenate([colours, opacity], axis=2)
