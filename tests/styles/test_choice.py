"""Which photos stand for a style."""

import itertools
import warnings

import numpy as np
import pytest
import torch

from tests.styles.making import exemplars_of
from unistyle.styles.choice import medoids, pick, typical_exemplars

ALL = 10**6  # numbers of a code: more than it has


def chosen(codes, count: int, **options) -> list[int]:
    """Rows of the codes that are chosen."""
    return [int(e.path.stem) for e in typical_exemplars(exemplars_of(codes), count, ALL, **options)]


def clusters(sizes: list[int], spread: float = 0.1, seed: int = 0) -> tuple[np.ndarray, list[int]]:
    """Points in 6 dimensions around far corners, shuffled, and the cluster of each."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    return 10 * np.eye(6)[labels] + rng.normal(0, spread, (len(labels), 6)), labels.tolist()


def test_count_photos_are_chosen_or_all():
    codes = np.random.default_rng(0).normal(size=(12, 6))
    for count in (1, 2, 3, 8, 11):
        rows = chosen(codes, count)
        assert 1 <= len(rows) <= count
        assert len(set(rows)) == len(rows)
    assert len(chosen(codes, 3)) == 3
    for count in (12, 13, 100):
        assert chosen(codes, count) == list(range(12)), "all, in their order"
    assert chosen(codes[:1], 1) == [0]


def test_the_choice_is_always_the_same():
    codes = np.random.default_rng(1).normal(size=(20, 6))
    state = np.random.get_state()[1].copy()  # noqa: NPY002  (that it is left alone)
    first = chosen(codes, 3)
    assert all(chosen(codes, 3) == first for _ in range(3))
    assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    assert chosen(codes * 7 + 3, 3) == first, "whatever the scale of the numbers"


def test_one_of_each_of_two_kinds():
    for seed, sizes in enumerate([[6, 6], [5, 5], [7, 5], [20, 20]]):
        codes, kinds = clusters(sizes, seed=seed)
        assert sorted(kinds[row] for row in chosen(codes, 2)) == [0, 1], sizes


def test_a_photo_of_something_else_is_never_chosen():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        codes = rng.normal(size=(10, 6))
        odd = int(rng.integers(10))
        codes[odd] += 50 * rng.normal(size=6)
        for count in (1, 2, 3):
            assert odd not in chosen(codes, count, seed=seed), (seed, count)


def test_the_moments_alone_decide():
    codes, kinds = clusters([6, 6])
    noisy = np.hstack([codes, 1000 * np.random.default_rng(0).normal(size=(12, 4))])
    rows = [int(e.path.stem) for e in typical_exemplars(exemplars_of(noisy), 2, 6)]
    assert rows == chosen(codes, 2)
    assert sorted(kinds[row] for row in rows) == [0, 1]


def test_large_numbers_count_as_much_as_small_ones():
    for seed in range(5):
        codes, kinds = clusters([6, 6], seed=seed)
        loud = 1000 * np.random.default_rng(seed).normal(size=(12, 1))
        rows = chosen(np.hstack([codes[:, :1], codes[:, 1:2], codes[:, :1] / 7, loud]), 2)
        assert sorted(kinds[row] for row in rows) == [0, 1], seed


def test_equal_photos_are_chosen_once():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(chosen(np.full((6, 4), 0.1), 3)) == 1
        assert len(chosen(np.zeros((6, 4)), 5)) == 1
        two = chosen(np.repeat([[0.0, 1], [1, 0]], 4, axis=0), 3)
        assert sorted(row // 4 for row in two) == [0, 1]
        assert chosen(np.zeros((2, 4)), 2) == [0, 1], "all, as there are no more"


def test_numbers_that_never_differ_do_not_count():
    codes, _ = clusters([6, 6])
    constant = np.broadcast_to([0.1, 0.0, 3e3], (12, 3))
    for count in (2, 3):
        assert chosen(np.hstack([codes, constant]), count) == chosen(codes, count)
    assert len(chosen(np.repeat(constant, 100, axis=1), 3)) == 1, (
        "nor do they give the files' order a meaning"
    )


def test_rounding_errors_do_not_count():
    for seed in range(5):
        codes, kinds = clusters([6, 6], seed=seed)
        flicker = 0.1 + 1e-8 * np.random.default_rng(seed).choice([-1, 1], (12, 1)).repeat(300, axis=1)
        assert sorted(kinds[row] for row in chosen(np.hstack([codes, flicker]), 2)) == [0, 1], seed


@pytest.mark.parametrize("sizes", [[4], [5, 3], [3, 5, 3], [3, 3, 4, 3]])
def test_medoids_are_those_of_every_possible_choice(sizes):
    for seed in range(5):
        points, _ = clusters(sizes, seed=seed)
        distance = ((points[:, None] - points[None]) ** 2).sum(-1)
        # The mean square distance to a point is that to the mean and a constant: the best points are the nearest.
        best = min(
            itertools.combinations(range(len(points)), len(sizes)),
            key=lambda rows: distance[list(rows)].min(0).sum(),
        )
        rows = medoids(points, len(sizes), seed)
        assert sorted(rows) == sorted(best), (sizes, seed)


def test_clear_clusters_are_found_with_any_seed():
    points, labels = clusters([9, 9, 9])
    assert all({labels[i] for i in medoids(points, 3, seed)} == {0, 1, 2} for seed in range(20))


def test_medoids_say_nothing():
    rng = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for seed in range(100):
            points = rng.integers(0, 3, (int(rng.integers(1, 12)), 2)).astype(float)
            count = int(rng.integers(1, 6))
            rows = medoids(points, count, seed)
            assert 1 <= len(rows) <= count
            assert len({tuple(points[row]) for row in rows}) == len(rows), "equal points count once"
            near = 1e6 + rng.normal(0, 1e-8, (9, 6))  # as far apart as rounding errors: clusters run empty
            assert 1 <= len(medoids(near, 4, seed)) <= 4


def test_every_style_gets_its_exemplars(network):
    codes = torch.randn(9, network.stylizer.code_size, generator=torch.Generator().manual_seed(0))
    found = {"felt": exemplars_of(codes[:7], "felt"), "rust": exemplars_of(codes[7:])}
    picked = pick(network, found, 3)
    assert [e.style for e in picked] == ["felt"] * 3 + ["rust"] * 2
    assert picked[:3] == typical_exemplars(found["felt"], 3, network.stylizer.code_sizes[0])
