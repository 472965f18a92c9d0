"""Photos of one size as tensors of bytes, and back."""

import io
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, BinaryIO, NamedTuple, Protocol, cast, runtime_checkable

import numpy as np
import torch
from einops import rearrange
from PIL import Image
from torch import Tensor

from unistyle.errors import ImageError
from unistyle.files.masks import checked, usable_mask
from unistyle.files.photos import Photo, photo_from_pil, read_photo
from unistyle.files.places import Place, place
from unistyle.maths.resizing import shrinking, within
from unistyle.network.model import SMALLEST

THIN = 4  # times as long as wide: up to it the short side says how large a photo is seen


@runtime_checkable
class Readable(Protocol):
    """A file that is open."""

    def read(self) -> Any:
        """The rest of its content."""


AnyPhoto = (
    Image.Image | Photo | str | os.PathLike | Place | bytes | bytearray | np.ndarray | Tensor | Readable
)
WANTED = (
    "wanted a PIL image, a path or an address, bytes of an image file or a file that is open, a numpy array h w 3 or a "
    "tensor 3 h w (uint8, or floats in [0, 1])"
)


class Stack(NamedTuple):
    """Photos of one size, uint8."""

    rgb: Tensor
    """The colours in sRGB, `b 3 h w`."""

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
    """A photo or a mask, however it is given: a PIL image; a path, or an address such as `file://` or `memory://`; the
    bytes of an image file, or such a file that is open for reading bytes; a numpy array `h w`, or `h w c` with 1, 3 or
    4 channels; a tensor `h w`, or `c h w`. Numbers are uint8, booleans, or floats in [0, 1]; four channels are RGB and
    opacity. Raises ImageError, "PATH: REASON", for what is unusable."""
    if isinstance(photo, Photo):
        return photo
    if isinstance(photo, Image.Image):
        return photo_from_pil(photo)
    if isinstance(photo, np.ndarray | Tensor):
        return photo_from_pil(_from_numbers(photo))
    if isinstance(photo, str | os.PathLike | Place):
        try:
            return read_photo(photo if isinstance(photo, Place) else place(photo))
        except ImageError:
            raise
        except ValueError as error:  # an address of a kind that cannot be opened
            raise ImageError(str(error)) from error
    if isinstance(photo, Readable):
        photo = photo.read()
        if isinstance(photo, str):
            raise ImageError('a file that is open for text; wanted bytes: open it with mode "rb"')
    if isinstance(photo, bytes | bytearray | memoryview):
        return read_photo(cast(Place, _Content(bytes(photo))))
    raise ImageError(f"got {type(photo).__name__} for a photo; {WANTED}")


class _Content:
    """Bytes of an image file, which are read as a place is."""

    def __init__(self, data: bytes):
        self.data = data

    def open(self, mode: str) -> BinaryIO:
        return io.BytesIO(self.data)

    def __str__(self) -> str:
        return f"{len(self.data)} bytes"


def _from_numbers(numbers: np.ndarray | Tensor) -> Image.Image:
    """An image of an array, or of a tensor, whose channels come first."""
    is_tensor = isinstance(numbers, Tensor)
    got = f"a {'tensor' if is_tensor else 'numpy array'} {tuple(numbers.shape)} of {numbers.dtype}"
    if isinstance(numbers, Tensor):
        numbers = numbers.detach().cpu()
        numbers = (numbers.float() if numbers.is_floating_point() else numbers).numpy()
    if is_tensor and numbers.ndim == 3:
        numbers = numbers.transpose(1, 2, 0)
    channels = numbers.shape[2] if numbers.ndim == 3 else 1
    if numbers.ndim not in (2, 3) or channels not in (1, 3, 4) or numbers.size == 0:
        raise ImageError(f"{got}; {'wanted 3 h w' if is_tensor else 'wanted h w 3'}, or h w for grey")
    if numbers.dtype.kind == "f":
        low, high = float(numbers.min()), float(numbers.max())
        if not (low >= 0 and high <= 1):
            raise ImageError(f"{got} with values from {low:g} to {high:g}; wanted floats in [0, 1], or uint8")
        numbers = (numbers * 255).round().astype(np.uint8)
    elif numbers.dtype == bool:
        numbers = numbers.astype(np.uint8) * 255
    elif numbers.dtype != np.uint8:
        raise ImageError(f"{got}; wanted uint8, or floats in [0, 1]")
    return Image.fromarray(
        np.ascontiguousarray(numbers[..., 0] if channels == 1 and numbers.ndim == 3 else numbers)
    )


