"""Small networks and pictures for tests of the teachers."""

import torch
from torch import nn

from unistyle.teachers.objects import ObjectConfig, ObjectNet


def disc(seed: int, side: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    """A bright disc somewhere in a dark noisy frame, and its mask."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    cy, cx = (torch.rand(2, generator=generator) * side / 2 + side / 4).tolist()
    mask = ((y - cy) ** 2 + (x - cx) ** 2 < (side / 5) ** 2).byte()
    image = torch.rand(3, side, side, generator=generator) * 0.3 + 0.6 * mask
    return (image * 255).byte(), mask[None] * 255


TINY = ObjectConfig(steps=30, batch_size=4, size=64, lr=2e-2, encoder_lr=1e-2)


def object_net() -> ObjectNet:
    torch.manual_seed(0)
    return ObjectNet(TinyEncoder(), width=16)


class TinyEncoder(nn.Module):
    """Features at strides 4, 8, 16, 32 by pooling and 1 x 1 convolutions: fast, and smooth enough to check."""

    channels = (4, 6, 8, 8)

    def __init__(self):
        super().__init__()
        inputs = (3, *self.channels)
        self.layers = nn.ModuleList(nn.Conv2d(i, o, 1) for i, o in zip(inputs, self.channels, strict=False))

    def forward(self, image):
        features, x = [], image
        for index, layer in enumerate(self.layers):
            x = layer(nn.functional.avg_pool2d(x, 4 if index == 0 else 2)).tanh()
            features.append(x)
        return features
