"""Samples of any depth as samples of 8 bits."""

from functools import lru_cache

import numpy as np

from unistyle.errors import ImageError


@lru_cache(maxsize=16)
def _table(bits: int, cut: bool) -> np.ndarray:
    values = np.arange(1 << bits)
    return (values >> (bits - 8) if cut else (values * (255 / values[-1])).round()).astype(np.uint8)


def eight_bits(values: np.ndarray, bits: int, cut: bool = False) -> np.ndarray:
    """Whole numbers of up to 16 bits (dtype uint8 or uint16, any shape), of which the largest is white, as uint8.

    They are scaled and rounded. cut: their upper 8 bits are taken instead, as Pillow takes those of colours of 16 bits.
    """
    return _table(bits, cut)[values]


def whole_numbers(values: np.ndarray, what: str) -> np.ndarray:
    """Whole numbers of more than 16 bits as uint8, where nothing says which of them is white.

    Programs keep 8 and 16 bits in such numbers: up to 255 they are taken for 8 bits, and up to 65535 for 16. (Of 16
    bits, a picture without any value above 255 would be black.) what: names the picture in the message. Raises
    ImageError for numbers beyond 65535, and below 0.
    """
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise out_of_range(what, low, high, "0 to 255, or 0 to 65535")
    return values.astype(np.uint8) if high <= 255 else eight_bits(values.astype(np.uint16), 16)


def floats(values: np.ndarray, what: str) -> np.ndarray:
    """Floats from 0, black, to 1, white, as uint8. Raises ImageError for others, such as NaN and light beyond white."""
    low, high = float(values.min()), float(values.max())  # NaN, where there is one
    if not (low >= 0 and high <= 1):
        raise out_of_range(what, low, high, "0 to 1")
    return (values.astype(np.float32) * 255).round().astype(np.uint8)


def out_of_range(what: str, low: float, high: float, wanted: str) -> ImageError:
    """The error for samples that are not in the range in which their white is known."""
    return ImageError(
        f"{what} with values from {low:g} to {high:g}; wanted {wanted}, save it with 8 or 16 bits"
    )
