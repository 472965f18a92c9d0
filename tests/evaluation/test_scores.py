"""Scores against references, definitions and known extremes."""

import math

import pytest
import torch
from torch.testing import assert_close

from tests.helpers import TinyVGG, make_job
from unistyle.data.transfer import Transfer
from unistyle.evaluation.rows import summary
from unistyle.evaluation.scores import (
    changed,
    kernel_distance,
    large_structure,
    mask_scores,
    patch_distance,
    rim,
    shading,
    size_distance,
    style_scores,
)
from unistyle.maths.features import content_distance, gram, gram_distance, periodic_energy
from unistyle.maths.resizing import resize_regions
from unistyle.teachers.vgg import STYLE_LAYERS


@pytest.fixture(scope="module")
def vgg():
    return TinyVGG()


def test_scores_equal_their_definition(vgg):
    job = make_job()
    result = job.photo.flip(1)
    scores = style_scores(vgg, job, result)

    def distance(image, name):
        f, g = vgg(image)[name], vgg(job.style)[name]
        w, v = (resize_regions(x, y.shape[-2:]) for x, y in ((job.region, f), (job.style_region, g)))
        return gram_distance(gram(f, w), gram(g, v)).item()

    after, before = ([distance(x, name) for name in STYLE_LAYERS] for x in (result, job.photo))
    assert scores["gram"] == pytest.approx(sum(after) / 4, rel=1e-4)
    assert scores["relative"] == pytest.approx(sum(after) / sum(before), rel=1e-4)
    assert scores["relu3_1"] == pytest.approx(after[2] / before[2], rel=1e-4)
    f, g = vgg(result)["relu4_1"], vgg(job.photo)["relu4_1"]
    wanted = content_distance(f, g, resize_regions(job.region, f.shape[-2:])).item()
    assert scores["content"] == pytest.approx(wanted, rel=1e-4)


def test_mask_scores_worked_out_by_hand():
    annotated = torch.tensor([[1, 1, 0, 0], [1, 1, 0, 0]]).bool()
    found = torch.tensor([[1, 1, 1, 0], [0, 0, 0, 0]]).bool()
    scores = mask_scores(found, annotated)
    assert scores["accuracy"] == pytest.approx(5 / 8)  # two hits and three right blanks
    assert scores["mean_iu"] == pytest.approx((2 / 5 + 3 / 6) / 2)
    everything = torch.ones_like(annotated)
    assert mask_scores(everything, everything) == {"accuracy": 1, "mean_iu": 1}  # no background: left out


def test_the_untouched_photo_scores_one(vgg):
    job = make_job()
    scores = style_scores(vgg, job, job.photo)
    for name in ("relative", *STYLE_LAYERS, "luminance", "moments", "shading"):
        assert scores[name] == pytest.approx(1, abs=1e-4)
    assert scores["content"] == pytest.approx(0, abs=1e-4)
    assert scores["outside"] == 0


def test_the_style_itself_scores_zero(vgg):
    job = make_job()
    job = job._replace(style=job.photo.flip(-1), style_region=job.region.flip(-1))
    own = job._replace(photo=torch.rand(job.photo.shape), region=job.style_region)
    scores = style_scores(vgg, own, job.style)
    for name in ("relative", *STYLE_LAYERS, "luminance", "moments"):
        assert scores[name] == pytest.approx(0, abs=1e-4)


def test_recolouring_does_not_change_what_grey_and_structure_say(vgg):
    """A shift of colour that keeps the luminance moves the colour score and leaves that of grey images."""
    job = make_job()
    shift = torch.tensor([0.05 / 0.2126, 0, -0.05 / 0.0722])[None, :, None, None] * 0.2
    scores = style_scores(vgg, job, job.photo + shift)
    assert scores["luminance"] == pytest.approx(1, abs=1e-3)
    assert abs(scores["relative"] - 1) > 1e-3


