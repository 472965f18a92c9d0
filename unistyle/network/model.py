"""The network on one screen: encoder, segmenter, stylizer, composite."""

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from einops import einsum, reduce
from torch import Tensor, nn

from unistyle.maths.resizing import to_size
from unistyle.network.composite import alpha_of, composite
from unistyle.network.encoder import Encoder, EncoderConfig
from unistyle.network.segmenter import Segmenter, material_regions
from unistyle.network.stylizer import Stylizer

SMALLEST = 32  # pixels a side: below it the reflection padding at stride 16 has nothing to reflect
# Short side in pixels at which materials are looked for, whatever the photo's size: what a thing is made of shows
# better in a small photo than in a large one (docs/trials.md). The guided filter finds its outline again at full size.
SIGHT = 288


@dataclass(frozen=True)
class NetworkConfig:
    """Everything that decides the shape of the network, and what its answers mean."""

    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    """The backbone."""
    materials: tuple[str, ...] = ()
    """The vocabulary, in the order of the segmenter's channels."""
    threshold: float = 0.5
    """Probability of the foreground from which a place counts as material, calibrated on annotated photos."""


class Output(NamedTuple):
    """What one pass gives."""

    logits: Tensor
    """Of background and materials, `b 1+m . .`."""
    regions: Tensor
    """Where each style goes, `b k . .` in [0, 1]."""
    restyled: Tensor
    """The stylizer's picture of the whole photo, `b 3 h w` in [0, 1]."""
    alpha: Tensor
    """How much of it is laid over the photo, `b 1 h w` in [0, 1]."""
    image: Tensor
    """The result, `b 3 h w` in [0, 1]."""


class UniStyleNetwork(nn.Module):
    """Photo and style codes -> regions and the restyled photo, in one pass."""

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.config = config
        self.encoder = Encoder(config.encoder)
        self.segmenter = Segmenter(self.encoder.channels, len(config.materials))
        self.stylizer = Stylizer(self.encoder.channels)

    def regions(self, logits: Tensor) -> Tensor:
        """Regions `b m . .` of the logits' size, one for each material of the vocabulary."""
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
        """The region `b 1 . .` of a style photo: everything that is found, or the whole photo where that is less than
        2 % of it."""
        region = reduce(self.regions(logits), "b m h w -> b 1 h w", "sum")
        return torch.where(region.mean((1, 2, 3), keepdim=True) < 0.02, torch.ones_like(region), region)

    def find(self, photo: Tensor) -> tuple[list[Tensor], Tensor]:
        """The first half of a pass: photo `b 3 h w` -> encoder features, logits `b 1+m y/4 x/4`. (y, x) is the photo's
        size, reduced to a short side of `SIGHT` where the photo is larger."""
        features = self.encoder(photo)
        scale = SIGHT / min(photo.shape[-2:])
        if scale >= 1:
            return features, self.segmenter(features)
        size = [round(side * scale) for side in photo.shape[-2:]]
        # Contiguous, in which this filter takes half the time.
        small = to_size(photo.contiguous(), size, antialias=True)
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
        default every material goes to region 0. strength: 0 leaves the photo, 1 is the full style. keep_color: only
        the luminance comes from the style. Raises ValueError for a smaller photo; the public class pads such photos.
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
