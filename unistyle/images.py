"""Photos and masks between files, PIL and tensors."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif"}


def read_image(path: str | Path) -> Image.Image:
    """The photo in a file, upright and RGB."""
    with Image.open(path) as image:
        return ImageOps.exif_transpose(image).convert("RGB")


def read_mask(path: str | Path) -> Image.Image:
    """The mask in a file as 8-bit grey, white = inside."""
    with Image.open(path) as image:
        return image.convert("L")


def to_tensor(image: Image.Image) -> Tensor:
    """RGB or grey PIL image -> float tensor `c h w` in [0, 1]."""
    array = np.asarray(image, dtype=np.float32) / 255
    return torch.from_numpy(array[None] if array.ndim == 2 else array.transpose(2, 0, 1).copy())


def to_pil(image: Tensor) -> Image.Image:
    """Float tensor `c h w` in [0, 1], c 1 or 3 -> 8-bit PIL image."""
    array = (image.detach().float().clamp(0, 1) * 255).round().byte().cpu().numpy()
    return Image.fromarray(array[0] if array.shape[0] == 1 else array.transpose(1, 2, 0))


def list_images(folder: str | Path) -> list[Path]:
    """Image files below a folder, sorted."""
    return sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
