"""Statistics and distances against naive references, and their behaviour at the edges."""

import pytest
import torch
from torch.testing import assert_close

from unistyle.maths.features import (
    EPS,
    content_distance,
    correlation,
    gram,
    gram_distance,
    luminance,
    moment_distance,
    moments,
    normalise,
    regional_adain,
)
from unistyle.maths.resizing import resize_regions

DTYPES = (torch.float32, torch.float16, torch.bfloat16)


def sample(b=2, c=5, h=9, w=7, k=3, seed=0, mean=0.0):
    """Features, and soft regions that sum to at most 1."""
    generator = torch.Generator().manual_seed(seed)
    f = mean + torch.randn(b, c, h, w, generator=generator)
    shares = torch.randn(b, k + 1, h, w, generator=generator).softmax(1)
    return f, shares[:, :k]


def naive_moments(f, w):
    """Mean and standard deviation, position by position, in double precision."""
    mean, std = (torch.zeros(f.shape[0], w.shape[1], f.shape[1], dtype=torch.float64) for _ in range(2))
    for b in range(f.shape[0]):
        for k in range(w.shape[1]):
            weights = w[b, k].double().flatten() / w[b, k].double().sum()
            values = f[b].double().flatten(1)
            mean[b, k] = (values * weights).sum(1)
            std[b, k] = (((values - mean[b, k, :, None]) ** 2 * weights).sum(1) + EPS).sqrt()
    return mean.float(), std.float()


@pytest.mark.parametrize("offset", [0.0, 300.0])
def test_moments_equal_the_naive_ones(offset):
    f, w = sample(mean=offset)
    for got, wanted in zip(moments(f, w), naive_moments(f, w), strict=True):
        assert_close(got, wanted, rtol=1e-4, atol=1e-4)


def test_moments_of_a_binary_region_are_those_of_its_pixels():
    f, _ = sample(b=1)
    inside = torch.rand(9, 7, generator=torch.Generator().manual_seed(4)) > 0.5
    mean, std = moments(f, inside[None, None].float())
    pixels = f[0, :, inside]
    assert_close(mean[0, 0], pixels.mean(1))
    assert_close(std[0, 0], (pixels.var(1, correction=0) + EPS).sqrt())


def test_a_region_keeps_out_what_lies_beyond_it():
    f, _ = sample(b=1)
    w = torch.zeros(1, 1, 9, 7)
    w[..., :4, :] = 1
    spoiled = f.clone()
    spoiled[..., 4:, :] = 30
    assert_close(moments(f, w)[0], moments(spoiled, w)[0])
    assert_close(moments(f, w)[1], moments(spoiled, w)[1], rtol=1e-2, atol=1e-2)
    assert_close(gram(f, w), gram(spoiled, w))


@pytest.mark.parametrize("dtype", DTYPES)
def test_statistics_are_taken_in_fp32(dtype):
    f, w = sample(
        mean=200.0
    )  # the square overflows fp16 when summed, and bf16 has no digits left for a variance
    f, w = f.to(dtype), w.to(dtype)
    exact = naive_moments(f, w)
    for got, wanted in zip(moments(f, w), exact, strict=True):
        assert got.dtype == torch.float32
        assert_close(got, wanted, rtol=1e-3, atol=1e-3)
    assert gram(f, w).dtype == torch.float32
    assert gram(f * 100, w).isfinite().all()
    assert regional_adain(f, w, *exact).dtype == dtype


def test_gram_equals_the_naive_one():
    f, w = sample()
    wanted = torch.zeros(2, 3, 5, 5, dtype=torch.float64)
    for b in range(2):
        for k in range(3):
            for y in range(9):
                for x in range(7):
                    v = f[b, :, y, x].double()
                    wanted[b, k] += w[b, k, y, x].double() * v.outer(v)
            wanted[b, k] /= w[b, k].double().sum()
    assert_close(gram(f, w), wanted.float())


def test_adain_gives_each_region_the_moments_of_its_style():
    f, _ = sample()
    w = torch.zeros(2, 3, 9, 7)
    w[:, 0, :3], w[:, 1, 3:6], w[:, 2, 6:] = 1, 1, 1
    mean, std = torch.randn(2, 3, 5), torch.rand(2, 3, 5) + 0.5
    for got, wanted in zip(moments(regional_adain(f, w, mean, std), w), (mean, std), strict=True):
        assert_close(got, wanted, rtol=1e-3, atol=1e-3)


def test_adain_equals_its_formula_for_soft_regions():
    f, w = sample()
    style = torch.randn(2, 3, 5), torch.rand(2, 3, 5) + 0.5
    mean, std = naive_moments(f, w)
    wanted = (1 - w.sum(1, keepdim=True)) * f
    for k in range(3):
        mu, sd, mu_s, sd_s = (x[:, k, :, None, None] for x in (mean, std, *style))
        wanted = wanted + w[:, k, None] * ((f - mu) / sd * sd_s + mu_s)
    assert_close(regional_adain(f, w, *style), wanted, rtol=1e-4, atol=1e-4)


def test_one_full_region_is_plain_adain():
    f, _ = sample()
    mean, std = torch.randn(2, 1, 5), torch.rand(2, 1, 5) + 0.5
    own_mean, own_var = f.mean((2, 3), keepdim=True), f.var((2, 3), correction=0, keepdim=True)
    wanted = (f - own_mean) / (own_var + EPS).sqrt() * std[:, 0, :, None, None] + mean[:, 0, :, None, None]
    assert_close(regional_adain(f, torch.ones(2, 1, 9, 7), mean, std), wanted, rtol=1e-4, atol=1e-5)


