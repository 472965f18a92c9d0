"""The samples of swatches in a file: `tiles`, uint8 `s 3 t t`, a row for each swatch that has one, and `structure`, a
number in [0, 1] for each swatch, 0 where it has none. A file whose swatches have none has neither."""

import torch
from torch import Tensor

from unistyle.styles.swatches import TILE, Swatches, without_samples


def sample_tensors(swatches: Swatches, prefix: str = "") -> dict[str, Tensor]:
    """What a file holds besides the codes."""
    there = swatches.structure > 0
    if not there.any():
        return {}
    tiles = swatches.tiles[there].contiguous()
    return {f"{prefix}tiles": tiles, f"{prefix}structure": swatches.structure.float().contiguous()}


def with_samples(codes: Tensor, tensors: dict[str, Tensor], prefix: str = "") -> Swatches:
    """The swatches of codes `n d` and of what `sample_tensors` gave, which is taken out of `tensors`. Raises ValueError
    where the two do not fit."""
    tiles, structure = (tensors.pop(f"{prefix}{name}", None) for name in ("tiles", "structure"))
    empty = without_samples(codes)
    if tiles is None and structure is None:
        return empty
    if structure is None or structure.shape != codes.shape[:1] or not structure.is_floating_point():
        raise ValueError(
            f"samples without a structure for each of {len(codes)} swatches: {_about(structure)}"
        )
    if not ((structure >= 0) & (structure <= 1)).all():
        raise ValueError("the structure of a swatch is not between 0 and 1")
    there = structure > 0
    wanted = (int(there.sum()), 3, TILE, TILE)
    if tiles is None or tiles.dtype != torch.uint8 or tuple(tiles.shape) != wanted:
        raise ValueError(f"samples {_about(tiles)}; wanted {wanted} of torch.uint8")
    full = empty.tiles.clone()
    full[there] = tiles
    return Swatches(codes, full, structure)


def _about(tensor: Tensor | None) -> str:
    return "none" if tensor is None else f"of shape {tuple(tensor.shape)} and {tensor.dtype}"
