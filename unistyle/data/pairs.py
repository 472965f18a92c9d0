"""What training draws: pairs of photo and style, photos with masks."""

import numpy as np
import torch
import torchvision.transforms.v2.functional as TF
from PIL import Image
from torch.utils.data import Dataset

from unistyle.data.labelled import LabelledPhoto
from unistyle.data.views import crop, fit, load
from unistyle.files.tensors import to_tensor


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


def _by_material(photos: list[LabelledPhoto]) -> list[list[LabelledPhoto]]:
    groups: dict[int, list[LabelledPhoto]] = {}
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