def test_adain_with_the_own_moments_changes_nothing():
    f, w = sample()
    assert_close(regional_adain(f, w, *moments(f, w)), f, rtol=1e-4, atol=1e-5)


def test_adain_leaves_alone_what_is_outside():
    f, w = sample()
    w[..., 5:, :] = 0
    out = regional_adain(f, w, torch.ones(2, 3, 5) * 7, torch.ones(2, 3, 5))
    assert torch.equal(out[..., 5:, :], f[..., 5:, :])


@pytest.mark.parametrize("size", [(9, 7), (1, 1)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_empty_regions_and_single_positions_are_finite(size, dtype):
    f, w = sample(h=size[0], w=size[1])
    w[:, 1] = 0
    f, w = f.to(dtype).requires_grad_(), w.to(dtype).requires_grad_()
    mean, std = moments(f, w)
    out = regional_adain(f, w, torch.ones(2, 3, 5), torch.ones(2, 3, 5))
    distance = content_distance(f, f.detach().flip(0), w[:, 1:2])
    values = [mean, std, gram(f, w), out, distance, normalise(f, w[:, :1])]
    assert all(x.isfinite().all() for x in values)
    sum(x.float().square().sum() for x in values).backward()
    assert f.grad.isfinite().all()
    assert w.grad.isfinite().all()


def test_a_batch_equals_its_items():
    f, w = sample()
    for function in (
        lambda f, w: moments(f, w)[1],
        gram,
        lambda f, w: regional_adain(f, w, *moments(f.flip(1), w)),
    ):
        items = torch.cat([function(f[i : i + 1], w[i : i + 1]) for i in range(2)])
        assert_close(function(f, w), items)


@pytest.mark.parametrize("name", ["gram", "moments", "content", "adain"])
def test_gradients_equal_finite_differences(name):
    (f, w), (other, _) = sample(b=1, c=2, h=4, w=4, k=1), sample(b=1, c=2, h=4, w=4, k=1, seed=1)
    direction, _ = sample(b=1, c=2, h=4, w=4, k=1, seed=2)
    loss = {
        "gram": lambda x: gram_distance(gram(x, w), gram(other, w)).sum(),
        "moments": lambda x: moment_distance(moments(x, w), moments(other, w)).sum(),
        "content": lambda x: content_distance(x, other, w).sum(),
        "adain": lambda x: (regional_adain(x, w, *moments(other, w)) * other).sum(),
    }[name]
    (grad,) = torch.autograd.grad(loss(f.requires_grad_()), f)
    slope = (loss(f + 1e-2 * direction) - loss(f - 1e-2 * direction)) / 2e-2
    assert_close((grad * direction).sum(), slope.detach(), rtol=1e-2, atol=1e-3)


def test_distances_of_equals_are_zero_and_grow_with_the_difference():
    f, w = sample()
    g, m = gram(f, w), moments(f, w)
    assert_close(gram_distance(g, g), torch.zeros(2, 3))
    assert_close(gram_distance(2 * g, g), torch.ones(2, 3))
    assert_close(gram_distance(0 * g, g), torch.ones(2, 3))
    assert_close(moment_distance(m, m), torch.zeros(2, 3))
    assert_close(moment_distance((2 * m[0], 2 * m[1]), m), torch.ones(2, 3))


def test_content_distance_sees_structure_alone():
    f, _ = sample(h=32, w=32)
    other, _ = sample(h=32, w=32, seed=1)
    w = torch.ones(2, 1, 32, 32)
    assert_close(content_distance(3 * f + 5, f, w), torch.zeros(2), atol=1e-4, rtol=0)
    assert_close(content_distance(other, f, w), torch.full((2,), 2.0), atol=0.15, rtol=0)
    assert_close(content_distance(-f, f, w), torch.full((2,), 4.0), atol=1e-2, rtol=0)


def test_regions_keep_their_area_and_their_sum_when_shrunk():
    _, w = sample(h=64, w=48)
    small = resize_regions(w, (16, 12))
    assert_close(small.mean((2, 3)), w.mean((2, 3)))
    assert small.sum(1).max() <= 1 + 1e-6
    assert resize_regions(w, (64, 48)) is w
    assert resize_regions(w, (100, 100)).shape == (2, 3, 100, 100)


def test_luminance_of_grey_is_grey():
    grey = torch.rand(2, 1, 4, 4)
    assert_close(luminance(grey.expand(2, 3, 4, 4)), grey)


@pytest.mark.parametrize("offset", [0.0, 300.0])
def test_correlations_of_a_binary_region_are_those_of_its_pixels(offset):
    f, _ = sample(b=2, mean=offset)
    f[:, 1] = 2 * f[:, 0] + f[:, 2]
    inside = torch.rand(9, 7, generator=torch.Generator().manual_seed(4)) > 0.5
    got = correlation(f, inside.expand(2, 1, 9, 7).float())
    for b in range(2):
        assert_close(got[b, 0], torch.corrcoef(f[b, :, inside]), rtol=1e-3, atol=1e-3)


def test_correlations_of_nothing_are_finite():
    f, w = sample()
    f[:, 0] = 7  # a constant channel
    w[:, 1] = 0  # an empty region
    got = correlation(f, w)
    assert got.isfinite().all()
    assert got[:, 0, 0, 1:].abs().max() < 1e-3
