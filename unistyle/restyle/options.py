"""How a photo is restyled: the options that are the same for every style."""

from dataclasses import dataclass

from unistyle.network.model import SMALLEST

MAX_SIZE = 1024  # pixels; the network has seen objects of a few hundred, and larger ones get a finer grain
COLORS = ("style", "keep")


@dataclass(frozen=True)
class Look:
    """How a result is made of a photo and what the network gives. Raises ValueError for an option out of range."""

    strength: float
    """0 leaves the photo, 1 is the full style."""

    color: str
    """One of COLORS: the colours of the style, or those of the photo with the luminance of the style."""

    max_size: int | None
    """The longer side, in pixels, at which the network sees a photo at most; None: no limit."""

    def __post_init__(self):
        if not 0 <= self.strength <= 1:
            raise ValueError(
                f"strength {self.strength}; wanted a number from 0 (the photo) to 1 (the full style)"
            )
        if self.color not in COLORS:
            raise ValueError(f"color {self.color!r}; wanted one of {', '.join(COLORS)}")
        if self.max_size is not None and self.max_size < SMALLEST:
            raise ValueError(
                f"max_size {self.max_size}; wanted {SMALLEST} pixels or more, or None for no limit"
            )
