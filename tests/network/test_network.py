"""The network: any size, one pass for several regions, exact outside, gradients everywhere."""

import copy
from dataclasses import replace
from itertools import product

import pytest
import torch
import torch.nn.functional as F

from unistyle.maths.features import moments
from unistyle.network.composite import MARGIN, alpha_of, composite, guided_upsample
from unistyle.network.encoder import Encoder, EncoderConfig, fold_batch_norm
from unistyle.network.model import SIGHT, NetworkConfig, UniStyleNetwork
from unistyle.network.segmenter import SURE, agreed, alike
from unistyle.network.stylizer import NOISE_SIDE, Noise
from unistyle.network.vocabulary import with_main_object

ENCODER = EncoderConfig("mobilenetv2_050", pretrained=False)


@pytest.fixture(scope="module")
def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return UniStyleNetwork(NetworkConfig(ENCODER, ("leather", "stone", "wood"))).eval()


def images(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_folding_batch_norm_changes_no_feature():
    import timm

    backbone = timm.create_model("mobilenetv2_050", features_only=True, pretrained=False)
    for module in backbone.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.5, 0.5)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
    image = images(2, 3, 50, 70)
    wanted = backbone.eval()(image)
    fold_batch_norm(backbone)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in backbone.modules())
    for got, want in zip(backbone(image), wanted, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-4 * float(want.detach().abs().max()))


@pytest.mark.parametrize("name", ["swin_tiny_patch4_window7_224", "vit_tiny_patch16_224", "dla34"])
def test_a_backbone_of_another_layout_or_for_some_sizes_only_is_refused_by_name(name):
    with pytest.raises(ValueError, match=name):
        Encoder(EncoderConfig(name, pretrained=False))


@pytest.mark.parametrize("name", ["resnet10t", "convnext_atto", "edgenext_xx_small", "repghostnet_050"])
def test_other_families_of_backbones(name):
    network = UniStyleNetwork(NetworkConfig(EncoderConfig(name, pretrained=False), ("stone",))).eval()
    with torch.no_grad():
        output = network(images(1, 3, 33, 47), network.encode_style(images(1, 3, 40, 50)))
    assert output.image.shape == (1, 3, 33, 47)


@pytest.mark.parametrize("size", [(32, 32), (32, 75), (33, 47), (64, 96)])
def test_size_out_is_size_in(network, size):
    with torch.no_grad():
        output = network(images(1, 3, *size), network.encode_style(images(1, 3, 40, 50)))
    assert output.image.shape == output.restyled.shape == (1, 3, *size)
    assert output.alpha.shape == (1, 1, *size)
    assert all(x.isfinite().all() for x in output)


def test_a_photo_too_small_is_refused_with_its_size(network):
    with pytest.raises(ValueError, match="31"):
        network(images(1, 3, 40, 31), torch.zeros(1, 1, network.stylizer.code_size))


def test_noise_is_the_same_at_a_position_whatever_the_size_and_repeats():
    noise, tile = Noise(3).eval(), torch.randn(NOISE_SIDE, NOISE_SIDE)
    large = noise(torch.zeros(1, 3, NOISE_SIDE + 20, 30), tile)
    assert torch.equal(noise(torch.zeros(1, 3, 12, 30), tile), large[..., :12, :])
    assert torch.equal(large[..., NOISE_SIDE:, :], large[..., :20, :])
    assert large.std() > 0.5 * noise.amount.detach().square().mean().sqrt()


def test_noise_is_shifted_in_training():
    noise, tile = Noise(3).train(), torch.randn(NOISE_SIDE, NOISE_SIDE)
    first, second = (noise(torch.zeros(1, 3, 8, 8), tile) for _ in range(2))
    assert not torch.equal(first, second)


def test_a_flat_photo_gets_texture(network):
    flat, code = torch.full((1, 3, 96, 96), 0.5), network.encode_style(images(1, 3, 48, 48))
    with torch.no_grad():
        restyled = network(flat, code, torch.ones(1, 1, 24, 24)).restyled
    middle = restyled[..., 32:64, 32:64]  # where the padding of the border does not reach
    assert middle.std(dim=(-2, -1)).max() > 1e-3


