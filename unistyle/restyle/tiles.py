"""Photos too large for one pass: tiles that share the statistics of the whole photo.

One place of a photo depends on all the others through one thing alone: the moments of the regions, at each regional
AdaIN. They are measured on the tiles, one layer after the other, because each layer's moments depend on those before
it. Where there are many tiles, a sample of them is measured. Then every tile is restyled with the same moments, and
none can be told from its neighbours. The moments of a reduced copy would be quicker, but they are those of another
scale (`python -m benchmarks.large`).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from einops import reduce
from torch import Tensor

from unistyle.maths.features import EPS, moments
from unistyle.maths.resizing import part_of
from unistyle.network.encoder import STRIDES
from unistyle.network.model import UniStyleNetwork
from unistyle.network.stylizer import Regions

GRID = STRIDES[-1]  # tiles begin at multiples of the deepest stride, so that every layer sees the same grid
CORE = 1024  # pixels per side that a tile writes
HALO = 96  # pixels around them that it sees besides: what reaches farther does not show
SAMPLE = 12  # tiles to measure: all of a photo of 3840 x 2160, and of larger ones as much in smaller pieces

Moments = tuple[Tensor, Tensor]  # mean and standard deviation, `b k c`
Map = Callable[..., Iterable]  # as the builtin `map`


class Tile(NamedTuple):
    """A part of a photo that is written, and the window around it that is seen; each (from, to) in pixels."""

    rows: tuple[int, int]
    columns: tuple[int, int]
    seen_rows: tuple[int, int]
    seen_columns: tuple[int, int]

    def inside(self, size: Sequence[int]) -> tuple[slice, slice]:
        """Where the core lies in the window's features of a (height, width)."""
        sides = zip((self.rows, self.columns), (self.seen_rows, self.seen_columns), size, strict=True)
        rows, columns = (
            slice(*((edge - seen[0]) * n // (seen[1] - seen[0]) for edge in core)) for core, seen, n in sides
        )
        return rows, columns


def tiles(height: int, width: int, core: int = CORE, halo: int = HALO) -> Iterator[Tile]:
    """Tiles that cover a photo, each pixel once. Windows end at multiples of GRID, beyond the photo if need be."""
    end = [-(-side // GRID) * GRID for side in (height, width)]
    for top in range(0, height, core):
        for left in range(0, width, core):
            cores = [(start, min(start + core, side)) for start, side in zip((top, left), end, strict=True)]
            seen = [(max(0, a - halo), min(b + halo, side)) for (a, b), side in zip(cores, end, strict=True)]
            yield Tile(*cores, *seen)


class _NeedMomentsError(Exception):
    """Ends a tile's pass at the first AdaIN whose moments are not known, with the area `b k 1` and moments."""


class _TileRegions(Regions):
    """Regions of a tile that answer with the moments of the photo, as far as they are known, AdaIN by AdaIN."""

    def __init__(self, w: Tensor, noise: Tensor, tile: Tile, known: list[Moments]):
        super().__init__(w, noise)
        self.tile, self.rest = tile, iter(known)

    def moments(self, f: Tensor) -> Moments:
        for answer in self.rest:
            return answer
        rows, columns = self.tile.inside(f.shape[-2:])
        w, f = self.at(f.shape[-2:])[..., rows, columns], f[..., rows, columns]
        raise _NeedMomentsError(reduce(w.float(), "b k h w -> b k 1", "sum"), *moments(f, w))

    def offset(self, size) -> tuple[int, int]:
        seen = self.tile.seen_rows, self.tile.seen_columns
        return tuple(first * n // (last - first) for (first, last), n in zip(seen, size, strict=True))


def merged(parts: Iterable[tuple[Tensor, Tensor, Tensor]]) -> Moments:
    """The moments of a photo from the areas and moments of its tiles."""
    area, mean, std = (torch.stack(part) for part in zip(*parts, strict=True))
    share = area / area.sum(0).clamp_min(EPS)
    whole = (share * mean).sum(0)
    return whole, (share * (std.square() + (mean - whole).square())).sum(0).sqrt()


class _Tiled:
    """A photo, its regions and style codes, tile by tile."""

    def __init__(self, network: UniStyleNetwork, photo: Tensor, regions: Tensor, codes: Tensor):
        self.network, self.photo, self.regions, self.codes = network, photo, regions, codes
        self.size: Sequence[int] = photo.shape[-2:]

    def region(self, tile: Tile) -> Tensor:
        """The tile's regions at the finest stride of the features."""
        size = [-(-side // STRIDES[0]) for side in self.size]
        rows, columns = ((a // STRIDES[0], b // STRIDES[0]) for a, b in (tile.seen_rows, tile.seen_columns))
        return part_of(self.regions, size, rows, columns)

    def covered(self, core: int, halo: int) -> list[Tile]:
        """Tiles with something of a region."""
        height, width = self.size
        return [tile for tile in tiles(height, width, core, halo) if self.region(tile).any()]

    def features(self, tile: Tile) -> list[Tensor]:
        x = part_of(self.photo, self.size, tile.seen_rows, tile.seen_columns)
        return self.network.encoder(
            x.contiguous(memory_format=torch.channels_last).float() / 255, shallow=True
        )

    def restyle(self, tile: Tile, features: list[Tensor], known: list[Moments]) -> Tensor:
        regions = _TileRegions(self.region(tile), self.network.stylizer.noise, tile, known)
        size = [last - first for first, last in (tile.seen_rows, tile.seen_columns)]
        return self.network.stylizer(features, regions, self.codes, size)

    def measure(self, sample: list[Tile], run: Map) -> list[Moments]:
        """The moments at each AdaIN of the stylizer, in order."""
        features = list(run(self.features, sample))
        known: list[Moments] = []

        def next_layer(tile: Tile, own: list[Tensor]) -> tuple | None:
            try:
                self.restyle(tile, own, known)
            except _NeedMomentsError as found:
                return found.args
            return None

        while all(found := list(run(next_layer, sample, features))):
            known.append(merged(found))
        return known


def _spread(parts: list[Tile], count: int) -> list[Tile]:
    """At most so many tiles from all over; steps of the golden ratio, which keep no pace with rows or columns."""
    order = sorted(range(len(parts)), key=lambda i: i * 0.6180339887 % 1)
    return [parts[i] for i in order[:count]]


@torch.inference_mode()
def restyle_in_tiles(
    network: UniStyleNetwork,
    photo: Tensor,
    regions: Tensor,
    codes: Tensor,
    run: Map = map,
    core: int = CORE,
    halo: int = HALO,
    sample: int = SAMPLE,
) -> Tensor:
    """The restyled photo, uint8 `b 3 h w`, without ever holding the features of the whole.

    photo: uint8 `b 3 h w`; regions: `b k . .` of any size; codes: `b k d`. run: `map`, or a parallel one. core and
    halo: pixels, core a multiple of 128, halo of 32; sample: as many tiles are measured. Where no region is, the
    photo is returned.
    """
    whole, result = _Tiled(network, photo, regions, codes), photo.clone()
    seen = whole.covered(core, halo)
    if not seen:
        return result
    few = seen if len(seen) <= sample else _spread(whole.covered(core // 4, halo), 16 * sample)
    known = whole.measure(few, run)

    def write(tile: Tile) -> None:
        restyled = whole.restyle(tile, whole.features(tile), known)
        place = result[..., slice(*tile.rows), slice(*tile.columns)]  # which ends with the photo
        rows, columns = tile.inside(restyled.shape[-2:])
        inside = restyled[..., rows, columns]
        place.copy_((inside[..., : place.shape[-2], : place.shape[-1]].float() * 255).round())

    for _ in run(write, seen):
        pass
    return result
