"""Mixes of styles, such as `stone:0.7,wood:0.3`.

A mean of the results of AdaIN is AdaIN with the mean moments (Huang and Belongie, "Arbitrary Style Transfer in
Real-time with Adaptive Instance Normalization", section 6), so a mix has a style code of its own: the weighted mean of
the codes of its parts. The correlations in a code are averaged with the moments. A mean of pixels would be mud: of the
parts' samples each takes its own places.
"""

import functools
import math
import re
from collections.abc import Sequence
from itertools import product
from operator import add

import torch
import torch.nn.functional as F
from torch import Tensor

from unistyle.styles.swatches import TILE, Swatches

# Combinations of exemplars among which the nearest to a photo is looked for. Each has a tile of its own: 200 kB.
MOST = 256
PLACES = 8  # places a side of the pattern by which samples are mixed, in a tile
PERCENT = re.compile(r"[\d.]+\s*%")
SEAM = 0.04  # share of the places at which two samples meet softly


def split_mix(text: str) -> list[tuple[str, float]]:
    """The parts of a mix and their weights, which sum to 1. A text in which no part ends in `:NUMBER` is no mix and
    has no parts. Raises ValueError for a single part, and where a part or its weight cannot be used."""
    pieces = [piece.rpartition(":") for piece in text.split(",")]
    weights = [_number(tail) if colon else None for _, colon, tail in pieces]
    if all(weight is None for weight in weights):
        _refuse_percent(text, [tail for _, colon, tail in pieces if colon])
        return []
    if len(pieces) == 1:
        raise ValueError(
            f"style {text!r}: a single style needs no weight; give {pieces[0][0].strip()}, and for a weaker effect a "
            "strength (--strength 0.7)"
        )
    checked = [
        _check_part(text, name.strip(), tail, weight)
        for (name, _, tail), weight in zip(pieces, weights, strict=True)
    ]
    most = max(weight for _, weight in checked)
    shares = [weight / most for _, weight in checked]  # whose sum is finite
    return [(part, share / sum(shares)) for (part, _), share in zip(checked, shares, strict=True)]


def _refuse_percent(text: str, tails: Sequence[str]) -> None:
    """A percentage is a weight and no part of a name. Raises ValueError."""
    if wrong := next((tail for tail in tails if PERCENT.fullmatch(tail.strip())), None):
        raise ValueError(
            f"style {text!r}: got weight {wrong.strip()!r}; wanted a plain number for each style of a mix, such as "
            "stone:0.7,wood:0.3 or stone:70,wood:30"
        )


def _check_part(text: str, part: str, tail: str, weight: float | None) -> tuple[str, float]:
    if part and weight is not None and 0 < weight < math.inf:
        return part, weight
    got = f"weight {tail!r}" if part else f"{tail!r} alone"
    raise ValueError(
        f"style {text!r}: got {got}; wanted a weight above 0 for each style of a mix, such as stone:0.7,wood:0.3"
    )


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def mix(
    parts: Sequence[tuple[Sequence[str], Swatches]], weights: Sequence[float]
) -> tuple[tuple[str, ...], Swatches]:
    """Names and swatches of every combination of the parts' candidates. weights: one for each part, with a sum of 1.
    Raises ValueError for too many combinations."""
    count = math.prod(len(names) for names, _ in parts)
    if count > MOST:
        raise ValueError(
            f"a mix of {count} combinations of exemplars; wanted {MOST} at most: name exemplars, such as "
            "stone/NAME:0.7"
        )
    rows = list(product(*(range(len(names)) for names, _ in parts)))
    names = tuple(
        ",".join(f"{own[i]}:{w:.3g}" for i, (own, _), w in zip(row, parts, weights, strict=True))
        for row in rows
    )
    chosen = [own[list(column)] for column, (_, own) in zip(zip(*rows, strict=True), parts, strict=True)]
    codes, structure = (
        functools.reduce(add, (w * getattr(part, name) for w, part in zip(weights, chosen, strict=True)))
        for name in ("codes", "structure")
    )
    return names, Swatches(codes, mixed_tiles(chosen, weights), structure)


def mixed_tiles(parts: Sequence[Swatches], weights: Sequence[float]) -> Tensor:
    """Tiles, uint8 `n 3 TILE TILE`, in which the samples of the parts (`n` swatches each) have places of their own, as
    much as their weights say. A part without a sample has none."""
    able = torch.stack([w * (part.structure > 0) for w, part in zip(weights, parts, strict=True)])
    ends = (able / able.sum(0).clamp_min(1e-9)).cumsum(0)  # parts n
    field = _field()[None, None]
    tiles = torch.zeros(parts[0].tiles.shape)
    for start, end, part in zip([torch.zeros_like(ends[0]), *ends], ends, parts, strict=False):
        below = [((field - edge[:, None, None, None]) / SEAM + 0.5).clamp(0, 1) for edge in (start, end)]
        # Nothing lies below the first, nor above the last.
        inner = torch.where(start[:, None, None, None] <= 0, 1.0, below[0])
        outer = torch.where(end[:, None, None, None] >= 1 - 1e-6, 0.0, below[1])
        tiles += (inner - outer) * part.tiles
    return tiles.clamp(0, 255).round().byte()


@functools.cache
def _field() -> Tensor:
    """A smooth pattern `TILE TILE` that repeats without a seam; all its values are different and evenly spread in
    (0, 1)."""
    noise = torch.rand(1, 1, PLACES, PLACES, generator=torch.Generator().manual_seed(0))
    wide = F.pad(noise, (2,) * 4, mode="circular")
    side = TILE // PLACES
    smooth = F.interpolate(wide, scale_factor=side, mode="bicubic")[
        0, 0, 2 * side : -2 * side, 2 * side : -2 * side
    ]
    return (smooth.flatten().argsort().argsort().float() + 0.5).reshape(TILE, TILE) / TILE**2
