"""The terms of the joint objective."""

import pytest
import torch
import torch.nn.functional as F
from scipy.stats import wasserstein_distance
from torch.testing import assert_close

from unistyle.files.tensors import as_float
from unistyle.maths.features import gram, periodic_energy
from unistyle.network.encoder import EncoderConfig
from unistyle.network.laying import Samples
from unistyle.network.model import NetworkConfig, UniStyleNetwork
from unistyle.teachers.vgg import VGG19
from unistyle.training.config import OptimizerConfig
from unistyle.training.loop import Student, make_optimizer
from unistyle.training.losses import (
    VGGTargets,
    describe_photo,
    finite,
    label_term,
    pixel_terms,
    segmentation_term,
    style_terms,
)
from unistyle.training.targets.recognition import Seen

MATERIALS = ("brick", "wool")  # as in conftest


def batch(same=0.0, fixed=-1):
    generator = torch.Generator().manual_seed(0)
    photo, style = (
        torch.rand(1, 3, 48, 48, generator=generator),
        torch.rand(1, 3, 48, 64, generator=generator) ** 3,
    )
    region = torch.zeros(1, 1, 48, 48)
    region[..., 8:40] = 1
    return dict(photo=photo, style=style, region=region, style_region=torch.ones(1, 1, 48, 64), gatys=photo * 0.5,
                photo_key=["a"], style_key=["b"], same=torch.tensor([same]), fixed=torch.tensor([fixed]),
                tile=torch.zeros(1, 3, 8, 8, dtype=torch.uint8), structure=torch.zeros(1))  # fmt: skip


def terms_of(item, image, vgg, margin=0.0):
    return style_terms(item, Seen(vgg, image), VGGTargets(vgg, 1e9), margin)


def test_the_photo_has_content_zero_and_its_own_style_zero(vgg_weights):
    vgg = VGG19(vgg_weights)
    item = batch()
    terms = terms_of(item, item["photo"], vgg)
    assert terms["content"] < 1e-4  # the kept features are in half precision
    assert 0 < terms["style"] <= 1
    assert 0 < terms["deep"] <= 1
    own = item | dict(style=item["photo"], style_region=item["region"], style_key=["c"])
    again = terms_of(own, own["photo"], vgg)
    assert again["style"] < 1e-6
    assert again["deep"] < 1e-6


def test_deep_structure_is_compared_at_half_size(vgg_weights):
    vgg, item = VGG19(vgg_weights), batch()
    halves = {
        k: torch.nn.functional.avg_pool2d(item[k], 2) for k in ("photo", "style", "region", "style_region")
    }
    got = terms_of(item, item["photo"], vgg)["deep"]
    features = vgg(halves["photo"]), vgg(halves["style"])
    each = []
    for name in ("relu3_1", "relu4_1"):
        regions = (
            torch.nn.functional.adaptive_avg_pool2d(halves[r], f[name].shape[-2:])
            for r, f in zip(("region", "style_region"), features, strict=True)
        )
        a, b = (gram(f[name], w)[0, 0] for f, w in zip(features, regions, strict=True))
        each.append((a - b).square().sum() / (a.square().sum() + b.square().sum()))
    assert torch.isclose(got, torch.stack(each).mean(), rtol=1e-4)


def test_targets_are_computed_once_and_the_limit_holds(vgg_weights):
    vgg = VGG19(vgg_weights)
    calls = []
    vgg.register_forward_hook(lambda *_: calls.append(1))
    item = batch()
    args = ("photo", item["photo_key"], item["photo"], item["region"], describe_photo)
    kept = VGGTargets(vgg, 1e9)
    first, second = kept.get(*args), kept.get(*args)
    assert len(calls) == 1
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    none = VGGTargets(vgg, 10)
    none.get(*args), none.get(*args)
    assert len(calls) == 3
    assert none.used == 0


def test_pixel_terms_hold_for_the_items_they_are_meant_for():
    item = batch(same=1.0, fixed=0)
    shifted = item["photo"] * 0.5
    terms = pixel_terms(item, shifted)
    assert terms["gatys"] == 0
    inside = item["region"].expand_as(shifted) > 0
    torch.testing.assert_close(terms["identity"], (shifted - item["photo"]).abs()[inside].mean())
    assert terms["shading"] < 0.05  # half the luminance everywhere is a gain, which shading allows
    others = pixel_terms(batch(), item["photo"])
    assert others["gatys"] == others["identity"] == 0


