"""PIL images from and to tensors."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor


def to_tensor(image: Image.Image) -> Tensor:
    """RGB or grey PIL image -> float tensor `c h w` in [0, 1]."""
    array = np.asarray(image, dtype=np.float32) / 255
    return torch.from_numpy(array[None] if array.ndim == 2 else array.transpose(2, 0, 1).copy())


def as_float(image: Tensor) -> Tensor:
    """uint8 -> float in [0, 1]."""
    return image.float() / 255


def as_bytes(image: Tensor) -> Tensor:
    """Float in [0, 1] -> uint8."""
    return (image.float().clamp(0, 1) * 255).round().byte()


def to_pil(image: Tensor) -> Image.Image:
    """Tensor `c h w`, c 1 or 3, float in [0, 1] or uint8 -> 8-bit PIL image."""
    array = (image if image.dtype == torch.uint8 else as_bytes(image.detach())).cpu().numpy()
    return Image.fromarray(array[0] if array.shape[0] == 1 else array.transpose(1, 2, 0))
