"""One photo and the style that its region is to have, as tensors."""

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from unistyle.files.photos import read_image, read_mask
from unistyle.files.tensors import to_tensor
from unistyle.maths.resizing import fit


class Transfer(NamedTuple):
    """What `restyle` needs for one photo."""

    photo: Tensor
    style: Tensor
    region: Tensor
    style_region: Tensor


def read_sized(photo: Path, mask: Path | None, size: int) -> tuple[Tensor, Tensor]:
    """A photo `1 3 h w` and its region `1 1 h w` (ones without a mask), the long side at most `size` pixels. Raises
    ValueError when photo and mask differ in size."""
    image = to_tensor(read_image(photo))[None]
    region = to_tensor(read_mask(mask))[None] if mask else torch.ones_like(image[:, :1])
    if region.shape[-2:] != image.shape[-2:]:
        sizes = [f"{x.shape[-1]}x{x.shape[-2]}" for x in (region, image)]
        raise ValueError(f"{mask} is {sizes[0]}, {photo} is {sizes[1]}: a mask needs its photo's size")
    return fit(image, size), fit(region, size)
