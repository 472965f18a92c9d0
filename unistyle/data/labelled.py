"""Training data: photos in material folders, pairs of photo and style, photos with masks.

Item i of every data set is a function of (seed, i) alone, so a run that resumes at a step sees what it would have
seen, and processes that share the work agree without talking.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torchvision.transforms.v2.functional as TF
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import Dataset

from unistyle.files.photos import list_images, read_image, read_mask, to_tensor

STORED_SIDE = 384  # photos are kept in memory with this short side, in pixels
MISSING_MASK = "no mask {} for {}: run the saliency teacher first, or give the folder that holds it"


@dataclass(frozen=True)
class Photo:
    """A photo, its mask if it has one, and the index of its material (-1: unknown)."""

    path: Path
    mask: Path | None = None
    label: int = -1


def materials_of(folder: str | Path) -> tuple[str, ...]:
    """The vocabulary: names of the folders below `folder` that hold photos."""
    root = Path(folder)
    if not root.is_dir():
        raise FileNotFoundError(f"no folder {root}: expected one with a folder a material, photos inside")
    names = tuple(sorted(p.name for p in root.iterdir() if p.is_dir() and list_images(p)))
    if not names:
        raise ValueError(f"{root} holds no folder with photos: expected a folder a material, photos inside")
    return names


def material_photos(
    folder: str | Path, split: str | Path | None = None, masks: str | Path | None = None
) -> list[Photo]:
    """Photos of the material folders, with the masks `masks/material/stem.png`. `split` names the photos to take."""
    wanted = set(Path(split).read_text().split()) if split else None
    photos = []
    for label, name in enumerate(materials_of(folder)):
        for path in list_images(Path(folder) / name):
            mask = Path(masks) / name / f"{path.stem}.png" if masks else None
            if wanted is None or f"{name}/{path.stem}" in wanted:
                photos.append(Photo(path, mask, label))
    if not photos:
        raise ValueError(
            f"none of the photos in {folder} is named in {split}: expected lines like `material/stem`"
        )
    return photos


def object_photos(folder: str | Path) -> list[Photo]:
    """Photos `image/` with masks of the same stem in `mask/`."""
    masks = {p.stem: p for p in list_images(Path(folder) / "mask")}
    photos = [Photo(p, masks[p.stem]) for p in list_images(Path(folder) / "image") if p.stem in masks]
    if not photos:
        raise ValueError(f"{folder} holds no pairs: expected image/STEM.jpg with mask/STEM.png")
    return photos


@lru_cache(maxsize=6000)
def _stored(path: Path, mask: bool) -> np.ndarray:
    """The photo or mask at the size kept in memory, 8-bit."""
    image = read_mask(path) if mask else read_image(path)
    scale = STORED_SIDE / min(image.size)
    size = [max(1, round(side * scale)) for side in image.size]
    return np.asarray(
        image.resize(size, Image.Resampling.BILINEAR if mask else Image.Resampling.BICUBIC, reducing_gap=3)
    )


def load(photo: Photo) -> tuple[Image.Image, Image.Image]:
    """Photo and mask (all white without one), at the size kept in memory."""
    image = Image.fromarray(_stored(photo.path, False))
    if photo.mask is None:
        return image, Image.new("L", image.size, 255)
    if not photo.mask.is_file():
        raise FileNotFoundError(MISSING_MASK.format(photo.mask, photo.path))
    return image, Image.fromarray(_stored(photo.mask, True)).resize(image.size)


def fit(photo: Photo, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Photo `3 h w` and region `1 h w` that fill (height, width), cut at the middle."""
    return tuple(to_tensor(ImageOps.fit(x, size[::-1], Image.Resampling.BICUBIC)) for x in load(photo))


def crop(photo: Photo, side: int, variant: int, seed: int) -> tuple[Tensor, Tensor]:
    """A square crop of a third to seven eighths of the short side, mirrored or not: always the same for one variant.
    So photos are seen at 150 to 384 pixels of short side, at every scale alike, as users restyle small and large
    ones. A crop that the mask hardly touches is taken whole, as a close-up of something."""
    image, mask = load(photo)
    rng = np.random.default_rng([seed, variant, *photo.path.stem.encode()])
    cut = int(STORED_SIDE * (7 / 8) * (8 / 21) ** rng.random())
    left, top = (rng.integers(0, length - cut + 1) for length in image.size)
    box, mirrored = (left, top, left + cut, top + cut), rng.random() < 0.5
    parts = [
        to_tensor(x.resize((side, side), Image.Resampling.BICUBIC, box=box)).clamp(0, 1)
        for x in (image, mask)
    ]
    image, mask = (TF.horizontal_flip(x) if mirrored else x for x in parts)
    return image, mask if mask.mean() > 0.25 else torch.ones_like(mask)


