"""Regions brought to the photo's size along its edges, and the restyled photo laid over the photo."""

import torch
from einops import reduce
from torch import Tensor

from unistyle.maths.features import luminance
from unistyle.maths.resizing import resize_regions, to_size

# Alpha below this is nothing and above 1 - this everything: what is faint is seen as a halo around an object, and a
# filter of local linear models leaves much that is faint.
MARGIN = 0.25


def _box(x: Tensor, radius: int) -> Tensor:
    """Means over squares of `2 radius + 1` pixels, cut at the border; as matrix products, many times as fast as
    pooling on a CPU."""
    for dim in (-2, -1):
        at = torch.arange(x.shape[dim], device=x.device)
        near = ((at[:, None] - at).abs() <= radius).to(x.dtype)
        mean = near / near.sum(1, keepdim=True)
        x = mean @ x if dim == -2 else x @ mean.mT
    return x


def guided_model(region: Tensor, photo: Tensor, radius: int = 3, eps: float = 1e-3) -> tuple[Tensor, Tensor]:
    """The local linear model of a region `b 1 h w` on the photo's colours: a `b 3 h w`, b `b 1 h w`.

    Guided filter with colour as the guide (He et al., "Guided Image Filtering", section 3.5). `radius` is in pixels
    of the region, and smaller where that is small; `eps` is the variance of the guide, for values in [0, 1], below
    which a place counts as flat.
    """
    size, p = region.shape[-2:], region.float()
    radius = torch.sym_min(radius, torch.sym_min(*size) // 8)  # type: ignore[assignment]  # `min` does not export
    guide = resize_regions(photo.float(), size)
    mean, mean_p = _box(guide, radius), _box(p, radius)
    covariance = _box(guide * p, radius) - mean * mean_p
    # Rows of the guide's covariance matrix. It is symmetric, so the columns of its inverse are the cross products of
    # its rows over its determinant.
    unit = torch.eye(3, device=p.device)[..., None, None]
    x, y, z = (
        _box(guide * guide[:, i, None], radius) - mean * mean[:, i, None] + eps * unit[i] for i in range(3)
    )
    columns = [torch.linalg.cross(*rows, dim=1) for rows in ((y, z), (z, x), (x, y))]
    a = sum(covariance[:, i, None] * column for i, column in enumerate(columns))
    a = a / (x * columns[0]).sum(1, keepdim=True)
    b = mean_p - (a * mean).sum(1, keepdim=True)
    return _box(a, radius), _box(b, radius)


def guided_apply(a: Tensor, b: Tensor, photo: Tensor) -> Tensor:
    """A model of `guided_model`, brought to the photo's size, on the photo `b 3 H W`: alpha `b 1 H W` in [0, 1]."""
    filtered = (a * photo.float()).sum(1, keepdim=True) + b
    return ((filtered - MARGIN) / (1 - 2 * MARGIN)).clamp(0, 1)


def guided_upsample(region: Tensor, photo: Tensor, radius: int = 3, eps: float = 1e-3) -> Tensor:
    """A region `b 1 h w` at low resolution -> `b 1 H W` at the photo's, with edges that follow the photo's colours.

    Fast guided filter: the model is fitted at the low resolution and its coefficients are brought to full size (He
    and Sun, "Fast Guided Filter", algorithm 2). Arguments as in `guided_model`.
    """
    a, b = (to_size(part, photo.shape[-2:]) for part in guided_model(region, photo, radius, eps))
    return guided_apply(a, b, photo)


def alpha_of(photo: Tensor, regions: Tensor) -> Tensor:
    """Alpha `b 1 H W`: the sum of the regions. Regions of the photo's own size (a mask given by hand) are taken as
    they are; smaller ones, the network's, are brought to size along the photo's edges."""
    total = reduce(regions, "b k h w -> b 1 h w", "sum")
    if total.shape[-2:] != photo.shape[-2:]:
        total = guided_upsample(total, photo)
    return total.clamp(0, 1).to(photo.dtype)


def composite(
    photo: Tensor, restyled: Tensor, alpha: Tensor, strength: float = 1.0, keep_color: bool = False
) -> Tensor:
    """`photo + strength * alpha * (restyled - photo)`, `b 3 h w` in [0, 1]; where alpha is 0, exactly the photo.

    `keep_color` takes the luminance alone from the restyled photo.
    """
    if keep_color:
        restyled = (photo + luminance(restyled) - luminance(photo)).clamp(0, 1)
    mixed = torch.lerp(photo, restyled.to(photo.dtype), strength * alpha.to(photo.dtype))
    return torch.where(alpha > 0, mixed, photo)
