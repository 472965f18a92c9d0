"""Resizing for export, where sizes may be unknown until the program runs: products with matrices in place of pooling,
and both of two ways in place of a choice between them.

The operations by which the network resizes do not export to ONNX with free sizes: adaptive pooling, antialiased
interpolation, and the choice between pooling and interpolation. Sizes are whole numbers, or torch's symbols for them.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def _pooling(n: int, size: int, device: torch.device) -> Tensor:
    """What `F.adaptive_avg_pool1d` does to n values, as a matrix `size n`."""
    start, j = (torch.arange(k, device=device) for k in (size, n))
    # From floor(i n / size) to ceil((i + 1) n / size), without the two divisions of whole numbers.
    past = j * size - start[:, None] * n
    inside = ((past > -size) & (past < n)).float()
    return inside / inside.sum(1, keepdim=True)


def _antialiased(n: int, size: int, device: torch.device) -> Tensor:
    """The same with `antialias=True` for a `size` of n at most, for which it is the identity."""
    i, j = (torch.arange(k, device=device, dtype=torch.float32) for k in (size, n))
    distance = (j + 0.5 - (i[:, None] + 0.5) * (n / size)).abs()
    weight = (1 - distance * (size / n)).clamp_min(0)
    return weight / weight.sum(1, keepdim=True)


def shrink(x: Tensor, size: Sequence[int]) -> Tensor:
    """`F.interpolate(x, size, mode="bilinear", antialias=True)` of `b c h w`, for a size that is not larger."""
    rows, columns = (_antialiased(n, k, x.device) for n, k in zip(x.shape[-2:], size, strict=True))
    return rows @ x @ columns.mT


def pooled(x: Tensor, size: Sequence[int]) -> Tensor:
    """`F.adaptive_avg_pool2d` of `b c h w`."""
    rows, columns = (_pooling(n, k, x.device) for n, k in zip(x.shape[-2:], size, strict=True))
    return rows @ x @ columns.mT


def resize_regions(w: Tensor, size: Sequence[int]) -> Tensor:
    """`unistyle.maths.resizing.resize_regions`, which goes through here while a program is exported."""
    sides = zip(w.shape[-2:], size, strict=True)
    room = torch.stack([torch.scalar_tensor(n - k, device=w.device) for n, k in sides])
    larger = F.interpolate(w, size=list(size), mode="bilinear", align_corners=False)
    return torch.where((room >= 0).all(), pooled(w, size), larger)
