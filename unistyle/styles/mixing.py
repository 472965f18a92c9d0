"""Mixes of styles, such as `stone:0.7,wood:0.3`.

A mean of the results of AdaIN is AdaIN with the mean moments (Huang and Belongie, "Arbitrary Style Transfer in
Real-time with Adaptive Instance Normalization", section 6), so a mix has a style code of its own: the weighted mean of
the codes of its parts. The correlations in a code are averaged with the moments.
"""

import math
from collections.abc import Sequence
from itertools import product

from torch import Tensor

MOST = 4096  # combinations of exemplars among which the nearest to a photo is looked for


def split_mix(text: str) -> list[tuple[str, float]]:
    """The parts of a mix and their weights, which sum to 1; none for a text that is no mix, as none of its parts has
    a `:NUMBER` tail. Raises ValueError for a single part, and where a part or its weight is unusable."""
    pieces = [piece.rpartition(":") for piece in text.split(",")]
    weights = [_number(tail) if colon else None for _, colon, tail in pieces]
    if all(weight is None for weight in weights):
        return []
    parts = [name.strip() for name, _, _ in pieces]
    if len(parts) == 1:
        raise ValueError(
            f"style {text!r}: a single style needs no weight; give {parts[0]}, and for a weaker effect a strength "
            "(--strength 0.7)"
        )
    for (_, _, tail), part, weight in zip(pieces, parts, weights, strict=True):
        if not part or weight is None or not (0 < weight < math.inf):
            got = f"weight {tail!r}" if part else f"{tail!r} alone"
            raise ValueError(
                f"style {text!r}: got {got}; wanted a weight above 0 for each style of a mix, such as "
                "stone:0.7,wood:0.3"
            )
    shares = [weight / max(weights) for weight in weights]  # whose sum is finite
    return [(part, share / sum(shares)) for part, share in zip(parts, shares, strict=True)]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def mix(
    parts: Sequence[tuple[Sequence[str], Tensor]], weights: Sequence[float]
) -> tuple[tuple[str, ...], Tensor]:
    """Names and codes `n d` of every combination of the parts' candidates (names; codes `n d`). weights: one a part,
    with a sum of 1. Raises ValueError for too many combinations."""
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
    return names, sum(w * codes[list(column)] for column, (_, codes), w in columns)