def grating(period, u, v, size=64):
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    return (0.5 + 0.2 * torch.cos(2 * torch.pi * (u * y + v * x) / period)).expand(1, 3, size, size)


@pytest.mark.parametrize("period", [2, 4])
@pytest.mark.parametrize("direction", [(0, 1), (1, 0), (1, 1), (1, -1)])
def test_periodic_energy_is_that_of_a_grating_of_the_period_alone(period, direction):
    everywhere = torch.ones(1, 1, 64, 64)
    # The mean power of a cosine of amplitude a is a^2 / 4 on one side of the spectrum; at 2 pixels the sides are one.
    wanted = 0.2**2 / (1 if period == 2 else 4)
    energy = periodic_energy(grating(period, *direction), everywhere, period).item()
    assert energy == pytest.approx(wanted, rel=1e-3)
    for other in (8, 16, 1000):
        assert periodic_energy(grating(other, *direction), everywhere, period).item() < 1e-3 * wanted


def test_periodic_energy_looks_at_the_region_alone():
    image, region = torch.full((1, 3, 64, 96), 0.5), torch.zeros(1, 1, 64, 96)
    image[..., 48:] = grating(2, 1, 1)[..., :48]
    region[..., :24] = 1
    assert periodic_energy(image, region, 2).item() < 1e-9
    assert periodic_energy(image, 1 - region, 2).item() > 1e-3


def test_shading_is_the_correlation_of_low_frequencies():
    y, x = torch.meshgrid(torch.linspace(0, 1, 64), torch.linspace(0, 1, 96), indexing="ij")
    photo, across = (a.expand(1, 3, 64, 96) for a in (x, y))
    everywhere = torch.ones(1, 1, 64, 96)
    noise = 0.3 * (torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0)) - 0.5)
    assert_close(shading(0.5 * photo + 0.2 + noise, photo, everywhere), torch.ones(1), atol=0.02, rtol=0)
    assert_close(shading(1 - photo, photo, everywhere), -torch.ones(1), atol=0.02, rtol=0)
    assert_close(shading(across, photo, everywhere), torch.zeros(1), atol=0.02, rtol=0)


def test_shading_looks_at_the_region_alone():
    photo = torch.linspace(0, 1, 96).expand(1, 3, 64, 96).clone()
    region = torch.zeros(1, 1, 64, 96)
    region[..., :48] = 1
    result = photo.clone()
    result[..., 48:] = 0.9 - result[..., 48:]
    assert_close(shading(result, photo, region), torch.ones(1), atol=1e-3, rtol=0)


def test_changed_counts_8_bit_values_outside():
    photo, alpha = torch.full((1, 3, 4, 4), 100 / 255), torch.zeros(1, 1, 4, 4)
    alpha[..., :2, :] = 0.3
    result = photo.clone()
    result[..., :2, :] = 1
    assert changed(result, photo, alpha) == 0
    result[0, 1, 3, 2] += 1 / 255
    result[0, 2, 3, 3] += 0.4 / 255
    assert changed(result, photo, alpha) == 1


@pytest.fixture
def half():
    """A photo of a gradient, its left half the region: photo and region at 48 x 96."""
    photo = torch.linspace(0.2, 0.8, 48)[:, None].expand(1, 3, 48, 96).clone()
    region = torch.zeros(1, 1, 48, 96)
    region[..., :48] = 1
    return photo, region


def test_a_rim_is_measured_in_standard_deviations_of_the_result(half):
    photo, region = half
    result = 0.5 * photo + 0.1  # gain and offset alone make no rim
    assert rim(result, photo, region).item() == pytest.approx(0, abs=1e-5)
    result[..., 44:48] -= 0.1  # dark in the last four columns of the region
    spread = result[..., :48].std(correction=0).item()
    assert rim(result, photo, region).item() == pytest.approx(-0.1 / spread, rel=1e-3)


