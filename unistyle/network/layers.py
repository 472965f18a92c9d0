"""The two layers that segmenter and stylizer share."""

import torch.nn.functional as F
from torch import Tensor, nn


def conv(inputs: int, outputs: int, padding_mode: str = "zeros") -> nn.Conv2d:
    """A 3 x 3 convolution that keeps the size."""
    return nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode=padding_mode)


def resize(x: Tensor, size) -> Tensor:
    """Bilinear resize to (height, width). To the skip's real size, never by a factor of two: sizes may be odd."""
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=False)
