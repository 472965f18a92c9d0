"""The segmentation head: encoder features to logits over background and materials."""

import torch
from einops import reduce
from torch import Tensor, nn

from unistyle.maths.resizing import to_size
from unistyle.network.layers import conv


class Segmenter(nn.Module):
    """Features at strides 4, 8, 16, 32 -> logits `b 1+m h/4 w/4`; channel 0 is the background.

    Coarse to fine, each level resized to the next one's real size and merged by one convolution; the pooled deepest
    features gate the coarsest level, so that what the photo shows as a whole takes part in every decision.
    """

    def __init__(
        self, channels: tuple[int, ...], materials: int, widths: tuple[int, ...] = (32, 48, 96, 128)
    ):
        super().__init__()
        self.project = nn.Conv2d(channels[-1], widths[-1], 1)
        self.gate = nn.Conv2d(channels[-1], widths[-1], 1)
        self.merge = nn.ModuleList(
            conv(deep + skip, width) for deep, skip, width in zip(widths[1:], channels, widths, strict=False)
        )
        self.classify = nn.Conv2d(widths[0], 1 + materials, 1)

    def forward(self, features: list[Tensor]) -> Tensor:
        *skips, deepest = features
        pooled = reduce(deepest, "b c h w -> b c 1 1", "mean")
        x = self.project(deepest).relu() * self.gate(pooled).sigmoid()
        for merge, skip in zip(reversed(self.merge), reversed(skips), strict=True):
            x = merge(torch.cat([to_size(x, skip.shape[-2:]), skip], dim=1)).relu()
        return self.classify(x)


def foreground_logit(logits: Tensor) -> Tensor:
    """Logits `b 1+m h w` -> logit `b 1 h w` of any material against the background."""
    return logits[:, 1:].logsumexp(dim=1, keepdim=True) - logits[:, :1]


def material_regions(logits: Tensor, threshold: float, sharpness: float = 4.0) -> Tensor:
    """Logits `b 1+m h w` -> regions of the materials `b m h w` that sum to at most 1.

    The foreground (any material) is decided against a calibrated `threshold` in (0, 1) on its probability, then shared
    out among the materials; `sharpness` above 1 makes both decisions firmer than the probabilities, since a photo
    restyled by half is neither one thing nor the other.
    """
    logits = logits.float()
    offset = torch.logit(torch.tensor(threshold)).item()
    foreground = ((foreground_logit(logits) - offset) * sharpness).sigmoid()
    return foreground * (logits[:, 1:] * sharpness).softmax(dim=1)
