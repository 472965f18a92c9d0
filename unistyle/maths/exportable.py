"""Resizing for export: as products with matrices whose sizes may be unknown until the program runs.

The operations by which the network resizes do not export to ONNX with free sizes: adaptive pooling, antialiased
interpolation, and the choice between pooling and interpolation. Sizes are whole numbers, or torch's symbols for them.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def _pooling(n: int, size: int, device: torch.device) -> Tensor:
    """What `F.adaptive_avg_pool1d` does to n values, as a matrix `size n`."""
    i, j = torch.arange(size, device=device)[:, None], torch.arange(n, device=device)
    inside = ((j >= i * n // size) & (j < ((i + 1) * n + size - 1) // size)).float()
    return inside / inside.sum(1, keepdim=True)


def _bilinear(n: int, size: int, device: torch.device) -> Tensor:
    """What `F.interpolate` does to n values in its mode "linear", as a matrix `size n`."""
    i, j = (torch.arange(k, device=device, dtype=torch.float32) for k in (size, n))
    at = ((i + 0.5) * (n / size) - 0.5).clamp(min=0).clamp(max=n - 1)
    return (1 - (j - at[:, None]).abs()).clamp_min(0)


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
    sides = list(zip(w.shape[-2:], size, strict=True))
    room = torch.stack([torch.scalar_tensor(n - k, device=w.device) for n, k in sides])
    smaller = (room >= 0).all()
    rows, columns = (
        torch.where(smaller, _pooling(n, k, w.device), _bilinear(n, k, w.device)) for n, k in sides
    )
    return rows @ w @ columns.mT
