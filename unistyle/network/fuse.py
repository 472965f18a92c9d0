"""The stylizer's picture and the laid one become one, band by band of a pyramid: in each band the stronger one wins.

Edges, eyes and folds are strong in the photo, planks and stitches in the laid picture. Where the photo is the stronger,
the stylizer's picture of it is taken; that picture's own grain has no say, or it would keep the material's out
(docs/trials.md). What wins is decided on grids of REFERENCE pixels a side and below, whatever the photo's size, so that
a photo becomes the same thing at every size. What is finer than that follows the finest of these bands.

Sources: Burt and Adelson, "The Laplacian Pyramid as a Compact Image Code"; for the choice by strength, Burt and
Kolczynski, "Enhanced Image Capture Through Fusion", section 2.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from unistyle.maths import exportable
from unistyle.maths.features import luminance, moments, regional_adain
from unistyle.maths.resizing import part_of, resize_regions, to_size
from unistyle.network.laying import REFERENCE, Samples, laid_picture, shares

LEVELS = 4  # bands of the grid of REFERENCE pixels
FIRMNESS = 4.0  # power of a band's strength: the larger, the more the stronger of two takes all
FAINT = 1e-3  # strength, in [0, 1], below which a band is nothing


def grids_of(size: Sequence[int]) -> list[list[int]]:
    """(height, width) of the grids on which a photo of a (height, width) is decided, each half as large as the one
    before, rounded up."""
    scale = min(1.0, REFERENCE / max(size))
    grids = [[max(1, round(side * scale)) for side in size]]
    for _ in range(LEVELS):
        grids.append([(side + 1) // 2 for side in grids[-1]])
    return grids


def fused(own: Tensor, laid: Tensor, decided: Tensor) -> Tensor:
    """The stylizer's picture and the laid one, `b 3 h w` in [0, 1], as one. decided: `decide`, brought to their
    size."""
    change, between, gate = decided.split((3, 3, 1), dim=1)
    return torch.addcmul(own + change, gate, laid - own + between).clamp(0, 1)


def decide(
    photo: Tensor, own: Tensor, laid: Tensor, structure: Tensor, grids: Sequence[Sequence[int]]
) -> Tensor:
    """What wins in three pictures `b 3 h w` in [0, 1] of a grid, in the numbers that `fused` takes, `b 7 h w`: what is
    added to the stylizer's picture, `own`; how much lighter that is than the laid one; and how much of what is finer
    than the grid is the laid one's. photo: with the contrast of the stylizer's picture. structure: how much the laid
    picture may win at each place, `b 1 . .` in [0, 1]. grids: see `grids_of`."""
    bands, gates = [], []
    # One tensor, so that each step of the pyramid is one operation.
    x = torch.cat([own, laid, luminance(photo), resize_regions(structure, grids[0])], dim=1)
    for size, half in pairwise(grids):
        low = _half(x, half)
        mine, theirs, edges = (x[:, :7] - to_size(low[:, :7], size)).split((3, 3, 1), dim=1)
        gates.append(_gate(edges, theirs) * x[:, 7:])
        bands.append(torch.lerp(mine, theirs, gates[-1]))
        x = low
    # What is left below is the stylizer's, whose light and colours are right already.
    fused = x[:, :3]
    for band, size in zip(reversed(bands), reversed(grids[:-1]), strict=True):
        fused = to_size(fused, size) + band
    return torch.cat([fused - own, own - laid, gates[0]], dim=1)


def _reduced(x: Tensor, grid: Sequence[int]) -> Tensor:
    """Means over areas: `resize_regions`, many times as fast where a pixel of the grid is a whole number of pixels."""
    factor = x.shape[-2] // grid[0]
    if [factor * side for side in grid] == list(x.shape[-2:]):
        return F.avg_pool2d(x, factor) if factor > 1 else x
    return resize_regions(x, grid)


def _half(x: Tensor, half: Sequence[int]) -> Tensor:
    """Half as large, rounded up."""
    if torch.compiler.is_exporting():
        return exportable.pooled(x, half)
    return _reduced(x, half)


def _gate(photo: Tensor, laid: Tensor) -> Tensor:
    """How much of a band the laid picture wins, `b 1 h w`, by the strengths of photo and laid picture around each
    place."""
    both = torch.cat([x.abs().mean(1, keepdim=True) for x in (photo, laid)], dim=1)
    weak, strong = (F.avg_pool2d(both, 5, 1, 2, count_include_pad=False) + FAINT).log().split(1, dim=1)
    return (FIRMNESS * (strong - weak)).sigmoid()


class Laid(NamedTuple):
    """What is laid over photos, and where it takes the place of the stylizer's picture."""

    samples: Samples
    """What is laid in each region."""

    share: Tensor
    """How much of each region is at each place, `b k . .`."""

    moved: tuple[float, float]
    """By how much the picture has moved up and left since a video began, as shares of its sides."""

    decided: Tensor
    """`decide`, on the grid of the photos."""

    def over(
        self, own: Tensor, size: Sequence[int], rows: tuple[int, int], columns: tuple[int, int]
    ) -> Tensor:
        """Rows and columns (from, to) of photos of (height, width): the stylizer's picture of them, `b 3 h w` in [0,
        1], with the samples in it."""
        laid = laid_part(self.samples, self.share, self.moved, size, rows, columns)
        return fused(own, laid, part_of(self.decided, size, rows, columns))


def lay_over(
    photo: Tensor, own: Tensor, regions: Tensor, samples: Samples, moved: tuple[float, float] = (0.0, 0.0)
) -> Laid:
    """What is laid over photos of which the stylizer made `own`, both `b 3 h w` in [0, 1]. regions: `b k . .`; moved:
    as in `Laid`."""
    grids, share = grids_of(own.shape[-2:]), shares(regions)
    grid = grids[0]
    laid = laid_part(samples, share, moved, grid, (0, grid[0]), (0, grid[1]))
    photo, own = _reduced(torch.cat([photo.float(), own.float()], dim=1), grid).chunk(2, dim=1)
    decided = decide(alike(photo, own, regions), own, laid, structure_of(samples, share), grids)
    return Laid(samples, share, moved, decided)


def alike(photo: Tensor, own: Tensor, regions: Tensor) -> Tensor:
    """The photo with the colours and contrast that the stylizer's picture has inside each region."""
    w = resize_regions(regions.float(), photo.shape[-2:])
    return regional_adain(photo, w, *moments(own, w))


def structure_of(samples: Samples, share: Tensor) -> Tensor:
    """How much the laid picture may win at each place, `b 1 . .`, by the regions' shares `b k . .`."""
    return (share * samples.structure[..., None, None]).sum(1, keepdim=True)


def laid_part(
    samples: Samples,
    share: Tensor,
    moved: tuple[float, float],
    size: Sequence[int],
    rows: tuple[int, int],
    columns: tuple[int, int],
) -> Tensor:
    """Rows and columns (from, to) of the laid picture of photos of (height, width), `b 3 h w`."""
    down, right = (part * side for part, side in zip(moved, size, strict=True))
    part = share if share.shape[1] == 1 else part_of(share, size, rows, columns)
    return laid_picture(samples, part, size, rows, columns, (down, right))