class StylePairs(Dataset):
    """Crops of photos, each with a style photo.

    An item: photo `3 s s`, region `1 s s`, style `3 h w`, style_region `1 h w`, photo_key and style_key (the same
    key, the same tensors), same (1 where the style is the photo itself), index of the pair among the first
    `fixed` ones (which the Gatys teacher restyles) or -1.
    """

    def __init__(
        self, contents, own_styles, other_styles, config, length: int, seed: int, fixed=0, fixed_share=0.0
    ):
        self.contents, self.own, self.other = contents, own_styles, other_styles or own_styles
        self.config, self.length, self.seed = config, length, seed
        self.fixed, self.fixed_share = fixed, fixed_share

    def __len__(self) -> int:
        return self.length

    def pair(self, rng: np.random.Generator, identity: float = 0.06) -> dict:
        pick = lambda photos: photos[rng.integers(len(photos))]  # noqa: E731
        content, variant = pick(self.contents), int(rng.integers(self.config.crops_per_photo))
        photo, region = crop(content, self.config.crop, variant, self.seed)
        key = f"{content.path}#{variant}"
        item = dict(photo=photo, region=region, photo_key=key, same=0.0, fixed=-1)
        if rng.random() < identity:
            whole = torch.ones_like(region)
            style, style_region = (TF.center_crop(x, list(self.config.style_size)) for x in (photo, whole))
            item |= dict(style=style, style_region=style_region, region=whole)
            return item | dict(photo_key=f"{key}#whole", style_key=key, same=1.0)
        style = pick(self.own if rng.random() < self.config.own_styles else self.other)
        image, mask = fit(style, self.config.style_size)
        mask = mask if mask.mean() > 0.05 else torch.ones_like(mask)
        return item | dict(style=image, style_region=mask, style_key=str(style.path))

    def fixed_pair(self, index: int) -> dict:
        return self.pair(np.random.default_rng([self.seed, 1, index]), identity=0.0) | dict(fixed=index)

    def __getitem__(self, index: int) -> dict:
        rng = np.random.default_rng([self.seed, 2, index])
        if self.fixed and rng.random() < self.fixed_share:
            return self.fixed_pair(int(rng.integers(self.fixed)))
        return self.pair(rng)


def _by_material(photos: list[Photo]) -> list[list[Photo]]:
    groups: dict[int, list[Photo]] = {}
    for photo in photos:
        groups.setdefault(photo.label, []).append(photo)
    return list(groups.values())


class MaskedPhotos(Dataset):
    """Whole photos with the soft mask of their foreground and their material: photo `3 h w`, mask `1 h w`, label.

    Each is mirrored, cropped to half or more of its sides and changed in colour at random; photos of materials and of
    objects in general take turns, and so do the materials, so that each has its share whatever their numbers. Batches
    of `batch` take turns with the `sizes` (height, width): masks are asked for at every size that users have.
    """

    def __init__(
        self, kinds: list[list[Photo]], sizes: list[tuple[int, int]], batch: int, length: int, seed: int
    ):
        self.kinds = [_by_material(photos) for photos in kinds if photos]
        self.sizes, self.batch = sizes, batch
        self.length, self.seed = length, seed

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict:
        rng = np.random.default_rng([self.seed, 3, index])
        groups = self.kinds[index % len(self.kinds)]
        photos = groups[rng.integers(len(groups))]
        photo = photos[rng.integers(len(photos))]
        size = self.sizes[index // self.batch % len(self.sizes)]
        image, mask = load(photo)
        share = rng.uniform(0.5, 1.0, size=2)
        width, height = (max(1, int(side * s)) for side, s in zip(image.size, share, strict=True))
        left, top = (
            rng.integers(0, side - s + 1) for side, s in zip(image.size, (width, height), strict=True)
        )
        box, mirrored = (left, top, left + width, top + height), rng.random() < 0.5
        parts = [
            to_tensor(x.resize(size[::-1], Image.Resampling.BICUBIC, box=box)).clamp(0, 1)
            for x in (image, mask)
        ]
        image, mask = (TF.horizontal_flip(x) if mirrored else x for x in parts)
        for adjust in (TF.adjust_brightness, TF.adjust_contrast, TF.adjust_saturation):
            image = adjust(image, rng.uniform(0.5, 1.5))
        return dict(photo=image, mask=mask, label=photo.label)
