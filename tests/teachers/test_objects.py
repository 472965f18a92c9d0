"""The network that knows objects in general."""

from dataclasses import replace

import pytest
import torch
from torchvision import tv_tensors

from tests.teachers.making import TINY, disc, object_net
from unistyle.teachers.objects import RandomSubjectCrop, object_logits, soft_iou_loss, train_objects


@pytest.mark.parametrize(
    "target", [torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8), torch.eye(8)[None, None]]
)
def test_iou_loss_has_a_gradient_on_any_target_and_is_0_when_met(target):
    logits = torch.zeros(1, 1, 8, 8, requires_grad=True)
    soft_iou_loss(logits.sigmoid(), target).backward()
    assert (logits.grad.abs() > 1e-6).all()
    assert (logits.grad.sign() == (1 - 2 * target)).all()
    assert soft_iou_loss(target, target).item() == pytest.approx(0, abs=1e-6)


def test_crops_show_the_subject_and_photo_and_mask_move_together():
    mask = torch.zeros(1, 80, 120, dtype=torch.uint8)
    mask[:, 30:70, 40:100] = 255
    crop = RandomSubjectCrop(48, (0.05, 0.3))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for _ in range(20):
            image, cut = crop(tv_tensors.Image(mask.expand(3, -1, -1)), tv_tensors.Mask(mask))
            assert cut.float().mean() >= 0.14 * 255
            assert ((image[0] > 127) == (cut[0] > 127)).float().mean() > 0.95


def test_object_net_learns_leaves_the_generator_alone_and_repeats_itself():
    pairs = [disc(i) for i in range(8)]
    first, second = object_net(), object_net()
    before = torch.get_rng_state()
    train_objects(first, pairs, TINY)
    assert torch.equal(before, torch.get_rng_state())
    train_objects(second, pairs, TINY)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    image, mask = disc(99)
    found = object_logits(first, image[None].float() / 255, sides=(64,))[0] > 0
    assert ((found & (mask > 0)).sum() / (found | (mask > 0)).sum()).item() > 0.5


def test_every_parameter_of_the_object_net_gets_a_gradient():
    net = object_net()
    net(torch.rand(2, 3, 65, 71)).square().sum().backward()  # odd sizes: skips are met at their real size
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_non_finite_loss_stops_the_training():
    net = object_net()
    with torch.no_grad():
        net.head.bias.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="step 0"):
        train_objects(net, [disc(0)], replace(TINY, steps=2))
