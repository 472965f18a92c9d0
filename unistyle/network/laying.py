"""The sample of a material laid over a photo: repeated over the photo's own coordinates, and with finer grain than it
has where it is enlarged.

Source of the grain: in natural pictures each octave of frequencies is about as strong as the next one (Field,
"Relations between the statistics of natural images and the response properties of cortical cells", section 3).
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from einops import einsum
from torch import Tensor

# Pixels of a photo's longer side at which a pixel of a tile is one of the photo. A texture is as large a part of a
# large photo as of a small one.
REFERENCE = 256
FINER = 3  # octaves of grain at most, each half as large as the one before
FAINTER = 0.7  # strength of an octave in that of the one before


class Samples(NamedTuple):
    """What is laid in each region of a photo."""

    tiles: Tensor
    """Pictures that repeat without a seam, `b k 3 t t` in [0, 1]."""

    structure: Tensor
    """How much of them may take the place of the stylizer's picture, `b k` in [0, 1]; 0: nothing is laid."""

    texture_scale: float = 1.0
    """How large the texture is; 1 as it comes."""


def longest(size: Sequence[int]) -> float | Tensor:
    """The longer of (height, width); a tensor while a program is exported, whose sizes are symbols."""
    if torch.compiler.is_exporting():
        return torch.stack([torch.scalar_tensor(side) for side in size]).max()
    return max(size)


def lay(
    tiles: Tensor,
    scale: float | Tensor,
    rows: tuple[int, int],
    columns: tuple[int, int],
    offset: tuple[float, float] = (0.0, 0.0),
) -> Tensor:
    """Tiles `b k 3 t t` repeated over the rows and columns (from, to) of a plane, `b k 3 h w`. scale: pixels of the
    plane for each pixel of a tile; where it is below 1, fine detail is averaged. offset: rows and columns, in pixels,
    by which the plane begins further down and right."""
    spans = zip((rows, columns), offset, strict=True)
    down, across = (_taken(tiles.shape[-1], scale, *span, before, tiles.device) for span, before in spans)
    return down @ tiles @ across.mT


def lay_with_grain(
    tiles: Tensor,
    scale: float | Tensor,
    rows: tuple[int, int],
    columns: tuple[int, int],
    offset: tuple[float, float] = (0.0, 0.0),
) -> Tensor:
    """`lay`, which where it enlarges gives soft pictures: the finest band of the tiles is laid again at a half, a
    quarter and an eighth of the scale, as far as a pixel can show it."""
    laid, finest = lay(tiles, scale, rows, columns, offset), None
    for octave in range(1, FINER + 1):
        smaller = scale / 2**octave
        shown = (2 * smaller - 1).clamp(0, 1) if isinstance(scale, Tensor) else min(1.0, 2 * smaller - 1)
        if not isinstance(shown, Tensor) and shown <= 0:
            break
        finest = _finest_band(tiles) if finest is None else finest
        laid = laid + FAINTER**octave * shown * lay(finest, smaller, rows, columns, offset)
    return laid.clamp(0, 1)


def _finest_band(tiles: Tensor) -> Tensor:
    """What tiles `b k 3 t t` lose where they are halved."""
    side = tiles.shape[-1]
    half = lay(tiles, 0.5, (0, side // 2), (0, side // 2))
    return tiles - lay(half, 2.0, (0, side), (0, side))


def _taken(
    n: int, scale: float | Tensor, start: int, stop: int, offset: float, device: torch.device
) -> Tensor:
    """How much of each of n repeating values is in each value from start to stop, a matrix `stop - start, n`: bilinear
    interpolation, and where that reduces, with a kernel as wide as the steps."""
    at = (
        torch.arange(start, stop, device=device, dtype=torch.float32)[:, None] + (offset + 0.5)
    ) / scale - 0.5
    far = (at - torch.arange(n, device=device)).remainder(n)
    width = scale.clamp(max=1) if isinstance(scale, Tensor) else min(1.0, scale)
    weight = (1 - torch.minimum(far, n - far) * width).clamp_min(0)
    return weight / weight.sum(1, keepdim=True)


def shares(regions: Tensor) -> Tensor:
    """How much of each region is at each place, `b k h w`, also where there is none of any; they sum to 1."""
    w = regions.float() + 1e-4
    return w / w.sum(1, keepdim=True)


def laid_picture(
    samples: Samples,
    share: Tensor,
    size: Sequence[int],
    rows: tuple[int, int],
    columns: tuple[int, int],
    offset: tuple[float, float] = (0.0, 0.0),
) -> Tensor:
    """Rows and columns (from, to) of the laid picture of a photo of (height, width), `b 3 h w` in [0, 1]. share: of
    each region there, `b k h w`. offset: as in `lay`."""
    scale = longest(size) / REFERENCE * samples.texture_scale
    each = lay_with_grain(samples.tiles.float(), scale, rows, columns, offset)
    if not torch.compiler.is_exporting() and each.shape[1] == 1:
        return each[:, 0]
    return einsum(each, share, "b k c h w, b k h w -> b c h w")
