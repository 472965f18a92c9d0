"""The layer that segmenter, stylizer and object network share."""

from typing import Literal

from torch import nn


def conv(inputs: int, outputs: int, padding_mode: Literal["zeros", "reflect"] = "zeros") -> nn.Conv2d:
    """A 3 x 3 convolution that keeps the size."""
    return nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode=padding_mode)
