"""Tensors at other sizes. A size is (height, width)."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from unistyle.files.tensors import as_bytes, as_float
from unistyle.maths import exportable


def to_size(x: Tensor, size: Sequence[int], antialias: bool = False) -> Tensor:
    """Bilinear resize of `b c h w` to a size; antialias: for reductions, so that fine detail is averaged.

    A decoder resizes to its skip's real size, never by a factor of two: sizes may be odd.
    """
    return F.interpolate(x, size=list(size), mode="bilinear", align_corners=False, antialias=antialias)


def shrinking(height: int, width: int, longest: float | None, least: int = 1) -> float:
    """By how much to shrink an image, at most 1, so that its longer side is at most `longest` (None: as long as it is);
    of a thin one, so that its short side is still `least`."""
    return 1.0 if longest is None else min(1.0, max(longest / max(height, width), least / min(height, width)))


def within(image: Tensor, longest: float | None, least: int = 1) -> Tensor:
    """Shrink `b c h w`, float in [0, 1] or uint8, as `shrinking` says. Smaller images stay as they are."""
    height, width = image.shape[-2:]
    scale = shrinking(height, width, longest, least)
    if scale == 1:
        return image
    if not image.is_floating_point() and not image.is_cpu:  # PyTorch resizes bytes on the CPU only
        return as_bytes(within(as_float(image), longest, least))
    small = to_size(image, (max(1, round(height * scale)), max(1, round(width * scale))), antialias=True)
    return small.clamp(0, 1) if small.is_floating_point() else small


def short_side(photos: Tensor, side: int) -> Tensor:
    """Photos `b 3 h w` in [0, 1], resized so that the short side is `side` pixels."""
    scale = side / min(photos.shape[-2:])
    size = [max(1, round(length * scale)) for length in photos.shape[-2:]]
    return to_size(photos, size, antialias=True).clamp(0, 1)


def resize_regions(w: Tensor, size: Sequence[int]) -> Tensor:
    """Bring regions `b k h w` to the size of a feature map. Shrinking takes the mean over an area, which keeps the sum
    over regions at most 1."""
    height, width = size
    size = (height, width)
    if torch.compiler.is_exporting():
        return exportable.resize_regions(w, size)
    if tuple(w.shape[-2:]) == size:
        return w
    if w.shape[-2] >= height and w.shape[-1] >= width:
        return F.adaptive_avg_pool2d(w, size)
    return to_size(w, size)


def part_of(
    x: Tensor, size: Sequence[int], rows: tuple[int, int], columns: tuple[int, int], cubic: bool = False
) -> Tensor:
    """Rows and columns (from, to) of `x` (b c h w) resized to `size`, bilinear or cubic, without computing the rest.
    The values are those of `F.interpolate`; beyond the border they repeat the border."""
    if not cubic and (rows, columns) == ((0, size[0]), (0, size[1])):
        return x if tuple(x.shape[-2:]) == tuple(size) else to_size(x.float(), size)
    for dim, (start, stop), side in ((-2, rows, size[0]), (-1, columns, size[1])):
        n = x.shape[dim]
        if n == side:
            x = x.index_select(dim, torch.arange(start, stop, device=x.device).clamp_max(n - 1))
            continue
        # What is needed of x and somewhat more, whatever is rounded how.
        low, high = (math.floor((at + 0.5) * n / side - 0.5) for at in (start, stop - 1))
        low, high = max(0, min(low, n) - 3), min(n, high + 4)
        taken = _taken(n, side, start, stop, cubic, x.device)[:, low:high]
        x = x.narrow(dim, low, high - low).float()
        with torch.autocast(x.device.type, enabled=False):  # values of a picture, not features
            x = taken @ x if dim == -2 else x @ taken.mT
    return x


def _taken(n: int, side: int, start: int, stop: int, cubic: bool, device: torch.device) -> Tensor:
    """How much of each of n values is in each value from start to stop of `side` values, a matrix `stop - start, n`."""
    at = (torch.arange(start, stop, device=device) + 0.5) * (n / side) - 0.5
    first, taken = at.floor(), torch.zeros(stop - start, n, device=device)
    for tap, weight in _taps(at - first, cubic):
        taken.scatter_add_(1, (first + tap).long().clamp(0, n - 1)[:, None], weight[:, None])
    return taken


def _taps(t: Tensor, cubic: bool) -> list[tuple[int, Tensor]]:
    """Neighbours and their weights at a distance t in [0, 1) from the first one. Cubic: the kernel of Keys, "Cubic
    Convolution Interpolation for Digital Image Processing", with a = -0.75."""
    if not cubic:
        return [(0, 1 - t), (1, t)]
    a, distances = -0.75, {tap: (t - tap).abs() for tap in (-1, 0, 1, 2)}
    near = {k: ((a + 2) * d - (a + 3)) * d * d + 1 for k, d in distances.items()}
    far = {k: ((d - 5) * d + 8) * d * a - 4 * a for k, d in distances.items()}
    return [(tap, (near if tap in (0, 1) else far)[tap]) for tap in (-1, 0, 1, 2)]
