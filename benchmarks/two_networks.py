"""Two networks in a row that do what UniStyle does in one pass: find a region, then restyle it.

The first is torchvision's LR-ASPP MobileNetV3-Large. The second is AdaIN (Huang and Belongie, "Arbitrary Style Transfer
in Real-time with Adaptive Instance Normalization"): VGG-19 to relu4_1, AdaIN, mirrored decoder. Weights are random,
because time and arithmetic do not depend on them.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import vgg19
from torchvision.models.segmentation import lraspp_mobilenet_v3_large

from unistyle.maths.features import moments, regional_adain
from unistyle.network.composite import composite

RELU4_1 = 20  # index in VGG-19's features


class AdaIN(nn.Module):
    """Photo `b 3 h w` and style moments `b 1 512` -> restyled `b 3 h w` (Huang and Belongie, section 6)."""

    def __init__(self):
        super().__init__()
        self.encoder = vgg19(weights=None).features[: RELU4_1 + 1]
        layers: list[nn.Module] = []
        # Channels of the encoder from relu4_1 back to the image; "up" where the encoder pools.
        c = 512
        for step in (256, "up", 256, 256, 256, 128, "up", 128, 64, "up", 64, 3):
            if step == "up":
                layers.append(nn.Upsample(scale_factor=2, mode="nearest"))
            else:
                layers += [nn.Conv2d(c, step, 3, padding=1, padding_mode="reflect"), nn.ReLU()]
                c = step
        self.decoder = nn.Sequential(*layers[:-1])

    def forward(self, photo: Tensor, mean: Tensor, std: Tensor) -> Tensor:
        f = self.encoder(photo)
        return self.decoder(regional_adain(f, torch.ones_like(f[:, :1]), mean, std))


class TwoNetworks(nn.Module):
    """LR-ASPP for the mask, AdaIN for the picture, one laid over the photo by the other."""

    def __init__(self):
        super().__init__()
        self.segmenter = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None)
        self.stylizer = AdaIN()

    def encode_style(self, style: Tensor) -> tuple[Tensor, Tensor]:
        f = self.stylizer.encoder(style)
        return moments(f, torch.ones_like(f[:, :1]))

    def forward(self, photo: Tensor, mean: Tensor, std: Tensor) -> Tensor:
        alpha = 1 - self.segmenter(photo)["out"].softmax(1)[:, :1]
        restyled = F.interpolate(self.stylizer(photo, mean, std), size=photo.shape[-2:])
        return composite(photo, restyled, alpha)