def test_grain_is_what_a_grid_adds_to_the_styles_own():
    item = batch()
    item["style"] = item["photo"]
    item["style_region"] = item["region"]
    assert pixel_terms(item, item["photo"])["grain"] == 0
    rows, columns = torch.meshgrid(torch.arange(48), torch.arange(48), indexing="ij")
    grid = 0.2 * (-1.0) ** (rows + columns)  # the period of 2 alone
    plain = torch.full_like(item["photo"], 0.5)
    wanted = [
        periodic_energy(item["photo"], item["region"], 2),
        periodic_energy(plain + grid, item["region"], 2),
    ]
    torch.testing.assert_close(
        pixel_terms(item, plain + grid)["grain"],
        (wanted[1] / wanted[0]).log().mean() / 2,
        rtol=1e-3,
        atol=1e-3,
    )
    assert pixel_terms(item, plain)["grain"] == 0  # less than the style's is no fault
    faint = (plain + 0.01 * grid).requires_grad_()
    item["style"] = torch.full_like(item["style"], 0.5)
    pixel_terms(item, faint)["grain"].backward()
    assert faint.grad.isfinite().all()
    assert faint.grad.abs().max() > 0


def test_segmentation_falls_as_the_logits_agree():
    mask = torch.zeros(2, 1, 32, 32)
    mask[:, :, :16] = 1
    label = torch.tensor([1, -1])
    right = torch.full((2, 4, 8, 8), -8.0)
    right[:, 3, :4] = right[:, 2, :4] = 8.0
    assert segmentation_term(right, mask, label) < 0.01
    wrong_material = right[:, [0, 2, 1, 3]]
    assert segmentation_term(wrong_material, mask, label) > 1
    assert segmentation_term(wrong_material, mask, torch.tensor([-1, -1])) < 0.01
    empty = torch.zeros(1, 4, 8, 8, requires_grad=True)
    segmentation_term(empty, torch.zeros(1, 1, 8, 8), torch.tensor([-1])).backward()
    assert empty.grad[:, -1].abs().min() > 0
    assert empty.grad[:, :-1].abs().max() == 0  # of the materials nothing is said


def test_labels_count_where_they_are_known():
    logits = torch.zeros(1, 4, 4, 4)  # other, two materials, the main object
    logits[:, 1, :2] = logits[:, 0, 2:] = 20
    label = torch.tensor([1, 1, 0, 0, 0, 0, 255, 255]).repeat_interleave(8).view(1, 8, 8)
    label[:, 2:4] = 1
    assert label_term(logits, label) < 1e-6
    label[:, 6:] = 2  # the last of four rows
    assert label_term(logits, label).item() == pytest.approx(20 / 4, rel=1e-4)
    assert label_term(logits, torch.full_like(label, 255)) == 0


def test_a_term_that_is_not_finite_is_named():
    with pytest.raises(FloatingPointError, match="'shading' is nan at step 7"):
        finite(dict(style=torch.tensor(1.0), shading=torch.tensor(float("nan"))), 7)


def test_colours_that_the_style_has_cost_nothing_whatever_their_light():
    item = batch()
    item["style"] = torch.tensor([0.6, 0.4, 0.2])[None, :, None, None].expand(1, 3, 48, 64)
    darker = (item["style"] - 0.15).expand(1, 3, 48, 64)[..., :48]
    assert pixel_terms(item, darker)["palette"] < 2e-3
    spot = darker.clone()
    spot[:, 0, 20:28, 20:28] = 1
    assert pixel_terms(item, spot)["palette"] > 5 * pixel_terms(item, darker)["palette"]
    outside = darker.clone()
    outside[:, 0, :, :8] = 1  # of which nothing is restyled
    torch.testing.assert_close(
        pixel_terms(item, outside)["palette"], pixel_terms(item, darker)["palette"], rtol=0.1, atol=1e-3
    )
    assert pixel_terms(item | {"same": torch.ones(1)}, spot)["palette"] == 0