def several(
    photos: Sequence[AnyPhoto], masks: Sequence[AnyPhoto] | None
) -> tuple[list[AnyPhoto], list[AnyPhoto] | None]:
    """Photos and masks as lists. Raises ValueError for one photo in place of a list, and for masks that do not go with
    the photos one by one."""
    given = _listed("photos", photos)
    if masks is None:
        return given, None
    regions = _listed("masks", masks)
    if missing := [number for number, mask in enumerate(regions) if mask is None]:
        raise ValueError(
            f"masks[{missing[0]}] is None; wanted a mask for every photo: restyle those without one by themselves"
        )
    if len(regions) != len(given):
        raise ValueError(f"{len(given)} photos and {len(regions)} masks; wanted one mask for each photo")
    return given, regions


def _listed(name: str, each: object) -> list[AnyPhoto]:
    single = isinstance(each, AnyPhoto | Mapping)
    if single or not isinstance(each, Iterable):
        raise ValueError(f"{name} is one {type(each).__name__}; wanted a list, with an item for each photo")
    return list(each)


def working_pixels(width: int, height: int, max_size: int | None) -> int:
    """Pixels of a photo as the network sees it."""
    width, height = smallest(width, height)
    scale = shrinking(height, width, _longest(height, width, max_size), SMALLEST)
    return round(width * scale) * round(height * scale)


def smallest(width: int, height: int) -> tuple[int, int]:
    """(width, height) that a photo needs so that no side is below what the network takes."""
    return max(width, SMALLEST), max(height, SMALLEST)


def as_seen(photos: Tensor, max_size: int | None) -> Tensor:
    """Photos `b c h w` as the network sees them, with a short side of max_size. One that is more than THIN times as
    long as wide is smaller, but no side is below what the network takes: to make it wider instead would be to make a
    large picture of a small one."""
    height, width = photos.shape[-2:]
    return within(photos, _longest(height, width, max_size), SMALLEST)


def _longest(height: int, width: int, max_size: int | None) -> float | None:
    """Pixels of the longer side of a photo whose short side is max_size."""
    return max_size and max_size * min(max(height, width) / min(height, width), THIN)


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
    rgb = _bytes([photo.srgb for photo in photos], size)
    if masks is None:
        return Stack(rgb, visible, None)
    grey = [_grey(mask) for mask in masks]
    if wrong := [mask.size for mask in grey if mask.size != photos[0].size]:
        raise ImageError(
            f"a mask of size {wrong[0]} for a photo of size {photos[0].size}; wanted the photo's size"
        )
    return Stack(rgb, visible, _bytes(grey, size))


def _grey(mask: AnyPhoto) -> Image.Image:
    """A mask, however it is given (`as_photo`), as 8-bit grey; files are named in errors."""
    if isinstance(mask, str | os.PathLike | Place):
        return usable_mask(mask if isinstance(mask, Place) else place(mask))
    return checked(mask if isinstance(mask, Image.Image) else as_photo(mask))


def _bytes(images: Sequence[Image.Image], size: tuple[int, int]) -> Tensor:
    """uint8 `b c h w`, channels last as PIL has them."""
    arrays = [np.atleast_3d(np.asarray(image)) for image in images]
    missing = [(0, side - n) for side, n in zip(reversed(size), arrays[0].shape, strict=False)]
    if any(after for _, after in missing):
        arrays = [np.pad(array, [*missing, (0, 0)], mode="edge") for array in arrays]
    batch = torch.from_numpy(np.stack(arrays) if len(arrays) > 1 else arrays[0][None].copy())
    return rearrange(batch, "b h w c -> b c h w")
