"""Photos of one size as tensors of bytes, and back."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from einops import rearrange
from PIL import Image
from torch import Tensor

from unistyle.errors import ImageError
from unistyle.files.masks import checked, usable_mask
from unistyle.files.photos import Photo, photo_from_pil, read_photo
from unistyle.files.places import Place
from unistyle.network.model import SMALLEST

AnyPhoto = Image.Image | Photo | str | Place


class Stack(NamedTuple):
    """Photos of one size, uint8."""

    rgb: Tensor
    """The colours, `b 3 h w`."""

    visible: Tensor | None
    """The opacity, `b 1 h w`, 0 where a photo is transparent; None: no photo has transparency."""

    mask: Tensor | None
    """The given masks, `b 1 h w`; None: none is given."""

    def to(self, device: torch.device) -> "Stack":
        """The same on a device."""
        parts = (self.visible, self.mask)
        return Stack(self.rgb.to(device), *(None if part is None else part.to(device) for part in parts))


def opaque(stack: Stack) -> Tensor:
    """The photos, uint8 `b 3 h w`, with the mean colour of what is visible where nothing is: the colours that a file
    happens to hold under full transparency have no say."""
    if stack.visible is None:
        return stack.rgb
    seen = stack.visible > 0
    total = (stack.rgb * seen).sum((2, 3), keepdim=True)  # of bytes, in int64
    mean = total // seen.sum((1, 2, 3), keepdim=True).clamp_min(1)
    return torch.where(seen, stack.rgb, mean.byte())


def as_photo(photo: AnyPhoto) -> Photo:
    """A photo that is given as an image or as a path. Raises ImageError, "PATH: REASON", for an unusable file."""
    if isinstance(photo, Photo):
        return photo
    return photo_from_pil(photo) if isinstance(photo, Image.Image) else read_photo(photo)


def working_pixels(width: int, height: int, max_size: int | None) -> int:
    """Pixels of a photo as the network sees it."""
    scale = min(1.0, max_size / max(width, height)) if max_size else 1.0
    return max(SMALLEST, round(width * scale)) * max(SMALLEST, round(height * scale))


def smallest(width: int, height: int, max_size: int | None) -> tuple[int, int]:
    """(width, height) that a photo needs so that, shrunk to max_size, no side is below what the network
    takes."""
    scale = max(1.0, max(width, height) / max_size) if max_size else 1.0
    least = -int(-SMALLEST * scale // 1)
    return max(width, least), max(height, least)


def stack_photos(photos: list[Photo], masks: Sequence[AnyPhoto] | None, size: tuple[int, int]) -> Stack:
    """Photos and masks as tensors, the last row and column repeated up to `size` (width, height).

    Raises ImageError for photos of different sizes, for a mask of another size than the photos, and for one that is a
    picture of labels (`checked`).
    """
    if other := {photo.size for photo in photos} - {photos[0].size}:
        raise ImageError(f"photos of sizes {photos[0].size} and {other.pop()} in one batch; wanted one size")
    visible = None
    if any(photo.opacity is not None for photo in photos):
        everywhere = Image.new("L", photos[0].size, 255)
        visible = _bytes([photo.opacity or everywhere for photo in photos], size)
    rgb = _bytes([photo.rgb for photo in photos], size)
    if masks is None:
        return Stack(rgb, visible, None)
    grey = [checked(mask) if isinstance(mask, Image.Image | Photo) else usable_mask(mask) for mask in masks]
    if wrong := [mask.size for mask in grey if mask.size != photos[0].size]:
        raise ImageError(
            f"a mask of size {wrong[0]} for a photo of size {photos[0].size}; wanted the photo's size"
        )
    return Stack(rgb, visible, _bytes(grey, size))


def _bytes(images: Sequence[Image.Image], size: tuple[int, int]) -> Tensor:
    """uint8 `b c h w`, channels last as PIL has them."""
    arrays = [np.atleast_3d(np.asarray(image)) for image in images]
    missing = [(0, side - n) for side, n in zip(reversed(size), arrays[0].shape, strict=False)]
    if any(after for _, after in missing):
        arrays = [np.pad(array, [*missing, (0, 0)], mode="edge") for array in arrays]
    batch = torch.from_numpy(np.stack(arrays) if len(arrays) > 1 else arrays[0][None].copy())
    return rearrange(batch, "b h w c -> b c h w")
