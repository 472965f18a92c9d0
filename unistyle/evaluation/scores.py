"""Scores of one restyled photo against its style and against the photo it was, and of one mask."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unistyle.data.transfer import Transfer
from unistyle.maths.features import (
    EPS,
    content_distance,
    gram,
    gram_distance,
    luminance,
    moment_distance,
    moments,
    periodic_energy,
)
from unistyle.maths.masks import mean_iu, pixel_accuracy
from unistyle.maths.resizing import resize_regions
from unistyle.teachers.vgg import CONTENT_LAYER, STYLE_LAYERS

Features = dict[str, Tensor]


def mask_scores(mask: Tensor, annotated: Tensor) -> dict[str, float]:
    """Pixel accuracy and mean IU of two boolean masks of one shape."""
    return {"accuracy": pixel_accuracy(mask, annotated), "mean_iu": mean_iu(mask, annotated)}


@torch.no_grad()
def style_scores(vgg: nn.Module, transfer: Transfer, result: Tensor) -> dict[str, float]:
    """Scores of one result `1 3 h w` in [0, 1].

    - `gram`: Gram distance to the style inside the regions, the mean over relu1_1 to relu4_1.
    - `relative`: the same, divided by that of the untouched photo.
    - `relu1_1` and so on: as `relative`, for one layer.
    - `luminance`: as `relative`, for grey images.
    - `moments`: as `relative`, for mean and standard deviation in place of Gram matrices.
    - `m_relu1_1` and so on: as `moments`, for one layer.
    - `content`: content distance to the photo at relu4_1.
    - `shading`: correlation of low-frequency luminance with the photo's; see `shading`.
    - `rim`: how much lighter the result is along the region's edge; see `rim`.
    - `period2`, `period4`: energy at periods of 2 and 4 pixels, divided by the style's.
    - `outside`: how many 8-bit values differ where the region is 0.
    """
    images = (result, transfer.photo, transfer.style)
    got, start, wanted = (vgg(x) for x in images)
    grey = [vgg(luminance(x).expand_as(x)) for x in images]
    scores = {"gram": _to_style("gram", got, wanted, transfer).mean()}
    scores |= _relative("gram", (got, start, wanted), transfer, "relative")
    scores["luminance"] = _relative("gram", grey, transfer, "luminance")["luminance"]
    scores |= _relative("moments", (got, start, wanted), transfer, "moments", "m_")
    f, g = got[CONTENT_LAYER], start[CONTENT_LAYER]
    scores["content"] = content_distance(f, g, resize_regions(transfer.region, f.shape[-2:]))
    scores["shading"] = shading(result, transfer.photo, transfer.region)
    scores["rim"] = rim(result, transfer.photo, transfer.region)
    scores |= {f"period{period}": _periodic(result, transfer, period) for period in (2, 4)}
    outside = {"outside": float(changed(result, transfer.photo, transfer.region))}
    return {name: float(value) for name, value in scores.items()} | outside


Statistic = tuple[Callable[..., Any], Callable[..., Tensor]]  # a statistic, and its distance
STATISTICS: dict[str, Statistic] = {"gram": (gram, gram_distance), "moments": (moments, moment_distance)}


def _relative(kind: str, features, transfer: Transfer, name: str, prefix: str = "") -> dict[str, Tensor]:
    """Distances of a result to the style, divided by those of the untouched photo: under `name` the mean over the
    layers, and one for each layer. features: of result, photo and style."""
    got, start, wanted = features
    after, before = (_to_style(kind, f, wanted, transfer) for f in (got, start))
    layers = {f"{prefix}{layer}": x for layer, x in zip(STYLE_LAYERS, _ratio(after, before), strict=True)}
    return {name: _ratio(after.mean(), before.mean())} | layers


def _ratio(after: Tensor, before: Tensor) -> Tensor:
    return after / before.clamp_min(EPS)


def _to_style(kind: str, f: Features, wanted: Features, transfer: Transfer) -> Tensor:
    """Distance of a statistic inside the region to the style's, one value for each layer."""
    statistic, distance = STATISTICS[kind]
    sides = ((f, transfer.region), (wanted, transfer.style_region))
    layers = [
        distance(*(statistic(side[name], resize_regions(w, side[name].shape[-2:])) for side, w in sides))
        for name in STYLE_LAYERS
    ]
    return torch.cat(layers).flatten()


def _periodic(result: Tensor, transfer: Transfer, period: int) -> Tensor:
    found = periodic_energy(result, transfer.region, period)
    own = periodic_energy(transfer.style, transfer.style_region, period)
    return found / own.clamp_min(1e-9)


@torch.no_grad()
def large_structure(vgg: nn.Module, transfer: Transfer, result: Tensor) -> float:
    """Gram distance to the style at relu4_1 of pictures at half size, divided by that of the untouched photo. What it
    sees is twice as large as in `style_scores`: planks and leaves rather than grain."""
    half = [F.avg_pool2d(x, 2) for x in (result, *transfer)]
    image, photo, style, region, style_region = half
    grams = []
    for x, w in ((image, region), (photo, region), (style, style_region)):
        f = vgg(x)[CONTENT_LAYER]
        grams.append(gram(f, resize_regions(w, f.shape[-2:])))
    after, before = (gram_distance(g, grams[2]) for g in grams[:2])
    return float((after / before.clamp_min(EPS)).mean())