def test_statistics_stay_in_full_precision_under_autocast():
    f, w = images(1, 4, 16, 16) + 3, torch.ones(1, 1, 16, 16)
    wanted = moments(f, w)
    with torch.autocast("cpu", torch.bfloat16):
        got = moments(f, w)
    for a, b in zip(got, wanted, strict=True):
        assert torch.equal(a, b)


def test_outside_the_region_the_photo_stays_to_the_bit(network):
    photo, mask = images(1, 3, 64, 64), torch.zeros(1, 1, 64, 64)
    mask[..., 10:40, 10:40] = 1
    with torch.no_grad():
        output = network(photo, network.encode_style(images(1, 3, 64, 64, seed=1)), mask)
    outside = (mask == 0).expand_as(photo)
    assert torch.equal(output.image[outside], photo[outside])
    assert not torch.equal(output.image[~outside], photo[~outside])


def test_strength_zero_is_the_photo_and_strength_one_the_full_style(network):
    photo, code = images(1, 3, 48, 48), network.encode_style(images(1, 3, 48, 48, seed=1))
    whole = torch.ones(1, 1, 48, 48)
    with torch.no_grad():
        assert torch.equal(network(photo, code, whole, strength=0.0).image, photo)
        output = network(photo, code, whole)
    torch.testing.assert_close(output.image, output.restyled)


def test_keeping_the_colour_changes_no_chroma():
    photo, restyled = images(1, 3, 8, 8) * 0.2 + 0.4, images(1, 3, 8, 8, seed=1) * 0.2 + 0.4
    image = composite(photo, restyled, torch.ones(1, 1, 8, 8), keep_color=True)
    chroma = lambda x: x - x.mean(1, keepdim=True)  # noqa: E731
    torch.testing.assert_close(chroma(image), chroma(photo))
    assert not torch.allclose(image, photo)


def test_a_batch_of_two_equals_two_batches_of_one(network):
    photos, styles = images(2, 3, 48, 64), images(2, 3, 40, 40, seed=1)
    with torch.no_grad():
        codes = network.encode_style(styles)
        together = network(photos, codes).image
        apart = [network(photos[i : i + 1], codes[i : i + 1]).image for i in range(2)]
    torch.testing.assert_close(together, torch.cat(apart), rtol=1e-4, atol=1e-5)


def test_two_regions_keep_their_own_styles(network):
    photo, code = images(1, 3, 32, 384), network.encode_style(images(1, 3, 64, 64, seed=1))
    other = network.encode_style(images(1, 3, 64, 64, seed=2) * 0.2)
    left = torch.zeros(1, 1, 32, 384)
    left[..., :192] = 1
    regions = torch.cat([left, 1 - left], 1)
    with torch.no_grad():
        same = network(photo, torch.cat([code, code], 1), regions).image
        mixed = network(photo, torch.cat([code, other], 1), regions).image
    # The left half cares little what becomes of the right one.
    changed = (same - mixed).abs()
    assert changed[..., 208:].mean() > 4 * changed[..., :16].mean()


def test_routes_send_each_material_to_its_own_region(network):
    photo, routes = images(1, 3, 64, 64), torch.zeros(6, 2)
    routes[0, 0] = routes[4, 1] = 1
    with torch.no_grad():
        code = network.encode_style(photo).expand(-1, 2, -1)
        output = network(photo, code, routes=routes)
        places, own = network.places(output.logits), network(photo, code[:, :1]).regions
    torch.testing.assert_close(output.regions, places[:, [0, 4]])
    torch.testing.assert_close(own, places[:, :3].sum(1, keepdim=True))  # by default those of the main object


