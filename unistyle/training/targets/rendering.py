"""Rendered pairs: a relief made of one material, lit, and the same relief made of another one in the same light.

What a photo would look like if it were made of something else, nobody knows; of a rendered relief it is known exactly.
Such pairs teach how a flat sample bends and takes the light of the photo, and they need no teacher. The materials are
samples of style photos; the reliefs are smooth hills with the grain of a normal map.

Sources: the shading of Blinn, "Models of Light Reflection for Computer Synthesized Pictures"; for gloss by the skewness
of a band, Motoyoshi et al., "Image statistics and the perception of surface qualities".
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from unistyle.data.labelled import LabelledPhoto
from unistyle.data.pairs import StyleSamples, is_among_first, smaller
from unistyle.data.views import fit
from unistyle.files.tensors import as_float
from unistyle.maths.features import luminance
from unistyle.network.laying import Samples, laid_picture
from unistyle.training.config import DataConfig

HILLS = ((3, 0.16), (5, 0.07), (9, 0.05))  # how many in a row, and how high, as a share of the side
GRAIN = 128  # side of normal maps in pixels
STEEPNESS = (0.0, 0.3, 0.6)  # of the grain
AMBIENT, DIFFUSE, SPECULAR = 0.35, 0.8, 0.6
POWERS = (8.0, 50.0)  # of the highlights of the dullest material and of the glossiest
SKEWNESS = (-0.1, 0.5)  # of the dullest and the glossiest: medians of FMD are -0.4 for wood, 0.2 for metal
HEAD = torch.tensor([0.0, 0.0, 1.0])  # from where it is seen


def gloss_of(image: Tensor, region: Tensor) -> float:
    """How glossy a style photo `3 h w` is inside its region `1 h w`, in [0, 1]: highlights make the fine band of its
    luminance skewed."""
    light = luminance(image[None])
    coarse = F.interpolate(F.avg_pool2d(light, 8), light.shape[-2:], mode="bilinear", align_corners=False)
    fine, weight = light - coarse, region[None] / region.sum().clamp_min(1)
    fine = fine - (fine * weight).sum()
    spread = (fine.square() * weight).sum().sqrt().clamp_min(1e-3)
    skewness = ((fine / spread) ** 3 * weight).sum().item()
    low, high = SKEWNESS
    return min(1.0, max(0.0, (skewness - low) / (high - low)))


def relief(rng: np.random.Generator, side: int, grain: Sequence[Tensor]) -> Tensor:
    """Unit normals `3 side side` of a relief drawn with `rng`. grain: normal maps `3 GRAIN GRAIN` in [-1, 1], of which
    one is drawn."""
    height = torch.zeros(side, side)
    for count, share in HILLS:
        knots = torch.from_numpy(rng.standard_normal((1, 1, count, count))).float()
        height += share * side * F.interpolate(knots, (side, side), mode="bicubic", align_corners=True)[0, 0]
    if rng.random() < 0.5:
        height = height.abs()  # with creases
    down, right = torch.gradient(height)
    normals = torch.stack([-right, -down, torch.ones_like(height)])
    if grain:
        fine = grain[int(rng.integers(len(grain)))]
        fine = fine.roll(rng.integers(GRAIN, size=2).tolist(), (-2, -1))
        times = math.ceil(side / GRAIN)
        normals[:2] += float(rng.choice(STEEPNESS)) * fine.repeat(1, times, times)[:2, :side, :side]
    return F.normalize(normals, dim=0)


def light_from(rng: np.random.Generator) -> Tensor:
    """The direction of a light, a unit vector `3`, between low and nearly overhead."""
    turn, height = rng.uniform(0, 2 * math.pi), rng.uniform(0.35, 0.9)
    flat = math.sqrt(1 - height**2)
    return torch.tensor([math.cos(turn) * flat, math.sin(turn) * flat, height])


def lit(albedo: Tensor, normals: Tensor, light: Tensor, gloss: float) -> Tensor:
    """A relief, normals `3 h w`, of a material, colours `3 h w` in [0, 1], in a light, `3`, of such strength that the
    material is as light on average as its colours are, highlights aside."""
    toward = lambda direction: (normals * direction[:, None, None]).sum(0).clamp_min(0)  # noqa: E731
    shade, (dull, glossy) = AMBIENT + DIFFUSE * toward(light), POWERS
    highlight = toward(F.normalize(light + HEAD, dim=0)) ** (dull + gloss * (glossy - dull))
    return (albedo * shade / shade.mean() + SPECULAR * gloss * highlight).clamp(0, 1)


class _Material(NamedTuple):
    """What a relief is made of."""

    tile: Tensor
    """Its sample, uint8 `3 t t`."""
    structure: float
    """1 where the sample is laid."""
    flat: Tensor
    """A flat picture of it, of the size of style photos. A style photo has a light of its own, which the sample has
    not: with that as the style, the network would learn to give results other colours than the style has."""
    albedo: Tensor
    """Its colours on the relief, `3 s s`."""
    gloss: float
    """As of `gloss_of`."""


class RenderedPairs(Dataset):
    """Rendered reliefs, each with a flat picture of another material: photo `3 s s`, region `1 s s` (ones), style `3 h
    w`, style_region `1 h w` (ones), tile, uint8 `3 t t`, structure, and wanted `3 s s`, what restyling the photo should
    give.

    Sides are as in `StylePairs`, the first of the crops'. Item i is a function of (seed, i) alone.
    """

    def __init__(
        self,
        photos: Sequence[LabelledPhoto],
        reliefs: Sequence[LabelledPhoto],
        config: DataConfig,
        length: int,
        seed: int,
        samples: StyleSamples,
        batch: int = 1,
    ):
        """photos: style photos; reliefs: normal maps that repeat, the grain; none leaves the reliefs smooth."""
        self.photos, self.config, self.length, self.seed = photos, config, length, seed
        self.samples, self.batch = samples, batch
        self.grain = [fit(map_, (GRAIN, GRAIN))[0] * 2 - 1 for map_ in reliefs]

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict:
        rng = np.random.default_rng([self.seed, 4, index])
        side = self.config.crops[0]
        side = smaller(side) if is_among_first(self, index) else side
        own, style = (self._material(rng, side) for _ in range(2))
        normals, light = relief(rng, side, self.grain), light_from(rng)
        photo, wanted = (lit(each.albedo, normals, light, each.gloss) for each in (own, style))
        return dict(
            photo=photo,
            wanted=wanted,
            region=torch.ones(1, side, side),
            style=style.flat,
            style_region=torch.ones_like(style.flat[:1]),
            tile=style.tile,
            structure=style.structure,
        )

    def _material(self, rng: np.random.Generator, side: int) -> _Material:
        """The material of a style photo. One without a sample has one colour."""
        photo = self.photos[int(rng.integers(len(self.photos)))]
        height, width = self.config.style_size
        image, mask = fit(photo, (height, width))
        mask = mask if mask.mean() > 0.05 else torch.ones_like(mask)
        tile = self.samples.of(photo)
        if tile is None:
            mean = (image * mask).sum((1, 2), keepdim=True) / mask.sum()
            tile, structure = (mean.expand(3, *2 * [self.samples.side]) * 255).round().byte(), 0.0
        else:
            down, right = rng.integers(self.samples.side, size=2)
            tile, structure = tile.roll((int(down), int(right)), (-2, -1)), 1.0
        size = (side * height // self.config.crops[0], side * width // self.config.crops[0])
        return _Material(tile, structure, _flat(tile, size), _flat(tile, (side, side)), gloss_of(image, mask))


def _flat(tile: Tensor, size: tuple[int, int]) -> Tensor:
    """A sample, uint8 `3 t t`, as it is laid over a photo of (height, width), `3 h w` in [0, 1]."""
    samples = Samples(as_float(tile)[None, None], torch.ones(1, 1))
    return laid_picture(samples, torch.ones(1, 1, *size), size, (0, size[0]), (0, size[1]))[0]
