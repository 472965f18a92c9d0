"""What a photo is made of, and where its main object is, without restyling it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from unistyle.files.photos import Photo
from unistyle.files.tensors import as_float, to_pil
from unistyle.restyle.options import MAX_SIZE
from unistyle.restyle.overlay import at_full_size
from unistyle.restyle.passes import FOUND, Passes
from unistyle.restyle.stack import as_seen, opaque, smallest, stack_photos

MAIN = 128  # added to the index of what belongs to the main object
COLORS = (
    "#e6194b", "#3cb44b", "#4363d8", "#f58231", "#ffe119",
    "#9a6324", "#f032e6", "#911eb4", "#42d4f4", "#469990",
)  # fmt: skip


@dataclass(frozen=True)
class Found:
    """What is found in a photo.

    >>> from unistyle import UniStyle
    >>> from unistyle.files.samples import sample_photo
    >>> model = UniStyle.from_pretrained("checkpoints/unistyle-materials.safetensors", device="cpu")
    >>> found = model.find(sample_photo())
    >>> found.main.size, found.main.mode, set(found.masks) <= set(model.materials)
    ((600, 400), 'L', True)
    """

    masks: dict[str, Image.Image]
    """Material -> where it is, on the main object or not: 8-bit grey, of the photo's size. Every material of at least
    1 % of the frame is in it, in the order of the vocabulary."""

    main: Image.Image
    """Where the main object is, whatever it is made of: 8-bit grey, of the photo's size."""

    materials: dict[str, float]
    """Material -> its share of the frame, in [0, 1]."""


@torch.inference_mode()
def find(passes: Passes, photo: Photo) -> Found:
    """What is found in one photo of any size."""
    names = passes.network.config.materials
    width, height = photo.size
    stack = stack_photos([photo], None, smallest(width, height)).to(passes.device)
    small = as_seen(opaque(stack), MAX_SIZE)
    with passes.autocast():
        _, logits = passes.network.find(as_float(small))
    materials, main = (passes.opaque(stack, w) for w in passes.network.found(logits))
    shares = materials.mean((0, 2, 3)).tolist()
    found = {name: share for name, share in zip(names, shares, strict=True) if share >= FOUND}

    def picture(region: torch.Tensor) -> Image.Image:
        alpha = at_full_size(stack, small, region, passes.map)
        return to_pil(alpha[0, :, :height, :width])

    masks = {name: picture(materials[:, [names.index(name)]]) for name in found}
    return Found(masks, picture(main), found)


def indexed(found: Found, materials: Sequence[str]) -> Image.Image:
    """One picture of both answers, of mode P: 0 for other, 1 + the row of a material of the vocabulary, and MAIN more
    on the main object. Where materials meet, the larger share decides."""
    width, height = found.main.size
    rest = np.full((height, width), 127, np.uint8)
    index = np.zeros((height, width), np.uint8)
    for name, mask in found.masks.items():
        share = np.asarray(mask)
        index[share > rest] = 1 + materials.index(name)
        rest = np.maximum(rest, share)
    picture = Image.fromarray(index + MAIN * (np.asarray(found.main) > 127).astype(np.uint8))
    picture.putpalette(palette(len(materials)))
    return picture


def palette(materials: int) -> bytes:
    """Colours of the indices of `indexed`: those of the main object in full, those around it at half their strength."""
    colors = [(128, 128, 128), *(_rgb(COLORS[i % len(COLORS)]) for i in range(materials))]
    half = [tuple(value // 2 for value in color) for color in [(0, 0, 0), *colors[1:]]]
    gap = [(0, 0, 0)] * (MAIN - len(colors))
    return bytes(value for color in [*half, *gap, *colors, *gap] for value in color)


def legend(materials: Sequence[str]) -> str:
    """The indices of `indexed` in words, one line each."""
    names = ["other", *materials]
    lines = [f"{i} {name}" for i, name in enumerate(names)]
    return "\n".join([*lines, *(f"{MAIN + i} {name}, main object" for i, name in enumerate(names))]) + "\n"


def _rgb(color: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(color[1:]))
