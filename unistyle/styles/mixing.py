"""Mixes of styles, such as `stone:0.7,wood:0.3`.

A mean of the results of AdaIN is AdaIN with the mean moments (Huang and Belongie, "Arbitrary Style Transfer in
Real-time with Adaptive Instance Normalization", section 6), so a mix has a style code of its own: the weighted mean of
the codes of its parts. The correlations in a code are averaged with the moments.
"""

import functools
import math
from collections.abc import Sequence
from itertools import product
from operator import add

from torch import Tensor

MOST = 4096  # combinations of exemplars among which the nearest to a photo is looked for


def split_mix(text: str) -> list[tuple[str, float]]:
    """The parts of a mix and their weights, which sum to 1. A text in which no part ends in `:NUMBER` is no mix and
    has no parts. Raises ValueError for a single part, and where a part or its weight cannot be used."""
    pieces = [piece.rpartition(":") for piece in text.split(",")]
    weights = [_number(tail) if colon else None for _, colon, tail in pieces]
    if all(weight is None for weight in weights):
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
    parts: Sequence[tuple[Sequence[str], Tensor]], weights: Sequence[float]
) -> tuple[tuple[str, ...], Tensor]:
    """Names and codes `n d` of every combination of the parts' candidates (names; codes `n d`). weights: one for each
    part, with a sum of 1. Raises ValueError for too many combinations."""
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
    columns = zip(zip(*rows, strict=True), parts, weights, strict=True)
    return names, functools.reduce(add, (w * codes[list(column)] for column, (_, codes), w in columns))
