"""Swatches: all that styles are. A code of statistics, and a sample of the material itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

TILE = 256  # pixels a side of a sample


@dataclass(frozen=True)
class Swatches:
    """Several swatches, or for each photo of a batch one for each region: all tensors begin with the same sides."""

    codes: Tensor
    """Style codes `... d`, fp32."""

    tiles: Tensor
    """Samples that repeat without a seam, uint8 `... 3 TILE TILE`; black where there is none."""

    structure: Tensor
    """How much of its sample a style asks for, `...` in [0, 1]; 0 where there is none."""

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows) -> "Swatches":
        return self.each(lambda x: x[rows])

    @property
    def tensors(self) -> list[Tensor]:
        """Codes, tiles and structure."""
        return [getattr(self, field.name) for field in fields(self)]

    def each(self, function: Callable[[Tensor], Tensor]) -> "Swatches":
        """The swatches with a function of every tensor."""
        return Swatches(*map(function, self.tensors))

    def asked(self, structure: float | None) -> "Swatches":
        """The swatches with another `structure` where there is a sample; None: their own."""
        if structure is None:
            return self
        return Swatches(self.codes, self.tiles, (self.structure > 0).float() * structure)


def without_samples(codes: Tensor) -> Swatches:
    """Swatches of codes `n d` alone."""
    tiles = torch.zeros(1, 3, TILE, TILE, dtype=torch.uint8).expand(len(codes), -1, -1, -1)
    return Swatches(codes, tiles, torch.zeros(len(codes)))


def together(parts: Sequence[Swatches], join: Callable[[list[Tensor]], Tensor] = torch.cat) -> Swatches:
    """Several sets of swatches as one: `torch.cat`, or another way to join their tensors."""
    return Swatches(*map(join, map(list, zip(*(part.tensors for part in parts), strict=True))))