def test_a_region_without_an_edge_has_no_rim(half):
    photo, _ = half
    assert rim(torch.rand(photo.shape), photo, torch.ones_like(photo[:, :1])).isnan().all()
    rows = [{"rim": float("nan"), "x": 1.0}, {"rim": 0.5, "x": 2.0}]
    assert summary(rows[:1])["rim"]["n"] == 0
    assert (summary(rows)["rim"]["median"], summary(rows)["rim"]["n"]) == (0.5, 1)


def tiled(pattern: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    return pattern.repeat(1, 1, rows, columns)


def test_large_structure_is_one_for_the_photo_and_none_for_the_style(vgg):
    job = make_job(64, 64)
    assert large_structure(vgg, job, job.photo) == pytest.approx(1)
    whole = torch.ones(1, 1, 64, 64)
    same = Transfer(job.photo, job.photo.flip(1), whole, whole)
    assert large_structure(vgg, same, same.style) == pytest.approx(0, abs=1e-6)


def test_patches_of_a_repeated_tile_are_those_of_the_tile():
    """Sorted projections do not depend on how often each patch comes."""
    tile = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    # Sides at which every place of the tile has equally many patches: 22 and 46 positions at a quarter, less 6.
    photo, result = torch.rand(1, 3, 88, 88), tiled(tile, 3, 3)[..., :88, :88]
    ones = lambda x: torch.ones_like(x[:, :1])  # noqa: E731
    transfer = Transfer(photo, tiled(tile, 6, 6)[..., :184, :184], ones(photo), torch.ones(1, 1, 184, 184))
    assert patch_distance(transfer, result) < 0.05
    assert patch_distance(transfer, photo) == pytest.approx(1)
    exact = Transfer(photo, result, ones(photo), ones(photo))
    assert patch_distance(exact, result) == 0
    shifted = patch_distance(exact, (result + 0.1).clamp(0, 1))
    assert 0.05 < shifted < patch_distance(exact, torch.zeros_like(result))


def test_patches_count_inside_the_region_alone():
    style, region = torch.rand(1, 3, 96, 96), torch.zeros(1, 1, 96, 96)
    region[..., 32:] = 1
    result = style.clone()
    result[..., :28] = 0
    transfer = Transfer(torch.zeros_like(style), style, region, region)
    assert patch_distance(transfer, result) == 0
    tiny = torch.zeros_like(region)
    tiny[..., :8, :8] = 1
    assert math.isnan(patch_distance(transfer._replace(region=tiny), result))


def test_results_of_several_sizes(vgg):
    job = make_job(64, 64)
    results = [job.photo, job.photo.clone(), job.photo.flip(1)]
    assert size_distance(vgg, job.region, results[:2]) == 0
    other = size_distance(vgg, job.region, [results[0], results[2]])
    assert other > 0
    assert size_distance(vgg, job.region, results) == pytest.approx(other), "the largest counts"


def test_kernel_distance_is_that_of_torchmetrics():
    kid = pytest.importorskip(
        "torchmetrics.image.kid", reason="a reference for the tests: pip install torchmetrics"
    )
    rng = torch.Generator().manual_seed(0)
    x, y = torch.rand(40, 6, generator=rng), torch.rand(40, 6, generator=rng) ** 2
    assert kernel_distance(x, y) == pytest.approx(kid.poly_mmd(x, y).item(), rel=1e-3)


def test_kernel_distance_by_hand():
    x, y = torch.tensor([[1.0], [0.0]]), torch.tensor([[2.0], [2.0], [2.0]])
    # Kernels (ab + 1)^3: of x 1; of y 125; between the two 27 and 1.
    assert kernel_distance(x, y) == pytest.approx(1 + 125 - 2 * 14)
    assert math.isnan(kernel_distance(x[:1], y))


def test_kernel_distance_of_one_distribution_is_zero_on_average():
    rng = torch.Generator().manual_seed(0)
    drawn = [kernel_distance(*torch.rand(2, 60, 4, generator=rng)) for _ in range(40)]
    assert abs(sum(drawn) / 40) < 0.01
    assert min(drawn) < 0 < max(drawn)
