"""Scores of one restyled photo against its style and against the photo it was."""

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
from unistyle.maths.resizing import resize_regions
from unistyle.teachers.vgg import CONTENT_LAYER, STYLE_LAYERS


@torch.no_grad()
def style_scores(vgg: nn.Module, job: Transfer, result: Tensor) -> dict[str, float]:
    """Scores of one result `1 3 h w` in [0, 1].

    gram: mean over relu1_1 to relu4_1 of the Gram distance to the style; relative: over that of the untouched
    photo; the layers' names: the same for one layer; luminance, moments: as relative, for grey images and for
    mean and standard deviation, m_ and a layer's name for one layer; content: content distance to the photo at
    relu4_1; shading: correlation of low-frequency luminance with the photo's; rim: how much lighter the result is
    along the region's edge; period2, period4: energy at these periods in pixels over the style's; outside: 8-bit
    values that differ where the region is 0.
    """
    got, start, wanted = (vgg(x) for x in (result, job.photo, job.style))
    after, before = (_to_style("gram", f, wanted, job) for f in (got, start))
    scores = {"gram": after.mean(), "relative": _ratio(after.mean(), before.mean())}
    scores |= dict(zip(STYLE_LAYERS, _ratio(after, before), strict=True))
    *grey, grey_wanted = (vgg(luminance(x).expand_as(x)) for x in (result, job.photo, job.style))
    scores["luminance"] = _ratio(*(_to_style("gram", f, grey_wanted, job).mean() for f in grey))
    after, before = (_to_style("moments", f, wanted, job) for f in (got, start))
    scores["moments"] = _ratio(after.mean(), before.mean())
    scores |= {f"m_{name}": x for name, x in zip(STYLE_LAYERS, _ratio(after, before), strict=True)}
    f, g = got[CONTENT_LAYER], start[CONTENT_LAYER]
    scores["content"] = content_distance(f, g, resize_regions(job.region, f.shape[-2:]))
    scores["shading"] = shading(result, job.photo, job.region)
    scores["rim"] = rim(result, job.photo, job.region)
    for period in (2, 4):
        found, own = (
            periodic_energy(*x, period) for x in ((result, job.region), (job.style, job.style_region))
        )
        scores[f"period{period}"] = found / own.clamp_min(1e-9)
    scores["outside"] = changed(result, job.photo, job.region)
    return {name: float(value) for name, value in scores.items()}


def _ratio(after: Tensor, before: Tensor) -> Tensor:
    return after / before.clamp_min(EPS)


STATISTICS = {"gram": (gram, gram_distance), "moments": (moments, moment_distance)}


def _to_style(kind: str, f: dict[str, Tensor], wanted: dict[str, Tensor], job: Transfer) -> Tensor:
    """Distance of a statistic inside the region to the style's, one value a layer."""
    statistic, distance = STATISTICS[kind]
    sides = ((f, job.region), (wanted, job.style_region))
    layers = [
        distance(*(statistic(side[name], resize_regions(w, side[name].shape[-2:])) for side, w in sides))
        for name in STYLE_LAYERS
    ]
    return torch.cat(layers).flatten()


def shading(result: Tensor, photo: Tensor, region: Tensor, blur: int = 16) -> Tensor:
    """Correlation in [-1, 1] of the luminance of two images `b 3 h w` inside `region` (b 1 h w), both
    averaged over the region's part of windows of `blur` pixels; `b`."""
    low = lambda x: F.avg_pool2d(x, blur, blur // 4, ceil_mode=True)  # noqa: E731
    weight = low(region)
    a, b = (low(luminance(x) * region) / weight.clamp_min(EPS) for x in (result, photo))
    # For one channel the distance of normalised maps is 2 - 2 correlation.
    return 1 - content_distance(a, b, weight) / 2


def rim(result: Tensor, photo: Tensor, region: Tensor, width: int = 4) -> Tensor:
    """How much lighter than further inside the result is along the region's edge, beyond what the photo is, in
    standard deviations of the result's luminance; `b`. Negative is a dark rim; not a number where the region has no
    edge.

    The edge is what an erosion by `width` pixels takes off the region, further inside what the next `2 width` take;
    the frame is no edge. The photo's luminance is fitted to the result's inside the region first (gain and offset).
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
