"""The pairs of photo and style that methods are measured on."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from unistyle.data.labelled import LabelledPhoto, material_photos
from unistyle.data.transfer import Transfer, read_sized
from unistyle.files.photos import read_mask
from unistyle.files.tensors import to_tensor
from unistyle.maths.masks import AREA
from unistyle.maths.resizing import to_size

SIZE = 256  # long side, in pixels, at which styles are compared


class Pair(NamedTuple):
    """A photo, and a photo of another material that is its style."""

    content: LabelledPhoto
    style: LabelledPhoto


def annotated_split(data: Path, split: str) -> list[LabelledPhoto]:
    """The photos that `data/SPLIT.txt` names: `data/image/MATERIAL/STEM.jpg`, each with its annotated mask
    `data/mask/MATERIAL/STEM.png`. Raises what `material_photos` does."""
    return material_photos(data / "image", data / f"{split}.txt", data / "mask")


def photo_name(photo: LabelledPhoto) -> str:
    """MATERIAL/STEM."""
    return f"{photo.path.parent.name}/{photo.path.stem}"


def make_pairs(
    contents: Sequence[LabelledPhoto], styles: Sequence[LabelledPhoto], count: int, seed: int
) -> list[Pair]:
    """`count` pairs, which are the same for the same photos and seed.

    Contents come in turn, each with a random style photo of another material. Both have a region of at least a tenth
    of the frame. Raises ValueError where there are no such photos.
    """
    rng = random.Random(seed)
    contents, styles = (sorted(filter(_large, x), key=lambda p: p.path) for x in (contents, styles))
    if not contents or len({p.label for p in (*contents, *styles)}) < 2:
        raise ValueError("no pairs: wanted photos of two materials with masks above a tenth of the frame")
    rng.shuffle(contents)
    turns = (contents[i % len(contents)] for i in range(count))
    return [Pair(c, rng.choice([s for s in styles if s.label != c.label])) for c in turns]


def _large(photo: LabelledPhoto) -> bool:
    return to_tensor(read_mask(photo.mask_path)).mean().item() >= AREA


def load_pair(pair: Pair, size: int = SIZE) -> Transfer:
    """Photo, style and their annotated regions as tensors. The long sides are at most `size` pixels."""
    (photo, region), (style, style_region) = (read_sized(p.path, p.mask, size) for p in pair)
    return Transfer(photo, style, region, style_region)


def at_longest(x: Tensor, longest: int) -> Tensor:
    """`b c h w` in [0, 1], enlarged or reduced so that the longer side is `longest` pixels."""
    scale = longest / max(x.shape[-2:])
    size = [max(1, round(side * scale)) for side in x.shape[-2:]]
    return to_size(x, size, antialias=scale < 1).clamp(0, 1)


def sized_pair(pair: Pair, longest: int) -> Transfer:
    """A pair with the photo at a size that users have, and the style as it is read from its file."""
    (photo, region), (style, style_region) = (read_sized(p.path, p.mask, 10**9) for p in pair)
    return Transfer(at_longest(photo, longest), style, at_longest(region, longest), style_region)
