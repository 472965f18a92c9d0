"""The restyled picture laid over the photo, at the photo's own size."""

from collections.abc import Callable

import torch
from einops import reduce
from torch import Tensor

from unistyle.files.tensors import as_bytes, as_float
from unistyle.maths.resizing import part_of
from unistyle.network.composite import composite, guided_apply, guided_model
from unistyle.restyle.options import MAX_SIZE
from unistyle.restyle.passes import Restyled
from unistyle.restyle.stack import Stack, as_seen
from unistyle.restyle.tiles import Map

BAND = 2**21  # pixels of a photo that are laid over it at a time

Span = tuple[int, int]  # the first row or column, and the one after the last


def overlay(
    stack: Stack,
    small: Tensor,
    done: Restyled,
    strength: float,
    keep_color: bool,
    run: Map = map,
    band: int = BAND,
) -> tuple[Tensor, Tensor]:
    """The restyled photos, uint8 `b 3 h w`, and how much of each pixel was restyled, uint8 `b 1 h w`.

    small: the photos at their working size, uint8, which guide the edges of the mask. strength: 0 leaves the photo,
    1 is the full style. keep_color: keep the photo's colours. run: `map`, or a parallel one, over bands of rows.
    band: pixels of one band; so much is in memory as float numbers for each that runs at the same time.
    """
    size = height, width = stack.rgb.shape[-2:]
    image, alpha = torch.empty_like(stack.rgb), torch.empty_like(stack.rgb[:, :1])
    weights = _weights(stack, small, done.regions)
    sharper = small.shape != stack.rgb.shape  # than the network saw it, so that what it changed is enlarged
    own = _float(done.image) - as_float(small) if sharper else done.image

    def lay(top: int) -> None:
        rows, columns = (top, min(top + step, height)), (0, width)
        here = slice(*rows)
        photo = as_float(stack.rgb[..., here, :])
        alpha[..., here, :] = as_bytes(weights(photo, rows, columns))
        restyled = _float(part_of(own, size, rows, columns, cubic=True))
        if sharper:
            restyled = photo + restyled
        if done.laid:
            restyled = done.laid.over(restyled, size, rows, columns)
        # Of 8 bits, so that the photo is untouched wherever the mask that is returned is 0.
        w = as_float(alpha[..., here, :])
        image[..., here, :] = as_bytes(composite(photo, restyled.clamp(0, 1), w, strength, keep_color))

    step = max(1, min(height, band // (width * len(image))))
    for _ in run(lay, range(0, height, step)):
        pass
    return image, alpha


def _float(image: Tensor) -> Tensor:
    """A picture, uint8 or float, in [0, 1]."""
    return as_float(image) if image.dtype == torch.uint8 else image.float()


def at_full_size(stack: Stack, small: Tensor, region: Tensor, run: Map = map, band: int = BAND) -> Tensor:
    """A region `b 1 h w` in [0, 1] at the photos' own size, uint8 `b 1 H W`, with its edges drawn along theirs. small,
    run, band: as in `overlay`."""
    height, width = stack.rgb.shape[-2:]
    alpha, weights = torch.empty_like(stack.rgb[:, :1]), _weights(stack, small, region)
    step = max(1, min(height, band // (width * len(alpha))))

    def draw(top: int) -> None:
        rows = top, min(top + step, height)
        here = slice(*rows)
        alpha[..., here, :] = as_bytes(weights(as_float(stack.rgb[..., here, :]), rows, (0, width)))

    for _ in run(draw, range(0, height, step)):
        pass
    return alpha


def _weights(stack: Stack, small: Tensor, regions: Tensor) -> Callable[[Tensor, Span, Span], Tensor]:
    """What tells for a part of the photos, float `b 3 . .`, how much of each pixel is restyled, `b 1 . .`.

    It is the given mask, or the found regions with their edges drawn along those of the photo by a guided filter.
    """
    size = stack.rgb.shape[-2:]
    total = reduce(regions, "b k h w -> b 1 h w", "sum")
    model = guided_model(total, as_float(as_seen(small, MAX_SIZE))) if stack.mask is None else ()

    def weights(photo: Tensor, rows: Span, columns: Span) -> Tensor:
        if stack.mask is None:
            a, b = (part_of(part, size, rows, columns) for part in model)
            w = guided_apply(a, b, photo)
        else:
            w = as_float(stack.mask[..., slice(*rows), :])
        return w if stack.visible is None else w * (stack.visible[..., slice(*rows), :] > 0)

    return weights
