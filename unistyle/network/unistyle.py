"""The network on one screen: encoder, segmenter, stylizer, composite."""

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import einsum, reduce
from torch import Tensor, nn

from unistyle.network.composite import alpha_of, composite
from unistyle.network.encoder import Encoder, EncoderConfig
from unistyle.network.segmenter import Segmenter, material_regions
from unistyle.network.stylizer import Stylizer

SMALLEST = 32  # pixels a side: below it the reflection padding at stride 16 has nothing to reflect


@dataclass(frozen=True)
class NetworkConfig:
    """materials: the vocabulary; threshold: on the probability of the foreground, calibrated on annotated photos."""

    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    materials: tuple[str, ...] = ()
    threshold: float = 0.5


class Output(NamedTuple):
    """logits `b 1+m h/4 w/4`; regions `b k . .`; restyled `b 3 h w`; alpha `b 1 h w`; image `b 3 h w`."""

    logits: Tensor
    regions: Tensor
    restyled: Tensor
    alpha: Tensor
    image: Tensor


class UniStyleNetwork(nn.Module):
    """Photo and style codes -> regions and the restyled photo, in one pass."""

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.config = config
        self.encoder = Encoder(config.encoder)
        self.segmenter = Segmenter(self.encoder.channels, len(config.materials))
        self.stylizer = Stylizer(self.encoder.channels)

    def regions(self, logits: Tensor) -> Tensor:
        """Regions `b m h/4 w/4`, one a material of the vocabulary."""
        return material_regions(logits, self.config.threshold)

    def encode_style(self, style: Tensor, region: Tensor | None = None) -> Tensor:
        """Style photo `b 3 h w` in [0, 1] -> code `b 1 d`. Without a region `b 1 h w` the segmenter finds it; where
        it finds next to nothing (less than 2 % of the photo) the whole photo is the style."""
        features = self.encoder(style)
        if region is None:
            region = reduce(self.regions(self.segmenter(features)), "b m h w -> b 1 h w", "sum")
            region = torch.where(region.mean((1, 2, 3), keepdim=True) < 0.02, torch.ones_like(region), region)
        return self.stylizer.encode(features, region)

    def forward(
        self,
        photo: Tensor,
        codes: Tensor,
        regions: Tensor | None = None,
        routes: Tensor | None = None,
        strength: float = 1.0,
        keep_color: bool = False,
    ) -> Output:
        """photo: `b 3 h w` in [0, 1], any size. codes: `b k d`, a style for each region.

        regions: `b k h' w'` in place of the predicted ones. routes: `m k`, 1 where material m goes to region k; by
        default every material goes to region 0. strength: 0 leaves the photo, 1 is the full style. keep_color: take
        the luminance alone from the style.
        """
        features = self.encoder(_at_least(photo, SMALLEST))
        logits = self.segmenter(features)
        if regions is None:
            found = self.regions(logits)
            routes = found.new_ones(found.shape[1], 1) if routes is None else routes.to(found)
            regions = einsum(found, routes, "b m h w, m k -> b k h w")
        h, w = photo.shape[-2:]
        restyled = self.stylizer(features, regions, codes, (max(h, SMALLEST), max(w, SMALLEST)))[..., :h, :w]
        alpha = alpha_of(photo, regions)
        return Output(
            logits, regions, restyled, alpha, composite(photo, restyled, alpha, strength, keep_color)
        )


def _at_least(photo: Tensor, side: int) -> Tensor:
    """Repeat the last row and column of a photo that is smaller than `side`."""
    h, w = photo.shape[-2:]
    return (
        F.pad(photo, (0, max(0, side - w), 0, max(0, side - h)), mode="replicate")
        if min(h, w) < side
        else photo
    )
