"""Statistics of features inside soft regions, and the distances built on them.

One definition of moments, AdaIN, Gram and of every distance, for the network, the losses, the teachers and the
evaluation. Features `f` are `b c h w`; regions `w` are `b k h w` in [0, 1], at the size of the features
(`resize_regions` brings them there). Statistics are taken in fp32 whatever the input, because a variance in fp16
overflows, with epsilon inside the root and `correction=0`; an empty region gives finite numbers.
"""

from collections.abc import Callable
from functools import wraps

import torch
import torch.nn.functional as F
from einops import einsum, rearrange, reduce
from torch import Tensor

EPS = 1e-5
# Rec. 709 weights of the luminance of linear RGB; the customary weights for photos in [0, 1].
LUMINANCE = (0.2126, 0.7152, 0.0722)


def _full_precision(function: Callable) -> Callable:
    """Keep autocast out of a statistic: it would take the sums in half precision."""

    @wraps(function)
    def run(f: Tensor, *args, **kwargs):
        # Without need no context: in an exported program each is a graph of its own.
        if not torch.is_autocast_enabled(f.device.type):
            return function(f, *args, **kwargs)
        with torch.autocast(f.device.type, enabled=False):
            return function(f, *args, **kwargs)

    return run


def _weights(w: Tensor) -> Tensor:
    """Regions as weights that sum to 1 over space (to 0 for an empty region)."""
    w = w.float()
    return w / reduce(w, "b k h w -> b k 1 1", "sum").clamp_min(EPS)


