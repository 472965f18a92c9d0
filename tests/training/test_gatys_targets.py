"""Results of the Gatys teacher that the network is to come near."""

import torch
from torch.testing import assert_close

from unistyle.data.transfer import Transfer
from unistyle.teachers.gatys import recolour
from unistyle.training.targets.gatys import laid_start


def make(structure):
    """A flat photo and style, and a sample of stripes."""
    rng = torch.Generator().manual_seed(0)
    photo, style = (0.5 + 0.02 * torch.randn(1, 3, 48, 48, generator=rng) for _ in range(2))
    whole = torch.ones(1, 1, 48, 48)
    stripes = (
        (torch.arange(256) // 64 % 2 * 255).to(torch.uint8).expand(3, 256, 256)
    )  # of 12 pixels in the photo
    return Transfer(photo, style, whole, whole), dict(tile=stripes, structure=structure)


def test_the_teacher_begins_with_the_sample_laid_over_the_photo():
    transfer, item = make(1.0)
    start = laid_start(transfer, item)
    assert start.shape == transfer.photo.shape
    columns = start.mean((0, 1, 2)) - recolour(*transfer).mean((0, 1, 2))
    stripes = (torch.arange(48) // 12 % 2).float()
    assert torch.corrcoef(torch.stack([columns, stripes]))[0, 1] > 0.9


def test_without_a_sample_it_begins_with_the_photo_in_the_colours_of_the_style():
    transfer, item = make(0.0)
    assert_close(laid_start(transfer, item), recolour(*transfer), atol=1e-5, rtol=0)
