"""The segmentation head: encoder features to what each place is made of, and where the main object is."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import reduce
from torch import Tensor, nn

from unistyle.maths.features import moments
from unistyle.maths.resizing import resize_regions, to_size
from unistyle.network.layers import conv

SURE = 1e-4  # no place is surer to be alike, or to be unlike


class Found(NamedTuple):
    """The two answers of the segmenter, soft masks of the size of its logits."""

    materials: Tensor
    """What each place is made of: the share of each material, `b m h w` in [0, 1]. The rest is other."""

    main: Tensor
    """Where the main object is, `b 1 h w` in [0, 1], whatever it is made of."""


class Segmenter(nn.Module):
    """Features at strides 4, 8, 16, 32 -> logits `b 1+m+1 h/4 w/4`: other, the materials, and the main object.

    Coarse to fine, each level resized to the next one's real size and merged by one convolution; the pooled deepest
    features gate the coarsest level, so that what the photo shows as a whole takes part in every decision.
    """

    def __init__(
        self,
        channels: tuple[int, ...],
        materials: int,
        main: bool = True,
        widths: tuple[int, ...] = (32, 48, 96, 128),
    ):
        """main: whether there is a logit of the main object."""
        super().__init__()
        self.project = nn.Conv2d(channels[-1], widths[-1], 1)
        self.gate = nn.Conv2d(channels[-1], widths[-1], 1)
        self.merge = nn.ModuleList(
            conv(deep + skip, width) for deep, skip, width in zip(widths[1:], channels, widths, strict=False)
        )
        self.classify = nn.Conv2d(widths[0], 1 + materials + main, 1)
        self.name = Namer(channels[1:], 1 + materials) if main else None

    def forward(self, features: list[Tensor]) -> Tensor:
        logits = self.places(features)
        if self.name is None:
            return logits
        main = logits[:, -1:].sigmoid().detach()  # it answers for itself alone
        named = self.name(features, main)[..., None, None] * main
        return logits + F.pad(named, (0, 0, 0, 0, 0, 1))  # which says nothing of where the main object is

    def places(self, features: list[Tensor]) -> Tensor:
        """The logits, each place by itself."""
        *skips, deepest = features
        pooled = reduce(deepest, "b c h w -> b c 1 1", "mean")
        x = self.project(deepest).relu() * self.gate(pooled).sigmoid()
        for merge, skip in zip(reversed(self.merge), reversed(skips), strict=True):
            x = merge(torch.cat([to_size(x, skip.shape[-2:]), skip], dim=1)).relu()
        return self.classify(x)


class Namer(nn.Module):
    """What a region is made of as a whole, by the moments of the encoder's features inside it: means and deviations
    tell a material where single places do not (docs/trials.md)."""

    def __init__(self, channels: Sequence[int], answers: int):
        """channels: of the features at strides 8, 16 and 32."""
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(2 * c) for c in channels)
        self.name = nn.Linear(2 * sum(channels), answers)
        nn.init.zeros_(self.name.weight)
        nn.init.zeros_(self.name.bias)

    def forward(self, features: list[Tensor], region: Tensor) -> Tensor:
        """Features at strides 4 to 32, and a region `b 1 h w` in [0, 1] -> what is added to the logits inside it, `b
        answers`."""
        parts = [
            torch.cat(moments(f, resize_regions(region, f.shape[-2:])), dim=-1)[:, 0] for f in features[1:]
        ]
        return self.name(torch.cat([norm(part) for norm, part in zip(self.norms, parts, strict=True)], dim=1))


def agreed(logits: Tensor, main: Tensor) -> Tensor:
    """Logits `b 1+m h w` of other and the materials, in which all places of the main object (b 1 h w in [0, 1]) have a
    say at each of them: a thing is mostly of one material, and as a whole it shows that better than its parts do
    (docs/trials.md)."""
    return logits.log_softmax(1) + main * _made_of(logits.softmax(1), main).clamp_min(1e-6).log()


def alike(logits: Tensor, main: Tensor) -> Tensor:
    """Logit `b 1 h w` that a place is made of what most of the main object (b 1 h w in [0, 1]) is made of, by the
    logits `b 1+m h w` of other and the materials."""
    p = logits.softmax(1)
    # At least something, because with no main object no place is more alike than another.
    most = _made_of(p, main).square().clamp_min(1e-12)
    same = (p * most).sum(1, keepdim=True) / most.sum(1, keepdim=True)
    same = same.clamp(SURE, 1 - SURE)
    return (same / (1 - same)).log()


def _made_of(p: Tensor, main: Tensor) -> Tensor:
    """What the main object is made of as a whole, shares `b 1+m 1 1`, by the probabilities of places `b 1+m h w`."""
    area = reduce(main, "b 1 h w -> b 1 1 1", "sum").clamp_min(1e-6)
    return reduce(p * main, "b m h w -> b m 1 1", "sum") / area
