"""One photo and the style that its region is to have, as tensors."""

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from unistyle.files.photos import read_image, read_mask
from unistyle.files.tensors import to_tensor
from unistyle.maths.resizing import within


class Transfer(NamedTuple):
    """One photo, and the style that a region of it is to have: what `unistyle.teachers.gatys.restyle` needs."""

    photo: Tensor
    """`1 3 h w` in [0, 1]."""
    style: Tensor
    """`1 3 h w` in [0, 1], of its own size."""
    region: Tensor
    """`1 1 h w` in [0, 1], of the photo's size: where the photo is to be restyled."""
    style_region: Tensor
    """`1 1 h w` in [0, 1], of the style's size: where the style is."""


def read_sized(photo: Path, mask: Path | None, size: int) -> tuple[Tensor, Tensor]:
    """A photo `1 3 h w` and its region `1 1 h w` (ones without a mask), the long side at most `size` pixels. Raises
    ImageError for a file that cannot be read, and ValueError where photo and mask differ in size."""
    image = to_tensor(read_image(photo))[None]
    region = to_tensor(read_mask(mask))[None] if mask else torch.ones_like(image[:, :1])
    if region.shape[-2:] != image.shape[-2:]:
        sizes = [f"{x.shape[-1]}x{x.shape[-2]}" for x in (region, image)]
        raise ValueError(f"{mask} is {sizes[0]}, {photo} is {sizes[1]}: a mask needs its photo's size")
    return within(image, size), within(region, size)
