"""Labelled photos as tensors, and cut for training."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torchvision.transforms.v2.functional as TF
from PIL import Image, ImageOps
from torch import Tensor

from unistyle.data.labelled import LabelledPhoto
from unistyle.devices import map_on_cores
from unistyle.errors import ImageError
from unistyle.files.photos import read_image, read_mask
from unistyle.files.tensors import to_tensor

STORED_SIDE = 384  # pixels of the short side with which photos are kept in memory
MISSING_MASK = (
    "no mask {} for {}: run the saliency teacher first (unistyle saliency), or give the folder that holds it"
)


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
    """Photo and mask (all white where there is none), at the size kept in memory. Raises ImageError for a file that
    cannot be read, and FileNotFoundError for a mask that is missing."""
    image = Image.fromarray(_stored(photo.path, False))
    if photo.mask is None:
        return image, Image.new("L", image.size, 255)
    if not photo.mask.is_file():
        raise FileNotFoundError(MISSING_MASK.format(photo.mask, photo.path))
    return image, Image.fromarray(_stored(photo.mask, True)).resize(image.size)


def fit(photo: LabelledPhoto, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Photo `3 h w` and region `1 h w` that fill (height, width), cut at the middle. Raises what `load` does."""
    image, mask = (to_tensor(ImageOps.fit(x, size[::-1], Image.Resampling.BICUBIC)) for x in load(photo))
    return image, mask


def unreadable(photos: Iterable[LabelledPhoto]) -> dict[LabelledPhoto, str]:
    """Those of the photos that cannot be read, or whose mask is there and cannot be, each with a message that names
    the file and the reason. All others then stay in memory."""

    def problem(photo: LabelledPhoto) -> str | None:
        try:
            load(photo if photo.mask and photo.mask.is_file() else LabelledPhoto(photo.path))
        except ImageError as error:
            return str(error)
        return None

    each = list(dict.fromkeys(photos))
    problems = zip(each, map_on_cores(problem, each), strict=True)
    return {photo: text for photo, text in problems if text is not None}


def without(photos: Sequence[LabelledPhoto], broken: Mapping[LabelledPhoto, str]) -> list[LabelledPhoto]:
    """The photos but for the broken ones. Raises ImageError where none is left of a material, or of the photos as a
    whole."""
    kept = [photo for photo in photos if photo not in broken]
    if lost := {photo.label for photo in photos} - {photo.label for photo in kept}:
        reasons = dict.fromkeys(broken[photo] for photo in photos if photo.label in lost)
        folders = dict.fromkeys(str(photo.path.parent) for photo in photos if photo.label in lost)
        lines = "".join(f"\n  {reason}" for reason in reasons)
        raise ImageError(f"no photo of {', '.join(folders)} can be used; mend them, or give others:{lines}")
    return kept


def crop(photo: LabelledPhoto, side: int, variant: int, seed: int) -> tuple[Tensor, Tensor]:
    """A square crop, photo `3 s s` and region `1 s s`: three quarters of the short side or more, mirrored or not.

    It is always the same for one variant and seed. It is nearly the whole photo, because that is what samples are laid
    over, at a scale that follows from its size. A crop that the mask hardly touches is
    taken whole, as a close-up of something.
    """
    image, mask = load(photo)
    rng = np.random.default_rng([seed, variant, *photo.path.stem.encode()])
    cut = int(STORED_SIDE * rng.uniform(0.75, 1.0))
    left, top = (int(rng.integers(0, length - cut + 1)) for length in image.size)
    box, mirrored = (left, top, left + cut, top + cut), rng.random() < 0.5
    parts = [
        to_tensor(x.resize((side, side), Image.Resampling.BICUBIC, box=box)).clamp(0, 1)
        for x in (image, mask)
    ]
    view, region = (TF.horizontal_flip(x) if mirrored else x for x in parts)
    return view, region if region.mean() > 0.25 else torch.ones_like(region)
