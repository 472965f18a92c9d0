"""Photos with exact labels, made of annotated ones: cut-outs of materials on a close-up of another."""

import random
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from unistyle.data.labelled import LabelledPhoto
from unistyle.files.photos import read_image, read_mask
from unistyle.files.tensors import to_tensor
from unistyle.maths.masks import AREA, FULL_FRAME

SIZE = (384, 288)  # width and height in pixels
EDGE = 3  # pixels around the outline of a cut-out that are ignored


def composites(photos: Sequence[LabelledPhoto], count: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """`count` photos `1 3 h w` in [0, 1] with their label maps `h w`, the same for the same photos and seed.

    The ground is a photo whose annotated mask fills the frame; one or two cut-outs of other materials, at 0.4 to 0.7 of
    the frame's sides, lie on it. Labels are 1 + the photos' own. Raises ValueError where there are no such photos.
    """
    areas = [np.asarray(read_mask(photo.mask_path)).mean() / 255 for photo in photos]
    grounds = [p for p, area in zip(photos, areas, strict=True) if area >= FULL_FRAME]
    things = [p for p, area in zip(photos, areas, strict=True) if AREA <= area < 0.8]
    if not grounds or not any(thing.label != ground.label for thing in things for ground in grounds):
        raise ValueError(
            "no composites: wanted photos whose masks fill the frame, and others of another material"
        )
    rng = random.Random(seed)
    for _ in range(count):
        ground = rng.choice(grounds)
        others = [thing for thing in things if thing.label != ground.label]
        chosen = rng.sample(others, min(len(others), rng.choice((1, 2))))
        image = read_image(ground.path).resize(SIZE, Image.Resampling.BICUBIC)
        label = np.full(SIZE[::-1], 1 + ground.label, np.uint8)
        for thing in chosen:
            _lay(image, label, thing, rng)
        yield to_tensor(image)[None], torch.from_numpy(label)


def _lay(image: Image.Image, label: np.ndarray, thing: LabelledPhoto, rng: random.Random) -> None:
    """Lay a cut-out at a random place and size, in place."""
    photo, mask = read_image(thing.path), read_mask(thing.mask_path)
    box = mask.point(lambda value: 255 * (value > 127)).getbbox()
    photo, mask = photo.crop(box), mask.crop(box)
    scale = rng.uniform(0.4, 0.7) * min(SIZE[0] / photo.width, SIZE[1] / photo.height)
    size = [max(8, round(side * scale)) for side in photo.size]
    photo, mask = photo.resize(size, Image.Resampling.BICUBIC), mask.resize(size, Image.Resampling.BILINEAR)
    left, top = (rng.randrange(whole - side + 1) for whole, side in zip(SIZE, size, strict=True))
    image.paste(photo, (left, top), mask)
    inside = np.zeros(label.shape, bool)
    inside[top : top + size[1], left : left + size[0]] = np.asarray(mask) > 127
    wide = torch.from_numpy(inside)[None, None].float()
    pool = torch.nn.functional.max_pool2d
    near = pool(wide, 2 * EDGE + 1, 1, EDGE), pool(1 - wide, 2 * EDGE + 1, 1, EDGE)
    edge = (near[0] * near[1])[0, 0].bool().numpy()
    label[inside] = 1 + thing.label
    label[edge] = 255
