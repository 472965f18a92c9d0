"""Tensors at other sizes."""

from collections.abc import Sequence
from functools import reduce
from operator import add

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms import v2

from unistyle.files.tensors import as_bytes, as_float
from unistyle.maths import exportable


def resize_regions(w: Tensor, size: Sequence[int]) -> Tensor:
    """Bring regions `b k h w` to a feature map's (height, width): the mean over an area when shrinking, which
    keeps the sum over regions at most 1."""
    height, width = size
    size = (height, width)
    if torch.compiler.is_exporting():
        return exportable.resize_regions(w, size)
    if tuple(w.shape[-2:]) == size:
        return w
    if w.shape[-2] >= size[0] and w.shape[-1] >= size[1]:
        return F.adaptive_avg_pool2d(w, size)
    return F.interpolate(w, size=size, mode="bilinear", align_corners=False)


def resize(x: Tensor, size: Sequence[int]) -> Tensor:
    """Bilinear resize to (height, width). To the skip's real size, never by a factor of two: sizes may be odd."""
    return F.interpolate(x, size=list(size), mode="bilinear", align_corners=False)


def shrink(photo: Tensor, longest: int | None) -> Tensor:
    """uint8 `b 3 h w` with a longer side of at most `longest`; PyTorch resizes bytes on the CPU alone."""
    if longest is None or max(photo.shape[-2:]) <= longest:
        return photo
    return fit(photo, longest) if photo.is_cpu else as_bytes(fit(as_float(photo), longest))


def part_of_resized(
    x: Tensor, size: Sequence[int], rows: tuple[int, int], columns: tuple[int, int], cubic: bool = False
) -> Tensor:
    """Rows and columns (from, to) of `x` (b c h w) resized to `size`, bilinear or cubic, without the rest of it;
    what `F.interpolate` gives there. Beyond the border, the border."""
    if (rows, columns) == ((0, size[0]), (0, size[1])):
        if tuple(x.shape[-2:]) == tuple(size):
            return x
        return F.interpolate(x.float(), size=list(size), mode="bicubic" if cubic else "bilinear")
    for dim, (start, stop), side in ((-2, rows, size[0]), (-1, columns, size[1])):
        n = x.shape[dim]
        if n == side:
            x = x.index_select(dim, torch.arange(start, stop, device=x.device).clamp_max(n - 1))
            continue
        at = (torch.arange(start, stop, device=x.device) + 0.5) * (n / side) - 0.5
        first = at.floor()
        shape = (-1, 1) if dim == -2 else (-1,)
        parts = [
            x.index_select(dim, (first + tap).long().clamp(0, n - 1)) * weight.reshape(shape)
            for tap, weight in _taps(at - first, cubic)
        ]
        x = reduce(add, parts)
    return x


def _taps(t: Tensor, cubic: bool) -> list[tuple[int, Tensor]]:
    """Neighbours and their weights at a distance t in [0, 1) from the first (cubic: Keys's kernel, a = -0.75)."""
    if not cubic:
        return [(0, 1 - t), (1, t)]
    a, distances = -0.75, {tap: (t - tap).abs() for tap in (-1, 0, 1, 2)}
    near = {k: ((a + 2) * d - (a + 3)) * d * d + 1 for k, d in distances.items()}
    far = {k: ((d - 5) * d + 8) * d * a - 4 * a for k, d in distances.items()}
    return [(tap, (near if tap in (0, 1) else far)[tap]) for tap in (-1, 0, 1, 2)]


def fit(image: Tensor, longest: int | None) -> Tensor:
    """Shrink `b c h w`, float in [0, 1] or uint8, so that its longer side is at most `longest`; smaller
    images, and None, leave it as it is."""
    height, width = image.shape[-2:]
    if longest is None or max(height, width) <= longest:
        return image
    scale = longest / max(height, width)
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    small = F.interpolate(image, size=size, mode="bilinear", antialias=True)
    return small.clamp(0, 1) if small.is_floating_point() else small


def at_side(photos: Tensor, side: int) -> Tensor:
    """Photos `b 3 h w` with the short side at `side` px."""
    scale = side / min(photos.shape[-2:])
    size = [max(1, round(length * scale)) for length in photos.shape[-2:]]
    return v2.functional.resize(photos, size, antialias=True).clamp(0, 1)


def resize_mask(mask: Tensor, size: Sequence[int]) -> Tensor:
    """A mask `1 h w` at another (height, width), as `h w`."""
    return v2.functional.resize(mask, list(size), antialias=True)[0]
