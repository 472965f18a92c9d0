"""The two layers that segmenter and stylizer share."""

from torch import nn


def conv(inputs: int, outputs: int, padding_mode: str = "zeros") -> nn.Conv2d:
    """A 3 x 3 convolution that keeps the size."""
    return nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode=padding_mode)