@_full_precision
def moments(f: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of `f` (b c h w) inside each region of `w` (b k h w); both `b k c`, fp32."""
    f, p = f.float(), _weights(w)
    mean = einsum(p, f, "b k h w, b c h w -> b k c")
    # The second moment minus the squared mean cancels badly where the mean is large; shifted by the regions' own
    # mean first, one region alone gets its exact variance, and several stay near it without a pass for each.
    shift = reduce(mean, "b k c -> b c 1 1", "mean")
    shifted = f - shift
    # In place without a gradient: the largest map of a pass is as large as what a processor caches.
    squared = shifted.square() if shifted.requires_grad else shifted.square_()
    square = einsum(p, squared, "b k h w, b c h w -> b k c")
    total = reduce(p, "b k h w -> b k 1", "sum")
    offset = mean - total * rearrange(shift, "b c 1 1 -> b 1 c")
    variance = (square - offset.square()).clamp_min(0)
    return mean, (variance + EPS).sqrt()


@_full_precision
def gram(f: Tensor, w: Tensor) -> Tensor:
    """Gram matrix of `f` (b c h w) inside each region of `w` (b k h w): `sum_x w f f^T / sum_x w`, `b k c c`, fp32.

    Source: Gatys et al., "Image Style Transfer Using Convolutional Neural Networks", section 2.2, with the sum over
    positions weighted by the region and divided by its area.
    """
    f, p = rearrange(f.float(), "b c h w -> b c (h w)"), rearrange(_weights(w), "b k h w -> b k (h w)")
    return torch.stack([(f * p[:, k, None]) @ f.mT for k in range(p.shape[1])], dim=1)


@_full_precision
def correlation(f: Tensor, w: Tensor) -> Tensor:
    """Correlation matrix, in [-1, 1], of the channels of `f` (b c h w) inside each region of `w` (b k h w);
    `b k c c`, fp32. A channel that is constant there correlates with nothing."""
    f = f.float()
    f = f - reduce(f, "b c h w -> b c 1 1", "mean")  # a large mean would leave rounding errors alone
    mean, std = moments(f, w)
    covariance = gram(f, w) - einsum(mean, mean, "b k c, b k d -> b k c d")
    return covariance / einsum(std, std, "b k c, b k d -> b k c d")


@_full_precision
def regional_adain(
    f: Tensor,
    w: Tensor,
    style_mean: Tensor,
    style_std: Tensor,
    where: Tensor | None = None,
    own: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Give every region of `f` the moments of its style and leave the rest alone.

    `f' = sum_k w_k ((f - mu_k) / sd_k * sd_style_k + mu_style_k) + (1 - sum_k w_k) f`, with `f` b c h w, `w` b k h w
    and the style's moments `b k c`. One region with w = 1 is AdaIN (Huang and Belongie, "Arbitrary Style Transfer in
    Real-time with Adaptive Instance Normalization", equation 8). `where` (b k h w, default `w`) are the shares with
    which the styles are applied, if they differ from the regions that `f`'s own moments come from; of size 1 x 1,
    the same everywhere. `own`: the moments of `f` (b k c) where they are known, as for a part of a larger photo.
    Returns the dtype of `f`.
    """
    mean, std = moments(f, w) if own is None else own
    scale = style_std.float() / std
    shift = style_mean.float() - mean * scale
    # Affine in f for every region, so the sum over regions is one scale and one shift at each position.
    share = (w if where is None else where).float()
    rest = 1 - reduce(share, "b k h w -> b 1 h w", "sum")
    scale = einsum(share, scale, "b k h w, b k c -> b c h w") + rest
    shift = einsum(share, shift, "b k h w, b k c -> b c h w")
    return torch.addcmul(shift, f.float(), scale).to(f.dtype)


@_full_precision
def luminance(image: Tensor) -> Tensor:
    """Luminance `b 1 h w` of RGB images `b 3 h w` in [0, 1]."""
    # With numbers in place of a tensor of them, which a GPU would be waited for.
    red, green, blue = (share * channel for share, channel in zip(LUMINANCE, image.split(1, 1), strict=True))
    return red + green + blue


def gram_distance(got: Tensor, wanted: Tensor) -> Tensor:
    """`|G - G'|^2 / |G'|^2` for Gram matrices `... c c`; shape `...`."""
    return (got - wanted).square().sum((-2, -1)) / wanted.square().sum((-2, -1)).clamp_min(EPS)


def moment_distance(got: tuple[Tensor, Tensor], wanted: tuple[Tensor, Tensor]) -> Tensor:
    """Squared differences of means and standard deviations (each `... c`), relative to the wanted ones; `...`."""
    (mean, std), (mean_wanted, std_wanted) = got, wanted
    scale = (mean_wanted.square().sum(-1) + std_wanted.square().sum(-1)).clamp_min(EPS)
    return ((mean - mean_wanted).square().sum(-1) + (std - std_wanted).square().sum(-1)) / scale


def normalise(f: Tensor, w: Tensor) -> Tensor:
    """`f` (b c h w) with mean 0 and standard deviation 1 inside one region `w` (b 1 h w), each channel alone."""
    mean, std = moments(f, w)
    return (f.float() - rearrange(mean, "b 1 c -> b c 1 1")) / rearrange(std, "b 1 c -> b c 1 1")


def content_distance(got: Tensor, photo: Tensor, w: Tensor) -> Tensor:
    """Mean squared difference inside `w` (b 1 h w) of two feature maps (b c h w), each normalised by its own
    moments there; `b`. 0 for equal structure, 2 for unrelated structure; colour and contrast do not count."""
    difference = (normalise(got, w) - normalise(photo, w)).square().mean(1, keepdim=True)
    return reduce(difference * _weights(w), "b 1 h w -> b", "sum")


@_full_precision
def periodic_energy(image: Tensor, region: Tensor, period: int, window: int = 16) -> Tensor:
    """Energy that the luminance of an image `b 3 h w` has at one period in pixels, along rows, columns and diagonals,
    inside `region` (b 1 h w); `b`.

    A decoder that upsamples badly leaves a grid of period 2 or 4, which shows here as a peak: the short-time Fourier
    transform at these frequencies, under a Hann window whose answer to a constant is exactly 0 at both periods.
    """
    rows, columns = torch.meshgrid(*[torch.arange(window, device=image.device)] * 2, indexing="ij")
    hann = torch.hann_window(window, device=image.device)
    kernel = torch.outer(hann, hann) / hann.sum() ** 2
    directions = ((0, 1), (1, 0), (1, 1), (1, -1))[: 3 if period == 2 else 4]  # at 2 the diagonals are one
    phases = [2 * torch.pi * (u * rows + v * columns) / period for u, v in directions]
    waves = torch.stack([kernel * wave(phase) for phase in phases for wave in (torch.cos, torch.sin)])
    hop = window // 4
    energy = reduce(
        F.conv2d(luminance(image), waves[:, None], stride=hop).square(), "b n h w -> b h w", "sum"
    )
    weight = F.conv2d(region.float(), kernel[None, None], stride=hop)[:, 0]
    return (energy * weight).sum((1, 2)) / weight.sum((1, 2)).clamp_min(EPS)
