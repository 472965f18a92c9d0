"""How a photo is restyled: the options that are the same for every style."""

from dataclasses import dataclass
from numbers import Integral, Real

from unistyle.network.model import SIGHT, SMALLEST

# Pixels of the short side: as many as materials are looked for at, so that the encoder runs once. The network has seen
# objects of a few hundred; larger ones get a finer grain, further from the style's (docs/trials.md). Fine edges are the
# photo's own, whatever its size.
MAX_SIZE = SIGHT
TEXTURE_SCALE = (
    8.0  # times larger or smaller than it comes: beyond it a texture is a colour, or a single shape
)
COLORS = ("style", "keep")


@dataclass(frozen=True)
class Look:
    """How a result is made of a photo and what the network gives. Raises ValueError for an option out of range."""

    strength: float
    """0 leaves the photo, 1 is the full style."""

    color: str
    """One of COLORS: the colours of the style, or those of the photo with the luminance of the style."""

    max_size: int | None
    """The short side, in pixels, at which the network sees a photo at most; None: no limit."""

    structure: float | None = None
    """How much of a style's sample takes the place of the stylizer's picture; None: as much as the style asks for."""

    texture_scale: float = 1.0
    """How large the texture of a sample is, 1 as it comes; from 1/TEXTURE_SCALE to TEXTURE_SCALE."""

    def __post_init__(self):
        for name in ("strength", "structure", "texture_scale", "max_size"):
            _number(name, getattr(self, name), Integral if name == "max_size" else Real)
        if not 0 <= self.strength <= 1:
            raise ValueError(
                f"strength {self.strength}; wanted a number from 0 (the photo) to 1 (the full style)"
            )
        if self.structure is not None and not 0 <= self.structure <= 1:
            raise ValueError(
                f"structure {self.structure}; wanted a number from 0 (the style's statistics alone) to 1 (its sample "
                "wherever it is the stronger)"
            )
        if not 1 / TEXTURE_SCALE <= self.texture_scale <= TEXTURE_SCALE:
            raise ValueError(
                f"texture_scale {self.texture_scale}; wanted a number from {1 / TEXTURE_SCALE:g} to {TEXTURE_SCALE:g}, "
                "1 as it comes"
            )
        if self.color not in COLORS:
            raise ValueError(f"color {self.color!r}; wanted one of {', '.join(COLORS)}")
        if self.max_size is not None and self.max_size < SMALLEST:
            raise ValueError(
                f"max_size {self.max_size}; wanted {SMALLEST} pixels or more, or None for no limit"
            )


def _number(name: str, value: object, kind: type) -> None:
    if value is None and name in ("structure", "max_size"):
        return
    if not isinstance(value, kind) or isinstance(value, bool):
        wanted = "a whole number" if kind is Integral else "a number"
        raise ValueError(f"{name} is {value!r:.60} ({type(value).__name__}); wanted {wanted}")