def colours(image, region=None, style=None):
    """The term of a picture `3 24 32` whose pixels are places, against a style of as many."""
    whole = torch.ones(1, 1, 24, 32)
    image, region, style, whole = (
        x.repeat_interleave(8, 2).repeat_interleave(8, 3)
        for x in (image, whole if region is None else region, style, whole)
    )
    item = batch() | dict(photo=image, region=region, style=style, style_region=whole, gatys=image)
    return pixel_terms(item, image)["colors"]


def test_shares_of_colours_are_compared_as_by_optimal_transport():
    torch.manual_seed(0)
    style = torch.rand(1, 3, 24, 32)
    shuffled = style.flatten(2)[..., torch.randperm(24 * 32)].view_as(style)
    assert colours(shuffled, style=style) < 1e-6  # where a colour is does not matter
    # On a line, the distance is that of the sorted values.
    red = torch.zeros(1, 3, 24, 32)
    other = red.clone()
    red[:, 0], other[:, 0] = torch.rand(2, 24, 32).unbind()
    wanted = wasserstein_distance(red[0, 0].flatten(), other[0, 0].flatten())
    lines = F.normalize(torch.randn(13, 3, generator=torch.Generator().manual_seed(0)), dim=1)
    share = (1 + lines[:, 0].abs().sum()) / 16  # what a line sees of red
    assert colours(red, style=other) == pytest.approx(wanted * share.item(), rel=0.05)
    assert colours((style + 0.5) / 1.5, style=style) > 0.1  # paler
    half = style.clone()
    half[..., :16] = half[..., 16:].mean((2, 3), keepdim=True)
    assert colours(half, style=style) > 0.02  # fewer


def test_only_colours_inside_the_region_count():
    torch.manual_seed(0)
    style, left = torch.rand(1, 3, 24, 32), torch.zeros(1, 1, 24, 32)
    left[..., :16] = 1
    image = torch.cat([style[..., :16], torch.zeros(1, 3, 24, 16)], dim=-1)
    assert colours(image, left, style) < 0.02 < colours(image, None, style)


def test_the_student_restyles_as_the_network_does():
    network = UniStyleNetwork(
        NetworkConfig(EncoderConfig("mobilenetv2_050", pretrained=False), MATERIALS)
    ).eval()
    tile = torch.randint(256, (1, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    item = batch() | dict(tile=tile, structure=torch.ones(1))
    with torch.no_grad():
        codes = network.encode_style(item["style"], item["style_region"])
        samples = Samples(as_float(item["tile"])[:, None], item["structure"].float()[:, None])
        wanted = network(item["photo"], codes, item["region"], samples=samples).image
        assert_close(Student(network)(item)[0], wanted)


def test_rendered_pairs_are_restyled_as_by_themselves():
    network = UniStyleNetwork(
        NetworkConfig(EncoderConfig("mobilenetv2_050", pretrained=False), MATERIALS)
    ).eval()
    student, item = Student(network), batch() | dict(structure=torch.ones(1))
    pairs, alike = (item | dict(tile=torch.randint(256, (1, 3, 8, 8), dtype=torch.uint8)) for _ in range(2))
    alike["photo"] = alike["photo"].flip(-1)
    smaller = alike | {name: alike[name][..., :32, :32] for name in ("photo", "region")}
    for rendered in (alike, smaller):
        with torch.no_grad():
            restyled, _, drawn = student(pairs, None, rendered)
            assert_close(restyled, student(pairs)[0])
            assert_close(drawn, student(rendered)[0])


def test_a_few_steps_bring_the_style_nearer(vgg_weights):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = UniStyleNetwork(
            NetworkConfig(EncoderConfig("mobilenetv2_050", pretrained=False), MATERIALS)
        )
    item, targets = batch(), VGGTargets(VGG19(vgg_weights), 1e9)
    student, optimizer = Student(network).train(), make_optimizer(network, OptimizerConfig(lr=3e-3))
    values = []
    for _ in range(12):
        style = style_terms(item, Seen(targets.vgg, student(item)[0]), targets, 0.0)["style"]
        optimizer.zero_grad()
        style.backward()
        optimizer.step()
        values.append(style.item())
    assert values[-1] < 0.7 * values[0]
