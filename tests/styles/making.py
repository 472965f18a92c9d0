"""Photos, masks and exemplars of new styles, as several tests need them."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from tests.helpers import make_photo
from unistyle.styles.exemplars import Exemplar


def save(image: Image.Image, *path, **options) -> Path:
    path = Path(*path)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def photo_of(*path, seed: int = 0, size: tuple[int, int] = (72, 80)) -> Path:
    """A good style photo, of a (height, width)."""
    return save(make_photo(*size, seed), *path)


def half_mask(size: tuple[int, int]) -> Image.Image:
    """White on the left half, of a (width, height)."""
    mask = Image.new("L", size)
    mask.paste(255, (0, 0, size[0] // 2, size[1]))
    return mask


def exemplars_of(codes, style: str = "rust") -> list[Exemplar]:
    """Exemplars `0.png`, `1.png`, ... of given codes, with an empty region."""
    codes, image = torch.as_tensor(np.asarray(codes), dtype=torch.float32), torch.zeros(1, 3, 8, 8)
    return [Exemplar(style, Path(f"{i}.png"), image, image[:, :1], code) for i, code in enumerate(codes)]