def test_materials_are_looked_for_at_one_size(network):
    photo = torch.rand(1, 3, 2 * SIGHT, 2 * SIGHT + 96)
    small = F.interpolate(photo, scale_factor=0.5, mode="bilinear", antialias=True)
    with torch.no_grad():
        features, logits = network.eval().find(photo)
        _, wanted = network.find(small)
    assert features[0].shape[-2:] == (
        SIGHT // 2,
        SIGHT // 2 + 24,
    )  # the stylizer still has the photo's own size
    assert logits.shape[-2:] == (SIGHT // 4, SIGHT // 4 + 12)
    torch.testing.assert_close(logits, wanted)


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("main", [True, False])
def test_two_answers(network, threshold, main):
    """What each place is made of, and the main object by the threshold on its odds. Before version 0.2 it was all that
    is a material."""
    network = copy.deepcopy(network)
    network.config = replace(network.config, threshold=threshold, main=main)
    logits = images(2, 4 + main, 9, 9) * 20 - 10
    found, places = network.found(logits), network.places(logits)
    p = network.main_odds(logits)[:, 0].sigmoid() if main else 1 - logits.softmax(1)[:, 0]
    torch.testing.assert_close(found.main[:, 0] > 0.5, p > threshold)
    largest = logits[:, 0 if main else 1 : 4].argmax(1)
    if main:
        torch.testing.assert_close(places[:, :3], found.materials * found.main)
        around = (found.main[:, 0] < 1e-3) & (largest > 0)
        assert (found.materials.argmax(1) + 1)[around].equal(largest[around])
    else:
        torch.testing.assert_close(found.materials.sum(1), found.main[:, 0])
        assert found.materials.argmax(1).equal(largest)
        assert places[:, 3:].abs().max() == 0
    torch.testing.assert_close(places.view(2, 2, 3, 9, 9).sum(1), found.materials)
    assert places.sum(1).max() <= 1 + 1e-5


def test_a_main_object_agrees_with_itself_on_its_material():
    p = torch.full((1, 3, 4, 4), 0.1)
    p[:, 1, :, :3] = p[:, 2, :, 3] = 0.8  # three columns of one material, one of another
    main = torch.ones(1, 1, 4, 4)
    got = agreed(p.log(), main).exp()
    share = torch.tensor([0.1, 0.625, 0.275])  # means over the four columns
    torch.testing.assert_close(got[0, :, 0, 3], torch.tensor([0.1, 0.1, 0.8]) * share)
    torch.testing.assert_close(agreed(p.log(), 0 * main).exp(), p)
    half = agreed(p.log(), main * torch.tensor([1.0, 1, 1, 0]))
    assert half.exp()[0, 2, 0, 3].item() == pytest.approx(0.8), "what is around it keeps its own"
    assert agreed(torch.randn(1, 3, 4, 4), 0 * main).isfinite().all()


def test_places_are_alike_that_are_made_of_what_most_of_the_main_object_is():
    p = torch.full((1, 3, 4, 4), 0.1)
    p[:, 1, :, :3] = p[:, 2, :, 3] = 0.8
    odds = alike(p.log(), torch.ones(1, 1, 4, 4))
    most = torch.tensor([0.1, 0.625, 0.275]).square()
    same = (most * torch.tensor([[0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])).sum(1) / most.sum()
    torch.testing.assert_close(odds[0, 0, 0, 2:], same.logit())
    nowhere = alike(p.log(), torch.zeros(1, 1, 4, 4))
    torch.testing.assert_close(nowhere, torch.full((1, 1, 4, 4), 1 / 3).logit())
    surest = alike(torch.tensor([99.0, 0, 0])[None, :, None, None], torch.ones(1, 1, 1, 1))
    torch.testing.assert_close(surest.flatten(), torch.tensor([1 - SURE]).logit())


def test_a_material_decides_what_belongs_to_the_main_object(network):
    logits = torch.zeros(1, len(network.config.materials) + 2, 4, 4)
    logits[:, 1, :, :3] = 9  # the first material in three columns
    logits[:, -1] = -0.5
    logits[:, -1, :, 0] = 2  # of which only the first is said to be the main object
    odds = network.main_odds(logits)[0, 0]
    assert (odds[:, :3] > 0).all(), "what is made of the same belongs to it"
    assert (odds[:, 3] < logits[0, -1, :, 3]).all(), "what is not belongs to it less"
    threshold = torch.tensor(network.config.threshold)
    torch.testing.assert_close(network.main_logit(logits)[0, 0], odds - threshold.logit())
    assert network.style_region(logits)[..., :3].min() > 0.5 > network.style_region(logits)[..., 3].max()


def test_a_network_of_before_gets_a_main_object(network):
    config = replace(network.config, main=False)
    old = UniStyleNetwork(config).eval()
    new = with_main_object(old)
    assert with_main_object(new) is new
    logits = [n.find(images(1, 3, 64, 64))[1] for n in (old, new)]
    torch.testing.assert_close(logits[1][:, :-1], logits[0], rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(
        logits[1][:, -1], logits[0][:, 1:].mean(1) - logits[0][:, 0], rtol=1e-4, atol=1e-3
    )


def test_every_parameter_gets_a_gradient(network):
    network.zero_grad()
    photo = images(2, 3, 64, 64)
    output = network(photo, network.encode_style(images(2, 3, 64, 64, seed=1)))
    (output.image.square().mean() + output.logits.square().mean()).backward()
    silent = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    network.zero_grad()
    assert silent == []


def test_a_guided_mask_follows_the_edge_in_the_photo():
    photo = torch.zeros(1, 3, 64, 64)
    photo[..., 30:] = 1  # the edge lies beside the border of the cells of the coarse mask
    coarse = torch.zeros(1, 1, 16, 16)
    coarse[..., 7] = 0.5
    coarse[..., 8:] = 1
    fine = guided_upsample(coarse, photo)
    assert fine[..., :20].max() == 0
    assert fine[..., 44:].min() == 1
    step = fine[0, 0, 32].diff()
    assert step.argmax() == 29


def test_a_guided_mask_follows_an_edge_of_colour_alone():
    photo = torch.zeros(1, 3, 64, 64)
    photo[:, 0, :, :30] = 0.7152  # red and green of one luminance
    photo[:, 1, :, 30:] = 0.2126
    coarse = torch.zeros(1, 1, 16, 16)
    coarse[..., 7] = 0.5
    coarse[..., 8:] = 1
    assert guided_upsample(coarse, photo)[0, 0, 32].diff().argmax() == 29


def test_the_guided_filter_solves_its_linear_model():
    """At the photo's own size, against least squares solved in every window by a library."""
    photo, region, radius, eps = images(1, 3, 24, 24), images(1, 1, 24, 24, seed=1), 2, 1e-2
    models = torch.zeros(24, 24, 4)
    for y, x in product(range(24), range(24)):
        window = (slice(max(0, y - radius), y + radius + 1), slice(max(0, x - radius), x + radius + 1))
        guide, p = photo[0][:, *window].flatten(1), region[0, 0][window].flatten()
        covariance = torch.cov(guide, correction=0) + eps * torch.eye(3)
        a = torch.linalg.solve(covariance, (guide * p).mean(1) - guide.mean(1) * p.mean())
        models[y, x] = torch.cat([a, (p.mean() - a @ guide.mean(1))[None]])
    averaged = F.avg_pool2d(models.permute(2, 0, 1), 2 * radius + 1, 1, radius, count_include_pad=False)
    wanted = (averaged[:3] * photo[0]).sum(0) + averaged[3]
    wanted = ((wanted - MARGIN) / (1 - 2 * MARGIN)).clamp(0, 1)
    torch.testing.assert_close(
        guided_upsample(region, photo, radius, eps)[0, 0], wanted, rtol=1e-3, atol=1e-4
    )


def test_a_mask_of_the_photos_size_is_taken_as_it_is():
    mask = images(1, 1, 32, 32)
    assert torch.equal(alpha_of(images(1, 3, 32, 32), mask), mask)


def test_an_empty_region_is_finite(network):
    photo = images(1, 3, 64, 64)
    with torch.no_grad():
        code = network.encode_style(photo, torch.zeros(1, 1, 64, 64))
        output = network(photo, code, torch.zeros(1, 1, 64, 64))
    assert code.isfinite().all()
    assert torch.equal(output.image, photo)
