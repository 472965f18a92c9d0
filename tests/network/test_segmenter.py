"""What the segmenter says of places, and of the main object as a whole; what the encoder leaves out."""

import copy

import pytest
import timm
import torch

from unistyle.maths.features import moments
from unistyle.network.encoder import Encoder, EncoderConfig
from unistyle.network.segmenter import Namer, Segmenter

CHANNELS = (8, 12, 16, 24)


def features(seed=0, size=64):
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(2, c, size // s, size // s, generator=generator)
        for c, s in zip(CHANNELS, (4, 8, 16, 32), strict=True)
    ]


def test_the_main_object_has_no_say_until_it_is_trained():
    segmenter, f = Segmenter(CHANNELS, 3), features()
    assert torch.equal(segmenter(f), segmenter.places(f))


def test_what_the_main_object_is_made_of_counts_inside_it_alone():
    torch.manual_seed(0)
    segmenter, f = Segmenter(CHANNELS, 3), features()
    torch.nn.init.normal_(segmenter.name.name.weight)
    added = segmenter(f) - segmenter.places(f)
    main = segmenter.places(f)[:, -1:].sigmoid()
    named = segmenter.name(f, main)
    torch.testing.assert_close(added[:, :-1], named[..., None, None] * main, rtol=1e-4, atol=1e-5)
    assert torch.equal(added[:, -1], torch.zeros_like(added[:, -1]))  # nothing of where it is


def test_where_the_main_object_is_is_not_learned_from_what_it_is_made_of():
    torch.manual_seed(0)
    segmenter, f = Segmenter(CHANNELS, 3), features()
    torch.nn.init.normal_(segmenter.name.name.weight)
    segmenter(f)[:, :-1].sum().backward()
    assert torch.equal(segmenter.classify.weight.grad[-1], torch.zeros(32, 1, 1))


def test_a_region_is_named_by_its_moments():
    namer, f = Namer(CHANNELS[1:], 4), features()
    torch.nn.init.normal_(namer.name.weight)
    region = torch.zeros(2, 1, 16, 16)
    region[..., :8] = 1
    outside = [x.clone() for x in f]
    for x in outside:
        x[..., x.shape[-1] // 2 :] = 7.0
    torch.testing.assert_close(namer(f, region), namer(outside, region))
    parts = [torch.cat(moments(x[..., : x.shape[-1] // 2], torch.ones_like(x[:, :1, :, : x.shape[-1] // 2])), -1)[:, 0]
             for x in f[1:]]  # fmt: skip
    wanted = namer.name(torch.cat([torch.nn.functional.layer_norm(p, p.shape[1:]) for p in parts], 1))
    torch.testing.assert_close(namer(f, region), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "name", ["mobilenetv2_050", "tf_efficientnet_lite0", "resnet10t", "edgenext_xx_small"]
)
def test_a_shallow_pass_gives_the_same_features_by_the_same_weights(name):
    encoder, photo = Encoder(EncoderConfig(name, pretrained=False)).eval(), torch.rand(1, 3, 64, 96)
    for each in (encoder, copy.deepcopy(encoder)):
        with torch.no_grad():
            for weight in each.parameters():
                weight.mul_(1.05)
            *wanted, _ = each(photo)
            got = each(photo, shallow=True)
        assert len(got) == 3
        assert all(torch.equal(a, b) for a, b in zip(got, wanted, strict=True))
        *_, deepest = (layer for layer in each.backbone.modules() if isinstance(layer, torch.nn.Conv2d))
        ran = []
        deepest.register_forward_hook(lambda *_, ran=ran: ran.append(1))
        each(photo, shallow=True)
        assert not ran
        each(photo)
        assert ran
    assert not any("shallow" in key for key in encoder.state_dict())


def test_padding_of_tensorflow_is_kept_for_even_sizes_and_moves_nothing_for_odd_ones():
    name = "tf_efficientnet_lite0"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        reference = timm.create_model(name, features_only=True, pretrained=False).eval()
        torch.manual_seed(0)
        encoder = Encoder(EncoderConfig(name, pretrained=False)).eval()
    photo = torch.rand(1, 3, 96, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = [reference((photo - encoder.mean) / encoder.std)[i] for i in encoder.indices]
        got, odd = encoder(photo), encoder(photo[..., :-1, :-1])
    for a, b, c in zip(got, wanted, odd, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)
        assert c.shape == a.shape  # half, rounded up
    torch.testing.assert_close(odd[0][..., :20, :12], got[0][..., :20, :12], rtol=1e-3, atol=1e-4)
