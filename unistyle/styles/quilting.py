"""A tile of a material that repeats without a seam, quilted from a picture of it.

Source: Efros and Freeman, "Image Quilting for Texture Synthesis and Transfer", section 2. Here the blocks lie on a
torus: the last row and column also meet the first.
"""

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

BLOCK = 0.4  # side of a block, of the picture's short side
OVERLAP = 0.12  # how much of that side neighbouring blocks share
LEAST = 32  # pixels of a block's side, at least
CHOICE = 3  # a block is one of so many that fit best


def quilt(picture: Tensor, side: int, seed: int = 0) -> Tensor:
    """A picture `1 3 h w` in [0, 1] of a material, LEAST + 1 pixels a side or more -> a tile `1 3 side side` of it that
    repeats without a seam. The same for the same picture and seed."""
    short = min(picture.shape[-2:])
    wanted, overlap = min(max(LEAST, int(BLOCK * short)), short - 1), max(8, int(OVERLAP * short))
    overlap = min(overlap, wanted // 3)
    count = max(2, -(-side // (wanted - overlap)))
    edges = [round(i * side / count) for i in range(count + 1)]
    rng, tile = np.random.default_rng(seed), torch.zeros(1, 3, side, side)
    filled = torch.zeros(side, side, dtype=torch.bool)
    for top, bottom in pairwise(edges):
        for left, right in pairwise(edges):
            rows = torch.arange(top, bottom + overlap) % side
            columns = torch.arange(left, right + overlap) % side
            place = (..., rows[:, None], columns)
            old, known = tile[place], filled[place]
            new = _fitting(picture, old, known, rng)
            take = _cut(((new - old) ** 2).sum(1)[0], known, overlap)
            tile[place] = torch.where(take, new, old)
            filled[place] = True
    return tile


def _fitting(picture: Tensor, old: Tensor, known: Tensor, rng: np.random.Generator) -> Tensor:
    """A block of the picture that fits what is `known` (h w) of `old` (1 3 h w)."""
    height, width = known.shape
    rows, columns = (side - n + 1 for side, n in zip(picture.shape[-2:], (height, width), strict=True))
    if known.any():
        mask = known.float()
        cost = _correlated(picture.square(), mask.expand_as(old)) - 2 * _correlated(picture, old * mask)
        best = cost.flatten().topk(min(CHOICE, rows * columns), largest=False).indices
        at = int(best[int(rng.integers(len(best)))])
    else:
        at = int(rng.integers(rows * columns))
    top, left = divmod(at, columns)
    return picture[..., top : top + height, left : left + width]


def _correlated(picture: Tensor, block: Tensor) -> Tensor:
    """The sum over channels of the products of a block with every place of a picture where it fits, `h w`. By Fourier
    transforms, which for such large kernels are many times as fast as a convolution."""
    size = picture.shape[-2:]
    product = torch.fft.rfft2(picture.double()) * torch.fft.rfft2(block.double(), s=size).conj()
    rows, columns = (side - n + 1 for side, n in zip(size, block.shape[-2:], strict=True))
    return torch.fft.irfft2(product.sum(1), s=size)[0, :rows, :columns]


def _cut(error: Tensor, known: Tensor, overlap: int) -> Tensor:
    """Where a new block is taken, `h w`: where nothing is known, and beyond the cut of least `error` (h w) through each
    overlap."""
    take, wide = torch.ones_like(known), error.numpy()
    middle = [side // 2 for side in known.shape]
    if known[middle[0], 0]:
        take[:, :overlap] &= torch.from_numpy(_beyond(wide[:, :overlap]))
    if known[middle[0], -1]:
        take[:, -overlap:] &= torch.from_numpy(_beyond(wide[:, : -overlap - 1 : -1])[:, ::-1].copy())
    if known[0, middle[1]]:
        take[:overlap] &= torch.from_numpy(_beyond(wide[:overlap].T).T.copy())
    if known[-1, middle[1]]:
        take[-overlap:] &= torch.from_numpy(_beyond(wide[: -overlap - 1 : -1].T).T[::-1].copy())
    return take | ~known


def _beyond(error: np.ndarray) -> np.ndarray:
    """What lies to the right of the path of least error from the first row to the last; bool, of the shape of
    `error`."""
    cost, width = error.astype(np.float64), error.shape[1]
    for row in range(1, len(cost)):
        before = np.pad(cost[row - 1], 1, constant_values=np.inf)
        cost[row] += np.minimum(np.minimum(before[:-2], before[1:-1]), before[2:])
    keep, at = np.zeros(error.shape, bool), int(cost[-1].argmin())
    for row in range(len(cost) - 1, -1, -1):
        keep[row, at:] = True
        if row:
            low = max(0, at - 1)
            at = low + int(cost[row - 1, low : min(width, at + 2)].argmin())
    return keep
