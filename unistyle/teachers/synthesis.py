"""A tile of a material from the statistics of a photo: from noise, without a pixel of the photo.

Source: Gatys et al., "Texture Synthesis Using Convolutional Neural Networks", section 3, at several sizes from small to
large as in Gonthier et al., "High-Resolution Neural Texture Synthesis with Long-Range Constraints", section 3.
Convolutions that wrap around make a tile that repeats without a seam. Gram matrices alone leave it open whether a
feature is a little everywhere or much in few places, which then glow while the rest goes grey; means and standard
deviations beside them (Risser et al., "Stable and Controllable Neural Texture Synthesis", section 4), of every
quarter of the tile, stand against that. A border of zeros must not be part of the photo's statistics (`padded`).
"""

import copy
from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from unistyle.maths.features import gram, gram_distance, moment_distance, moments
from unistyle.network.laying import lay
from unistyle.teachers.gatys import range_term, smoothness_term

SIZES = 3  # each half as large as the next one
PIECES = 2  # every one of so many pieces a side of a tile has the statistics,
SMALLEST = 64  # if the tile has so many pixels a side
SEEN = 16  # pixels a side of a picture that has statistics, at the least
RANGE = 1000.0  # weight of what keeps pixels in [0, 1]: some far out of it would hold the rest up
SMOOTH = 2.0  # weight of smoothness


def padded(vgg: nn.Module, mode: Literal["circular", "reflect"]) -> nn.Module:
    """VGG-19 that goes on beyond the border of a picture as it repeats ("circular") or as it is mirrored ("reflect"),
    in place of black, whose edge would be part of the statistics."""
    vgg = copy.deepcopy(vgg)
    for module in vgg.modules():
        if isinstance(module, nn.Conv2d):
            module.padding_mode = mode
    return vgg


def synthesise(
    vgg: nn.Module,
    picture: Tensor,
    side: int,
    seed: int = 0,
    iterations: int = 60,
    progress: Callable[[int, float], None] | None = None,
) -> Tensor:
    """A picture `1 3 h w` in [0, 1] full of a material -> a tile `1 3 side side` with the same Gram matrices, which
    repeats without a seam. The same for the same picture and seed. iterations: of L-BFGS, at each size. progress:
    called with the pixels a side and the distance, after each iteration."""
    wrapped, mirrored = padded(vgg, "circular"), padded(vgg, "reflect")
    noise = torch.Generator().manual_seed(seed)
    mean, std = picture.mean((2, 3), keepdim=True), picture.std((2, 3), keepdim=True)
    tile = (mean + std * torch.randn(1, 3, *[side >> (SIZES - 1)] * 2, generator=noise).to(std)).clamp(0, 1)
    for level in reversed(range(SIZES)):
        factors = [2**i for i in range(level, SIZES) if min(picture.shape[-2:]) >> i >= SEEN]
        views = [_reduced(picture, factor) for factor in factors or [1]]
        with torch.no_grad():
            targets = [{name: _statistics(f) for name, f in mirrored(view).items()} for view in views]
        tile = _resized(tile, side >> level)
        tile = _fit(
            wrapped,
            tile + 0.05 * torch.randn(tile.shape, generator=noise).to(tile),
            targets,
            iterations,
            progress,
        )
    return tile.clamp(0, 1)


def _resized(tile: Tensor, side: int) -> Tensor:
    """A tile `1 3 t t` of another size. It goes on beyond its border, or the next size would begin with a seam, which
    no statistics see."""
    whole = (0, side)
    return lay(tile[None], side / tile.shape[-1], whole, whole)[0]


def _wrapped(tile: Tensor) -> Tensor:
    """A tile with the first row and column once more at its end, so that steps over its border count."""
    return F.pad(tile, (0, 1, 0, 1), mode="circular")


def _reduced(picture: Tensor, factor: int) -> Tensor:
    return F.avg_pool2d(picture, factor) if factor > 1 else picture


Statistics = tuple[Tensor, tuple[Tensor, Tensor]]  # Gram matrix; mean and standard deviation


def _statistics(f: Tensor, parts: int = 1) -> Statistics:
    """Of each of `parts` x `parts` pieces of a feature map."""
    f = rearrange(f, "b c (p h) (q w) -> (b p q) c h w", p=parts, q=parts)
    everywhere = torch.ones_like(f[:, :1])
    return gram(f, everywhere), moments(f, everywhere)


def _distance(got: Statistics, wanted: Statistics) -> Tensor:
    return gram_distance(got[0], wanted[0]).mean() + moment_distance(got[1], wanted[1]).mean()


def _fit(
    vgg: nn.Module,
    start: Tensor,
    targets: list[dict[str, Statistics]],
    iterations: int,
    progress: Callable[[int, float], None] | None,
) -> Tensor:
    """The tile after so many iterations; targets: statistics by layer, for the tile and for each half of it."""
    pixels = start.clone().requires_grad_()
    # One iteration for each step; torch's absolute tolerances would stop at once.
    optimizer = torch.optim.LBFGS(
        [pixels], lr=1, max_iter=1, history_size=50, tolerance_grad=0, tolerance_change=0
    )

    def closure() -> float:
        total = RANGE * range_term(pixels, {}) + SMOOTH * smoothness_term(_wrapped(pixels), {})
        for i, wanted in enumerate(targets):
            got = vgg(_reduced(pixels, 2**i))
            parts = PIECES if pixels.shape[-1] >> i >= SMALLEST else 1
            total = (
                total
                + torch.stack([_distance(_statistics(got[n], parts), x) for n, x in wanted.items()]).mean()
            )
        (pixels.grad,) = torch.autograd.grad(total, pixels)
        return total.item()

    best, lowest = start, float("inf")
    for _ in range(iterations):
        here = pixels.detach().clone()
        total = optimizer.step(closure)
        if total < lowest:
            best, lowest = here, total
        if not total < 4 * lowest:  # astray: begin anew from the best
            pixels.data.copy_(best)
            optimizer = torch.optim.LBFGS(
                [pixels], lr=0.5, max_iter=1, history_size=50, tolerance_grad=0, tolerance_change=0
            )
        if progress:
            progress(start.shape[-1], total)
    return best