def patch_distance(transfer: Transfer, result: Tensor, side: int = 7, directions: int = 128) -> float:
    """Sliced Wasserstein distance between the patches of result and style, at a quarter of their size and inside their
    regions, divided by that of the untouched photo; not a number where a region holds no whole patch.

    Source: Rabin et al., "Wasserstein Barycenter and Its Application to Texture Mixing", section 2: distributions are
    compared along random directions, always the same ones, by their sorted projections.
    """
    generator = torch.Generator().manual_seed(0)
    axes = torch.randn(3 * side * side, directions, generator=generator).to(result.device)
    axes = axes / axes.norm(dim=0)
    sides = (
        (result, transfer.region),
        (transfer.photo, transfer.region),
        (transfer.style, transfer.style_region),
    )
    got, before, wanted = (_quantiles(F.avg_pool2d(x, 4), F.avg_pool2d(w, 4), axes, side) for x, w in sides)
    return float((got - wanted).abs().mean() / (before - wanted).abs().mean().clamp_min(EPS))


def _quantiles(image: Tensor, region: Tensor, axes: Tensor, side: int, count: int = 256) -> Tensor:
    """Sorted projections `count n` of the patches that lie inside the region; not a number where there are none."""
    patches = F.unfold(image, side)[0].T
    inside = -F.max_pool2d(-region, side, 1).flatten() > 0.5
    if not inside.any():
        return torch.full((count, axes.shape[1]), torch.nan)
    return (patches[inside] @ axes).quantile(torch.linspace(0, 1, count, device=image.device), dim=0)


def kernel_distance(x: Tensor, y: Tensor) -> float:
    """Squared maximum mean discrepancy of two sets of features `n d` and `m d`, without bias: 0 on average for two sets
    of one distribution, and then as often below as above; not a number where a set has fewer than two.

    Source: Binkowski et al., "Demystifying MMD GANs", section 4 (KID): the kernel is (x . y / d + 1)^3.
    """
    if min(len(x), len(y)) < 2:
        return math.nan
    kernel = lambda a, b: (a @ b.T / a.shape[1] + 1) ** 3  # noqa: E731
    x, y = x.double(), y.double()
    own = [(k.sum() - k.diagonal().sum()) / (len(a) * (len(a) - 1)) for a in (x, y) for k in (kernel(a, a),)]
    return float(own[0] + own[1] - 2 * kernel(x, y).mean())


@torch.no_grad()
def size_distance(vgg: nn.Module, region: Tensor, results: Sequence[Tensor]) -> float:
    """How unlike the results of one photo and style at several sizes are, all reduced to one: the largest Gram distance
    inside the region between the first and another, the mean over the layers; 0 for the same look at every size."""
    features = [vgg(x) for x in results]
    grams = [
        [gram(f[layer], resize_regions(region, f[layer].shape[-2:])) for layer in STYLE_LAYERS]
        for f in features
    ]
    return max(
        float(torch.stack([gram_distance(a, b).mean() for a, b in zip(other, grams[0], strict=True)]).mean())
        for other in grams[1:]
    )


def shading(result: Tensor, photo: Tensor, region: Tensor, blur: int = 16) -> Tensor:
    """Correlation in [-1, 1] of the luminance of two images `b 3 h w` inside `region` (b 1 h w), both averaged over
    the region's part of windows of `blur` pixels; `b`."""
    low = lambda x: F.avg_pool2d(x, blur, blur // 4, ceil_mode=True)  # noqa: E731
    weight = low(region)
    a, b = (low(luminance(x) * region) / weight.clamp_min(EPS) for x in (result, photo))
    # For one channel the distance of normalised maps is 2 - 2 correlation.
    return 1 - content_distance(a, b, weight) / 2


def rim(result: Tensor, photo: Tensor, region: Tensor, width: int = 4) -> Tensor:
    """How much lighter the result is along the region's edge than further inside, beyond what the photo is; `b`.

    The unit is a standard deviation of the result's luminance. A dark rim is negative. Where the region has no edge,
    it is not a number.

    The edge is what an erosion by `width` pixels takes off the region, and further inside is what the next `2 width`
    pixels take. The border of the frame is no edge. Before the two are compared, the photo's luminance is fitted to
    the result's inside the region, with a gain and an offset.
    """
    inside, edge, inner = (x.float() for x in _bands(region > 0.5, width))
    mean = lambda x, w: (x * w).sum((1, 2, 3)) / w.sum((1, 2, 3)).clamp_min(1)  # noqa: E731
    a, b = (luminance(x) for x in (result, photo))
    a, b = (x - mean(x, inside).view(-1, 1, 1, 1) for x in (a, b))
    variance = mean(b.square(), inside).clamp_min(EPS)
    rest = a - b * (mean(a * b, inside) / variance).view(-1, 1, 1, 1)
    spread = mean(a.square(), inside).clamp_min(EPS).sqrt()
    exists = (edge.sum((1, 2, 3)) > 0) & (inner.sum((1, 2, 3)) > 0)
    return torch.where(exists, (mean(rest, edge) - mean(rest, inner)) / spread, torch.nan)


def _bands(inside: Tensor, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """The region, its edge and the band inside of that, boolean `b 1 h w`."""
    outside = (~inside).float()  # a max-pool pads with minus infinity, so the frame erodes nothing
    near, far = (F.max_pool2d(outside, 2 * n + 1, 1, n) > 0 for n in (width, 3 * width))
    return inside, inside & near, inside & far & ~near


def changed(result: Tensor, photo: Tensor, alpha: Tensor) -> int:
    """How many 8-bit values of two images `b 3 h w` differ where alpha (b 1 h w) is 0."""
    a, b = ((x * 255).round() for x in (result, photo))
    return int(((a != b) & (alpha == 0)).sum())
