"""The network on one screen: encoder, segmenter, stylizer, composite."""

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from einops import einsum
from torch import Tensor, nn

from unistyle.maths.resizing import to_size
from unistyle.network.composite import alpha_of, composite
from unistyle.network.encoder import Encoder, EncoderConfig
from unistyle.network.fuse import lay_over
from unistyle.network.laying import Samples
from unistyle.network.segmenter import Found, Segmenter, agreed, alike
from unistyle.network.stylizer import Stylizer

SMALLEST = 32  # pixels a side: below it the reflection padding at stride 16 has nothing to reflect
# Short side in pixels at which materials are looked for, whatever the photo's size: what a thing is made of shows
# better in a small photo than in a large one (docs/trials.md). The guided filter finds its outline again at full size.
SIGHT = 288
ONE_THING = 0.25  # say of what a place is made of in whether it belongs to the main object (docs/trials.md)
SHARPNESS = 4.0  # both answers are firmer than their probabilities: restyled by half is neither one thing nor the other


@dataclass(frozen=True)
class NetworkConfig:
    """Everything that decides the shape of the network, and what its answers mean."""

    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    """The backbone."""
    materials: tuple[str, ...] = ()
    """The vocabulary, in the order of the segmenter's channels."""
    threshold: float = 0.5
    """Probability of the main object from which a place belongs to it, calibrated on annotated photos."""
    levels: tuple[int, int, int] = (48, 80, 160)
    """Channels of the stylizer at strides 4, 8 and 16."""
    main: bool = True
    """Whether the segmenter says where the main object is, as a second answer. Without it (checkpoints before 0.2) the
    main object is all that is a material."""


class Output(NamedTuple):
    """What one pass gives."""

    logits: Tensor
    """Of other, the materials and the main object, `b 1+m+1 . .`."""
    regions: Tensor
    """Where each style goes, `b k . .` in [0, 1]."""
    restyled: Tensor
    """The restyled picture of the whole photo, `b 3 h w` in [0, 1]."""
    alpha: Tensor
    """How much of it is laid over the photo, `b 1 h w` in [0, 1]."""
    image: Tensor
    """The result, `b 3 h w` in [0, 1]."""


def in_sight(photo: Tensor) -> Tensor:
    """A photo `b 3 h w` as its materials are looked for: itself, or reduced to a short side of SIGHT."""
    scale = SIGHT / min(photo.shape[-2:])
    if scale >= 1:
        return photo
    size = [round(side * scale) for side in photo.shape[-2:]]
    return to_size(photo.contiguous(), size, antialias=True)  # contiguous, in which it takes half the time


