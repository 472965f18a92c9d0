"""Photos and masks between files, PIL and tensors."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageCms, ImageOps
from torch import Tensor

from unistyle.files import atomic

SUFFIXES = {
    *(".jpg", ".jpeg", ".jfif", ".jp2", ".mpo", ".png", ".webp", ".avif"),
    *(".tif", ".tiff", ".bmp", ".gif", ".tga", ".ppm", ".pgm"),
}


class ImageError(ValueError):
    """A file or an image that cannot be used, with the reason."""


@dataclass(frozen=True)
class Photo:
    """An upright 8-bit photo.

    rgb: PIL RGB image; opacity: PIL grey image of the same size, 0 = transparent, or None where nothing is;
    profile: the ICC profile that `rgb` is in, or None for sRGB. Pixel values are never converted between RGB
    profiles: the profile is written back with the result, so that what was not restyled stays equal to the
    bit.
    """

    rgb: Image.Image
    opacity: Image.Image | None = None
    profile: bytes | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.rgb.size

    def with_rgb(self, rgb: Image.Image) -> Image.Image:
        """Other colours with this photo's opacity and profile: a PIL image, RGB or RGBA."""
        image = rgb.copy()
        if self.opacity is not None:
            image.putalpha(self.opacity)
        if self.profile is not None:
            image.info["icc_profile"] = self.profile
        return image


def read_photo(path: str | Path) -> Photo:
    """The photo in a file, upright, of any mode that Pillow reads; the first frame where there are several.

    Raises ImageError with the reason where the file is missing, broken or not an image.
    """
    try:
        with Image.open(path) as image:
            return photo_from_pil(image)
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from error
    # A broken file surfaces as almost any exception, depending on the decoder and on where the damage is.
    except Exception as error:
        raise ImageError(f"{path}: cannot be read as an image: {error or type(error).__name__}") from error


def photo_from_pil(image: Image.Image) -> Photo:
    """A PIL image of any mode as a Photo: turned by its EXIF orientation, deep greys scaled to 8 bit, CMYK
    converted, transparency (an alpha channel or a transparent colour) as opacity. Raises ImageError for an
    unusable mode."""
    if min(image.size) < 1:
        raise ImageError(f"the image is empty ({image.width}x{image.height})")
    image = ImageOps.exif_transpose(image)
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I") or image.mode == "F":
        return _deep(image)
    if image.mode == "CMYK":
        return Photo(_cmyk(image, profile))
    # Bytes 16 to 20 of an ICC profile name its colour space: a grey profile cannot go with an RGB image.
    profile = profile if profile and profile[16:20] == b"RGB " else None
    if not image.has_transparency_data:
        return Photo(image.convert("RGB"), profile=profile)
    image = image.convert("RGBA")
    return Photo(image.convert("RGB"), image.getchannel("A"), profile)


def _deep(image: Image.Image) -> Photo:
    """Grey of 16 bits, or floats in [0, 1]: scaled, where Pillow's own conversion would clip."""
    value = np.asarray(image).astype(np.float64)
    top = 1.0 if image.mode == "F" else 65535.0
    if not (value.min() >= 0 and value.max() <= top):
        got = f"values from {value.min():g} to {value.max():g}"
        raise ImageError(
            f"image of mode {image.mode} with {got}; wanted 0 to {top:g}, save it with 8 or 16 bits"
        )
    grey = Image.fromarray((value * (255 / top)).round().astype(np.uint8))
    transparent = image.info.get("transparency")
    opacity = None
    if isinstance(transparent, int):
        opacity = Image.fromarray(np.where(value == transparent, 0, 255).astype(np.uint8))
    return Photo(grey.convert("RGB"), opacity)


def _cmyk(image: Image.Image, profile: bytes | None) -> Image.Image:
    """CMYK to sRGB, by the image's own profile where it has a usable one."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile or b""))
        return ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):
        return image.convert("RGB")


def read_image(path: str | Path) -> Image.Image:
    """The photo in a file, upright and RGB. Raises ImageError."""
    return read_photo(path).rgb


def read_mask(path: str | Path) -> Image.Image:
    """The mask in a file as 8-bit grey: white = inside, transparent = outside. Raises ImageError."""
    return mask_from_pil(read_photo(path))


def mask_from_pil(photo: Photo | Image.Image) -> Image.Image:
    """A mask of any mode as 8-bit grey: white = inside, transparent = outside."""
    photo = photo if isinstance(photo, Photo) else photo_from_pil(photo)
    grey = photo.rgb.convert("L")
    if photo.opacity is None:
        return grey
    return Image.composite(grey, Image.new("L", grey.size), photo.opacity)


def save_png(image: Image.Image, path: str | Path) -> None:
    """Write a PNG, complete or not at all; the ICC profile in `image.info` goes with it."""
    with atomic(path) as temporary:
        # Level 1 is several times faster than the default on photos, for files about a tenth larger.
        image.save(temporary, format="PNG", compress_level=1, icc_profile=image.info.get("icc_profile"))


def to_tensor(image: Image.Image) -> Tensor:
    """RGB or grey PIL image -> float tensor `c h w` in [0, 1]."""
    array = np.asarray(image, dtype=np.float32) / 255
    return torch.from_numpy(array[None] if array.ndim == 2 else array.transpose(2, 0, 1).copy())


def to_pil(image: Tensor) -> Image.Image:
    """Float tensor `c h w` in [0, 1], c 1 or 3 -> 8-bit PIL image."""
    array = (image.detach().float().clamp(0, 1) * 255).round().byte().cpu().numpy()
    return Image.fromarray(array[0] if array.shape[0] == 1 else array.transpose(1, 2, 0))


def list_images(folder: str | Path) -> list[Path]:
    """Image files below a folder, sorted; hidden files and folders are passed by."""
    folder = Path(folder)
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    )
