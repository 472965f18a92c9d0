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
# Short side in pixels at which materials are looked for. What a thing is shows better in a small photo than in a large
# one, at any size of the photo (docs/trials.md); its outline is found again at full size by the guided filter.
SIGHT = 288


@dataclass(frozen=True)
class NetworkConfig:
    """materials: the vocabulary; threshold: on the probability of the foreground, calibrated on annotated photos."""

    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    materials: tuple[str, ...] = ()
    threshold: float = 0.5


class Output(NamedTuple):
    """logits `b 1+m . .`; regions `b k . .`; restyled `b 3 h w`; alpha `b 1 h w`; image `b 3 h w`."""

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
        """Regions `b m . .` of the logits' size, one a material of the vocabulary."""
        return material_regions(logits, self.config.threshold)

    def encode_style(self, style: Tensor, region: Tensor | None = None) -> Tensor:
        """Style photo `b 3 h w` in [0, 1] -> code `b 1 d`. Without a region `b 1 h w` the segmenter finds it."""
        if region is None:
            features, logits = self.find(style)
            region = self.style_region(logits)
        else:
            features = self.encoder(style)
        return self.stylizer.encode(features, region)

    def style_region(self, logits: Tensor) -> Tensor:
        """The region `b 1 . .` of a style photo: all that is found, and where that is next to nothing (less than 2 %
        of the photo) the whole photo."""
        region = reduce(self.regions(logits), "b m h w -> b 1 h w", "sum")
        return torch.where(region.mean((1, 2, 3), keepdim=True) < 0.02, torch.ones_like(region), region)

    def find(self, photo: Tensor) -> tuple[list[Tensor], Tensor]:
        """The first half of a pass: photo `b 3 h w` -> encoder features, logits `b 1+m y/4 x/4`, where (y, x) is the
        photo's size or, if that is larger, the one with a short side of `SIGHT`."""
        features = self.encoder(photo)
        scale = SIGHT / min(photo.shape[-2:])
        if scale >= 1:
            return features, self.segmenter(features)
        size = [round(side * scale) for side in photo.shape[-2:]]
        # Contiguous, in which this filter takes half the time.
        small = F.interpolate(photo.contiguous(), size, mode="bilinear", align_corners=False, antialias=True)
        return features, self.segmenter(self.encoder(small))

    def render(
        self,
        photo: Tensor,
        features: list[Tensor],
        regions: Tensor,
        codes: Tensor,
        strength: float = 1.0,
        keep_color: bool = False,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The second half: the photo, its features, regions `b k . .` and codes `b k d` -> restyled, alpha, image."""
        restyled = self.stylizer(features, regions, codes, photo.shape[-2:])
        alpha = alpha_of(photo, regions)
        return restyled, alpha, composite(photo, restyled, alpha, strength, keep_color)

    def forward(
        self,
        photo: Tensor,
        codes: Tensor,
        regions: Tensor | None = None,
        routes: Tensor | None = None,
        strength: float = 1.0,
        keep_color: bool = False,
    ) -> Output:
        """photo: `b 3 h w` in [0, 1], 32 pixels a side or more. codes: `b k d`, a style for each region.

        regions: `b k h' w'` in place of the predicted ones. routes: `m k`, 1 where material m goes to region k; by
        default every material goes to region 0. strength: 0 leaves the photo, 1 is the full style. keep_color: take
        the luminance alone from the style. Raises ValueError for a smaller photo, which the public class pads.
        """
        if min(photo.shape[-2:]) < SMALLEST:
            size = tuple(photo.shape[-2:])
            raise ValueError(f"a photo of {size} pixels: the network takes {SMALLEST} a side or more, pad it")
        features, logits = self.find(photo)
        if regions is None:
            found = self.regions(logits)
            routes = found.new_ones(found.shape[1], 1) if routes is None else routes.to(found)
            regions = einsum(found, routes, "b m h w, m k -> b k h w")
        return Output(logits, regions, *self.render(photo, features, regions, codes, strength, keep_color))