class UniStyleNetwork(nn.Module):
    """Photo and style codes -> regions and the restyled photo, in one pass."""

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.config = config
        self.encoder = Encoder(config.encoder)
        self.segmenter = Segmenter(self.encoder.channels, len(config.materials), config.main)
        self.stylizer = Stylizer(self.encoder.channels, config.levels)

    def main_places(self, logits: Tensor) -> Tensor:
        """Log odds `b 1 . .` of the main object, each place by itself."""
        return (
            logits[:, -1:] if self.config.main else logits[:, 1:].logsumexp(1, keepdim=True) - logits[:, :1]
        )

    def main_odds(self, logits: Tensor) -> Tensor:
        """Log odds `b 1 . .` of the main object. A thing is mostly of one material, so that what is made of the same
        as most of it sooner belongs to it."""
        places = self.main_places(logits)
        if not self.config.main:
            return places
        return places + ONE_THING * alike(logits[:, :-1], (places * SHARPNESS).sigmoid())

    def main_logit(self, logits: Tensor) -> Tensor:
        """Logit `b 1 . .` of the main object, above 0 from the calibrated threshold on."""
        return self.main_odds(logits) - torch.logit(torch.tensor(self.config.threshold)).item()

    def found(self, logits: Tensor) -> Found:
        """What is found, soft masks of the logits' size."""
        logits = logits.float()
        main = (self.main_logit(logits) * SHARPNESS).sigmoid()
        if not self.config.main:
            return Found(main * (logits[:, 1:] * SHARPNESS).softmax(1), main)
        return Found((agreed(logits[:, :-1], main) * SHARPNESS).softmax(1)[:, 1:], main)

    def places(self, logits: Tensor) -> Tensor:
        """Regions `b 2m . .` of the logits' size that sum to at most 1: the materials of the main object, then the
        materials of everything else."""
        materials, main = self.found(logits)
        if not self.config.main:
            return torch.cat([materials, torch.zeros_like(materials)], dim=1)
        return torch.cat([materials * main, materials * (1 - main)], dim=1)

    def encode_style(self, style: Tensor, region: Tensor | None = None) -> Tensor:
        """Style photo `b 3 h w` in [0, 1] -> code `b 1 d`. Without a region `b 1 h w` the segmenter finds it."""
        if region is None:
            features, logits = self.find(style)
            region = self.style_region(logits)
        else:
            features = self.encoder(style, shallow=True)
        return self.stylizer.encode(features, region)

    def style_region(self, logits: Tensor) -> Tensor:
        """The region `b 1 . .` of a style photo: its main object, or the whole photo where that is less than 2 % of
        it. Most style photos are close-ups, so that a place belongs to it from even odds on, whatever the threshold
        for other photos is (docs/trials.md)."""
        region = (self.main_odds(logits.float()) * SHARPNESS).sigmoid()
        return torch.where(region.mean((1, 2, 3), keepdim=True) < 0.02, torch.ones_like(region), region)

    def find(self, photo: Tensor) -> tuple[list[Tensor], Tensor]:
        """The first half of a pass: photo `b 3 h w` -> encoder features, logits `b . y/4 x/4`, where (y, x)
        is the size of `in_sight(photo)`."""
        small = in_sight(photo)
        if small is photo:
            features = self.encoder(photo)
            return features, self.segmenter(features)
        return self.encoder(photo, shallow=True), self.segmenter(self.encoder(small))

    def render(
        self,
        photo: Tensor,
        features: list[Tensor],
        regions: Tensor,
        codes: Tensor,
        samples: Samples | None = None,
        strength: float = 1.0,
        keep_color: bool = False,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The second half: the photo, its features, regions `b k . .`, codes `b k d` and samples -> restyled, alpha,
        image."""
        size = photo.shape[-2:]
        restyled = self.stylizer(features, regions, codes, size)
        if samples is not None:
            restyled = lay_over(photo, restyled, regions, samples).over(
                restyled, size, (0, size[0]), (0, size[1])
            )
        alpha = alpha_of(photo, regions)
        return restyled, alpha, composite(photo, restyled, alpha, strength, keep_color)

    def forward(
        self,
        photo: Tensor,
        codes: Tensor,
        regions: Tensor | None = None,
        routes: Tensor | None = None,
        samples: Samples | None = None,
        strength: float = 1.0,
        keep_color: bool = False,
    ) -> Output:
        """photo: `b 3 h w` in [0, 1], 32 pixels a side or more. codes: `b k d`, a style for each region.

        regions: `b k h' w'` in place of the predicted ones. routes: `2m k`, 1 where a place of `places` goes to region
        k; by default the materials of the main object go to region 0. samples: what is laid in each region. strength:
        0 leaves the photo, 1 is the full style. keep_color: only the luminance comes from the style. Raises
        ValueError for a smaller photo; the public
        class pads such photos.
        """
        if min(photo.shape[-2:]) < SMALLEST:
            size = tuple(photo.shape[-2:])
            raise ValueError(f"a photo of {size} pixels: the network takes {SMALLEST} a side or more, pad it")
        features, logits = self.find(photo)
        if regions is None:
            found = self.places(logits)
            if routes is None:
                routes = (torch.arange(found.shape[1]) < found.shape[1] // 2)[:, None]
            regions = einsum(found, routes.to(found), "b m h w, m k -> b k h w")
        return Output(
            logits, regions, *self.render(photo, features, regions, codes, samples, strength, keep_color)
        )
