"""Bring regions to the photo's size along its edges, and lay the restyled photo over the photo."""

import torch
import torch.nn.functional as F
from einops import reduce
from torch import Tensor

from unistyle.features import luminance, resize_regions
from unistyle.network.layers import resize

# Alpha below this is nothing and above 1 - this everything: what is faint is seen as a halo around an object, and a
# filter of local linear models leaves much that is faint.
MARGIN = 0.25


def _box(x: Tensor, radius: int) -> Tensor:
    return F.avg_pool2d(x, 2 * radius + 1, stride=1, padding=radius, count_include_pad=False)


def guided_upsample(regions: Tensor, photo: Tensor, radius: int = 4, eps: float = 1e-3) -> Tensor:
    """Regions `b k h w` at low resolution -> `b k H W` at the photo's, with edges that follow the photo's luminance.

    Fast guided filter: the local linear model is fitted at the low resolution and its two coefficients are brought to
    full size (He and Sun, "Fast Guided Filter", algorithm 2). `radius` is in pixels of the low resolution, and smaller
    where that is small; `eps` is the variance of the guide, for values in [0, 1], below which a place counts as flat.
    """
    radius = min(radius, min(regions.shape[-2:]) // 8)
    guide = luminance(photo.float())
    small, p = resize_regions(guide, regions.shape[-2:]), regions.float()
    mean, mean_p = _box(small, radius), _box(p, radius)
    covariance = _box(small * p, radius) - mean * mean_p
    a = covariance / (_box(small * small, radius) - mean * mean + eps)
    b = mean_p - a * mean
    a, b = (resize(_box(c, radius), photo.shape[-2:]) for c in (a, b))
    return (((a * guide + b) - MARGIN) / (1 - 2 * MARGIN)).clamp(0, 1)


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
    return torch.where(alpha > 0, photo + strength * alpha * (restyled - photo), photo)
