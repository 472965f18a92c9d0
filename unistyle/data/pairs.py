"""What training draws: pairs of photo and style, photos with masks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
import torchvision.transforms.v2.functional as TF
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from unistyle.data.labelled import LabelledPhoto
from unistyle.data.views import crop, fit, load
from unistyle.files.tensors import to_tensor


class CropConfig(Protocol):
    """The settings of the data that pairs are drawn by (unistyle.training.config.DataConfig)."""

    crops: list[int]
    small: float
    crops_per_photo: int
    style_size: tuple[int, int]
    own_styles: float


@dataclass(frozen=True)
class PairPhotos:
    """What pairs are drawn from."""

    contents: Sequence[LabelledPhoto]
    """Photos to restyle."""
    own: Sequence[LabelledPhoto]
    """Style photos of the materials."""
    other: Sequence[LabelledPhoto] = ()
    """Further style photos; without any, all styles are those of the materials."""


@dataclass(frozen=True)
class FixedPairs:
    """Pairs that come again and again, because the Gatys teacher has restyled them."""

    count: int = 0
    share: float = 0.0
    """How often one of them is drawn, from 0 to 1."""


@dataclass(frozen=True)
class StyleSamples:
    """Samples of the style photos, which are laid over what is restyled."""

    of: Callable[[LabelledPhoto], Tensor | None] = lambda photo: None
    """The sample of a style photo, a tile `3 side side` of uint8, if it has one."""
    side: int = 1
    """Side of the tiles in pixels."""
    shares: tuple[float, float] = (0.0, 0.0)
    """How often the sample of a style photo is laid, from 0 to 1, among the first items and after them."""


class StylePairs(Dataset):
    """Crops of photos, each with a style photo.

    An item holds photo `3 s s`, region `1 s s`, style `3 h w`, style_region `1 h w`; photo_key and style_key (the same
    key stands for the same tensors); style_label, the row of the style's material, or -1; tile, the style's sample,
    uint8 `3 t t`, and structure, 1 where it is laid; same (1 where the style is the photo itself); fixed, the index of
    the pair among those of the Gatys teacher, or -1.

    Batches of `batch` items take turns with the sides of crops in the settings, because photos are restyled at several
    sizes; the first ones, a share of `small`, have two thirds of these sides. Item i is a function of (seed, i) alone.
    A run that resumes at a step therefore sees what it would have seen, and processes that share the work agree without
    talking.
    """

    def __init__(
        self,
        photos: PairPhotos,
        config: CropConfig,
        length: int,
        seed: int,
        fixed: FixedPairs = FixedPairs(),
        samples: StyleSamples = StyleSamples(),
        batch: int = 1,
    ):
        self.photos, self.config, self.length, self.seed, self.fixed = photos, config, length, seed, fixed
        self.samples, self.batch = samples, batch

    def __len__(self) -> int:
        return self.length

    def pair(
        self, rng: np.random.Generator, crop_side: int, identity: float = 0.06, first: bool = False
    ) -> dict:
        """A pair with a crop of that many pixels a side, drawn with `rng`. identity: how often the style is the photo
        itself, from 0 to 1; first: it is among the first items."""
        style_size = [crop_side * side // self.config.crops[0] for side in self.config.style_size]
        content = _pick(self.photos.contents, rng)
        variant = int(rng.integers(self.config.crops_per_photo))
        photo, region = crop(content, crop_side, variant, self.seed)
        key = f"{content.path}#{variant} {crop_side}"
        item = dict(photo=photo, region=region, photo_key=key, same=0.0, fixed=-1, style_label=-1)
        side = self.samples.side
        item |= dict(tile=torch.zeros(3, side, side, dtype=torch.uint8), structure=0.0)
        if rng.random() < identity:
            whole = torch.ones_like(region)
            style, style_region = (TF.center_crop(x, style_size) for x in (photo, whole))
            item |= dict(style=style, style_region=style_region, region=whole)
            return item | dict(photo_key=f"{key}#whole", style_key=key, same=1.0)
        chosen = self._style(rng)
        image, mask = fit(chosen, (style_size[0], style_size[1]))
        mask = mask if mask.mean() > 0.05 else torch.ones_like(mask)
        item |= dict(
            style=image, style_region=mask, style_key=f"{chosen.path} {crop_side}", style_label=chosen.label
        )
        tile = self.samples.of(chosen) if rng.random() < self.samples.shares[0 if first else 1] else None
        if tile is None:
            return item
        down, right = rng.integers(side, size=2)  # or it would be learned where a seam lies
        return item | dict(tile=tile.roll((int(down), int(right)), (-2, -1)), structure=1.0)

    def _style(self, rng: np.random.Generator) -> LabelledPhoto:
        own = rng.random() < self.config.own_styles
        return _pick(self.photos.own if own else self.photos.other or self.photos.own, rng)

    def fixed_pair(self, index: int) -> dict:
        """One of the pairs that the Gatys teacher restyles, of the first of the sides."""
        rng = np.random.default_rng([self.seed, 1, index])
        return self.pair(rng, self.config.crops[0], identity=0.0) | dict(fixed=index)

    def side(self, index: int) -> int:
        """Side in pixels of an item's crop."""
        side = self.config.crops[index // self.batch % len(self.config.crops)]
        return smaller(side) if is_among_first(self, index) else side

    def __getitem__(self, index: int) -> dict:
        rng = np.random.default_rng([self.seed, 2, index])
        side = self.side(index)
        if side == self.config.crops[0] and self.fixed.count and rng.random() < self.fixed.share:
            return self.fixed_pair(int(rng.integers(self.fixed.count)))
        return self.pair(rng, side, first=is_among_first(self, index))


def is_among_first(pairs, index: int) -> bool:
    """Whether an item is in one of the first batches of a dataset, which have smaller crops: all of a batch are of one
    size. pairs: has `batch`, `length` and the settings `config`."""
    return index // pairs.batch < pairs.config.small * (pairs.length // pairs.batch)


def smaller(side: int) -> int:
    """Two thirds of the side of a crop: colours and grain are learned from small pictures as well, and in less time
    (Karras et al., "Progressive Growing of GANs", section 2)."""
    return side * 2 // 3


def _pick(photos: Sequence[LabelledPhoto], rng: np.random.Generator) -> LabelledPhoto:
    return photos[int(rng.integers(len(photos)))]


def _by_material(photos: list[LabelledPhoto]) -> list[list[LabelledPhoto]]:
    groups: dict[int, list[LabelledPhoto]] = {}
    for photo in photos:
        groups.setdefault(photo.label, []).append(photo)
    return list(groups.values())


class MaskedPhotos(Dataset):
    """Whole photos, each with the soft mask of its main object and its material: photo `3 h w`, mask `1 h w`, label.

    Each is mirrored, cropped to half or more of its sides and changed in colour at random. The kinds (photos of
    materials, photos of objects in general) take turns, and so do the materials within a kind, so that each has its
    share whatever their numbers. Batches of `batch` items take turns with the `sizes` (height, width), because masks
    are asked for at every size that users have. Item i is a function of (seed, i) alone.
    """

    def __init__(
        self,
        kinds: list[list[LabelledPhoto]],
        sizes: list[tuple[int, int]],
        batch: int,
        length: int,
        seed: int,
    ):
        self.kinds = [_by_material(photos) for photos in kinds if photos]
        self.sizes, self.batch = sizes, batch
        self.length, self.seed = length, seed

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict:
        rng = np.random.default_rng([self.seed, 3, index])
        groups = self.kinds[index % len(self.kinds)]
        photo = _pick(groups[rng.integers(len(groups))], rng)
        size = self.sizes[index // self.batch % len(self.sizes)]
        image, mask = _random_view(photo, size, rng)
        for adjust in (TF.adjust_brightness, TF.adjust_contrast, TF.adjust_saturation):
            image = adjust(image, rng.uniform(0.5, 1.5))
        return dict(photo=image, mask=mask, label=photo.label)


def _random_view(photo: LabelledPhoto, size: tuple[int, int], rng: np.random.Generator) -> list[Tensor]:
    """Half or more of the sides of a photo and its mask, mirrored or not, resized to (height, width)."""
    image, mask = load(photo)
    share = rng.uniform(0.5, 1.0, size=2)
    width, height = (max(1, int(side * s)) for side, s in zip(image.size, share, strict=True))
    left, top = (
        int(rng.integers(0, side - s + 1)) for side, s in zip(image.size, (width, height), strict=True)
    )
    box, mirrored = (left, top, left + width, top + height), rng.random() < 0.5
    parts = [
        to_tensor(x.resize(size[::-1], Image.Resampling.BICUBIC, box=box)).clamp(0, 1) for x in (image, mask)
    ]
    return [TF.horizontal_flip(x) if mirrored else x for x in parts]
