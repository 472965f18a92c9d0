"""Labelled photos as tensors, and cut for training."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torchvision.transforms.v2.functional as TF
from PIL import Image, ImageOps
from torch import Tensor

from unistyle.data.labelled import LabelledPhoto
from unistyle.files.photos import read_image, read_mask
from unistyle.files.tensors import to_tensor

STORED_SIDE = 384  # photos are kept in memory with this short side, in pixels
MISSING_MASK = "no mask {} for {}: run the saliency teacher first, or give the folder that holds it"


@lru_cache(maxsize=6000)
def _stored(path: Path, mask: bool) -> np.ndarray:
    """The photo or mask at the size kept in memory, 8-bit."""
    image = read_mask(path) if mask else read_image(path)
    scale = STORED_SIDE / min(image.size)
    size = [max(1, round(side * scale)) for side in image.size]
    return np.asarray(
        image.resize(size, Image.Resampling.BILINEAR if mask else Image.Resampling.BICUBIC, reducing_gap=3)
    )


def load(photo: LabelledPhoto) -> tuple[Image.Image, Image.Image]:
    """Photo and mask (all white without one), at the size kept in memory."""
    image = Image.fromarray(_stored(photo.path, False))
    if photo.mask is None:
        return image, Image.new("L", image.size, 255)
    if not photo.mask.is_file():
        raise FileNotFoundError(MISSING_MASK.format(photo.mask, photo.path))
    return image, Image.fromarray(_stored(photo.mask, True)).resize(image.size)


def fit(photo: LabelledPhoto, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Photo `3 h w` and region `1 h w` that fill (height, width), cut at the middle."""
    return tuple(to_tensor(ImageOps.fit(x, size[::-1], Image.Resampling.BICUBIC)) for x in load(photo))


def crop(photo: LabelledPhoto, side: int, variant: int, seed: int) -> tuple[Tensor, Tensor]:
    """A square crop of a third to seven eighths of the short side, mirrored or not: always the same for one variant.
    So photos are seen at 150 to 384 pixels of short side, at every scale alike, as users restyle small and large
    ones. A crop that the mask hardly touches is taken whole, as a close-up of something."""
    image, mask = load(photo)
    rng = np.random.default_rng([seed, variant, *photo.path.stem.encode()])
    cut = int(STORED_SIDE * (7 / 8) * (8 / 21) ** rng.random())
    left, top = (rng.integers(0, length - cut + 1) for length in image.size)
    box, mirrored = (left, top, left + cut, top + cut), rng.random() < 0.5
    parts = [
        to_tensor(x.resize((side, side), Image.Resampling.BICUBIC, box=box)).clamp(0, 1)
        for x in (image, mask)
    ]
    image, mask = (TF.horizontal_flip(x) if mirrored else x for x in parts)
    return image, mask if mask.mean() > 0.25 else torch.ones_like(mask)
