"""The sample of a material in a style photo: the largest rectangle inside the style's region, without its light,
quilted to a tile."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from unistyle.files.photos import Photo
from unistyle.maths.features import luminance
from unistyle.maths.resizing import resize_regions, to_size
from unistyle.network.model import UniStyleNetwork
from unistyle.styles.codes import style_view
from unistyle.styles.quilting import quilt
from unistyle.styles.swatches import TILE, Swatches, without_samples

SMALLEST = 36  # pixels a side of a rectangle that shows a texture
SLIMMEST = 2  # how many times as long as wide a rectangle counts in full
DARKEST = 0.05  # luminance of the light, in [0, 1], at least
RELIGHT = 2.0  # a place is made lighter or darker by this factor at most


def swatch_of(
    network: UniStyleNetwork, photo: Photo | Image.Image, mask: Image.Image | None = None
) -> Swatches:
    """The one swatch of a style photo, seen as in `style_view`, by default inside the region that the segmenter
    finds; on the CPU."""
    code, image, region = read_style(network, photo, mask)
    return swatch(code, sample_of(image, region))


@torch.inference_mode()
def read_style(
    network: UniStyleNetwork, photo: Photo | Image.Image, mask: Image.Image | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """The same but for the sample: its code `1 d`, on the CPU, and what that is of, the picture `1 3 h w` in [0, 1] and
    the style's region `1 1 h w`."""
    device = next(network.parameters()).device
    image, region = style_view(photo, mask)
    image, region = image.to(device), None if region is None else region.to(device)
    if region is None:
        region = network.style_region(network.find(image)[1])
    code = network.encode_style(image, region)[0].float().cpu().clone()
    return code, image, resize_regions(region.float(), image.shape[-2:])


def swatch(code: Tensor, tile: Tensor | None) -> Swatches:
    """One swatch of a code `1 d`, and of a tile if there is one."""
    if tile is None:
        return without_samples(code)
    return Swatches(code, tile[None], torch.ones(1))


def sample_of(image: Tensor, region: Tensor) -> Tensor | None:
    """A style photo `1 3 h w` in [0, 1] and the style's region `1 1 h w` -> a tile, uint8 `3 TILE TILE`. None where the
    region has no rectangle of SMALLEST pixels a side."""
    picture = rectangle_of(image, region)
    return None if picture is None else (quilt(picture, TILE)[0] * 255).round().byte()


def rectangle_of(image: Tensor, region: Tensor) -> Tensor | None:
    """The material alone, `1 3 h w` in [0, 1]: the largest rectangle inside the region, evenly lit; None as in
    `sample_of`."""
    inside = largest_rectangle((region[0, 0] > 0.5).cpu().numpy())
    if inside is None or min(side.stop - side.start for side in inside) < SMALLEST:
        return None
    rows, columns = inside
    return evenly_lit(image[..., rows, columns].cpu())


def evenly_lit(picture: Tensor) -> Tensor:
    """A picture `1 3 h w` in [0, 1] without the light that falls on it: its luminance over a quarter of the short
    side is divided out."""
    light = luminance(picture)
    grid = [max(2, round(4 * side / min(light.shape[-2:]))) for side in light.shape[-2:]]
    smooth = to_size(resize_regions(light, grid), light.shape[-2:])
    return (picture * (light.mean() / smooth.clamp_min(DARKEST)).clamp(1 / RELIGHT, RELIGHT)).clamp(0, 1)


def largest_rectangle(inside: np.ndarray) -> tuple[slice, slice] | None:
    """Rows and columns of the largest rectangle in which all of `inside` (h w, bool) is true; a slim one counts as much
    as its part of SLIMMEST to 1. None where nothing is true.

    It is found row by row, from the heights of the columns that end there, as the largest rectangle under a histogram.
    """
    best, found, heights = 0, None, np.zeros(inside.shape[1], int)
    for row, now in enumerate(inside):
        heights = np.where(now, heights + 1, 0)
        open_at: list[tuple[int, int]] = []  # first column and height of each rectangle that may still grow
        for column, height in enumerate([*heights.tolist(), 0]):
            start = column
            while open_at and open_at[-1][1] > height:
                start, tall = open_at.pop()
                wide = column - start
                score = min(tall, SLIMMEST * wide) * min(wide, SLIMMEST * tall)
                if score > best:
                    best, found = score, (slice(row - tall + 1, row + 1), slice(start, column))
            if height and (not open_at or open_at[-1][1] < height):
                open_at.append((start, height))
    return found
