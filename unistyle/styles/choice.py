"""Which photos of a style stand for it: medoids of k-means among those that are eligible."""

import warnings
from collections.abc import Sequence

import numpy as np
from scipy.cluster.vq import kmeans2

from unistyle.network.model import UniStyleNetwork
from unistyle.styles.exemplars import Exemplar

TYPICAL = 0.75  # share of a folder's photos that may be exemplars: the ones nearest to its median


def choose(points: np.ndarray, eligible: np.ndarray, count: int, seed: int = 0) -> list[int]:
    """`count` rows of `points` (n d) that stand for the variety of the rows `eligible`, from which they are taken."""
    return [int(eligible[row]) for row in medoids(points[eligible], count, seed)]


def typical_exemplars(
    exemplars: Sequence[Exemplar], count: int, moments: int, seed: int = 0
) -> list[Exemplar]:
    """`count` photos of one style that stand for its variety, by the first `moments` numbers of their codes.

    Eligible are the three quarters nearest to the median, because a folder often holds a photo or two of something
    else. Where there are no more than `count`, it is all of them.
    """
    if len(exemplars) <= count:
        return list(exemplars)
    points = _scaled(np.stack([e.code[:moments].double().numpy() for e in exemplars]))
    distance = ((points - np.median(points, axis=0)) ** 2).sum(1)
    typical = distance.argsort(kind="stable")[: max(count, round(TYPICAL * len(points)))]
    return [exemplars[row] for row in choose(points, typical, count, seed)]


def pick(network: UniStyleNetwork, found: dict[str, list[Exemplar]], count: int) -> list[Exemplar]:
    """The typical exemplars of every style, `count` of each."""
    moments = network.stylizer.code_sizes[0]
    return [e for exemplars in found.values() for e in typical_exemplars(exemplars, count, moments)]


def _scaled(points: np.ndarray) -> np.ndarray:
    """Points `n d` with every column at mean 0 and standard deviation 1; a constant one is 0."""
    return (points - points.mean(0)) / np.maximum(points.std(0), 1e-6)


def medoids(points: np.ndarray, count: int, seed: int = 0) -> list[int]:
    """Rows of `points` (n d) that are nearest to the centres of k-means: `count`, or fewer where rows are equal or
    one is nearest to two centres."""
    count = min(count, len(np.unique(points, axis=0)))  # which k-means++ takes for granted
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "One of the clusters is empty")  # its centre stays where it was
        centres, _ = kmeans2(points, count, minit="++", seed=np.random.default_rng(seed))
    return list({int(((points - centre) ** 2).sum(1).argmin()): None for centre in centres})
