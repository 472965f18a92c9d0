"""The network's pass in operations that export."""

from collections.abc import Sequence

import torch
from einops import einsum, reduce
from torch import Tensor, nn

from unistyle.checkpoint.checkpoint import Checkpoint
from unistyle.maths.exportable import pooled, resize_regions, shrink
from unistyle.maths.resizing import to_size
from unistyle.network.composite import composite, guided_upsample
from unistyle.network.fuse import LEVELS, alike, decide, fused, structure_of
from unistyle.network.laying import REFERENCE, Samples, laid_picture, shares
from unistyle.network.model import SIGHT, SMALLEST, UniStyleNetwork
from unistyle.network.stylizer import Regions
from unistyle.styles.codes import nearest
from unistyle.styles.swatches import Swatches

LARGEST = 2**14  # pixels a side; far beyond what memory holds, but a program's sizes need bounds


class _FreeRegions(Regions):
    """Regions whose sizes and number are symbols, so that nothing can be decided on them. They are looked up by what is
    written for them, such as `height//4`."""

    def __init__(self, w: Tensor, noise: Tensor):
        self.full, self.noise = w, noise
        self.written: dict[str, Tensor] = {}

    def at(self, size: Sequence[int]) -> Tensor:
        written = " ".join(map(str, size))
        if written not in self.written:
            self.written[written] = resize_regions(self.full, size)
        return self.written[written]

    def share(self, w: Tensor) -> Tensor:
        return w


def _sides(size: Sequence[int]) -> Tensor:
    """A size that may be symbols, as a tensor."""
    return torch.stack([torch.scalar_tensor(side, dtype=torch.float64) for side in size])


def _whole(sides: Tensor, least: int) -> list[int]:
    """A size as whole numbers again, `least` or more."""
    seen = sides.round().long().tolist()
    for side in seen:
        torch._check(side >= least)
        torch._check(side <= LARGEST)
    return seen


def _seen_size(size: Sequence[int]) -> list[int]:
    """The size at which `UniStyleNetwork.find` looks for materials, for a photo whose size may be symbols."""
    sides = _sides(size)
    return _whole(sides * (SIGHT / sides.min()).clamp(max=1), SMALLEST)


def _grids(size: Sequence[int]) -> list[list[int]]:
    """`unistyle.network.fuse.grids_of` of such a photo. Each size has symbols of its own: halves of halves of symbols
    take minutes to reason about."""
    sides = _sides(size)
    sides = (sides * (REFERENCE / sides.max()).clamp(max=1)).round().clamp(min=1)
    grids = [_whole(sides, 1)]
    for _ in range(LEVELS):
        sides = ((sides + 1) / 2).floor()
        grids.append(_whole(sides, 1))
    return grids


def _with_samples(photo: Tensor, own: Tensor, regions: Tensor, tiles: Tensor, structure: Tensor) -> Tensor:
    """The stylizer's picture `b 3 h w` with tiles `b k 3 t t` laid over it, as in `unistyle.network.fuse.lay_over`."""
    samples, share, size = Samples(tiles, structure), shares(regions), own.shape[-2:]
    grids = _grids(size)
    small, large = (
        laid_picture(samples, resize_regions(share, side), side, (0, side[0]), (0, side[1]))
        for side in (grids[0], size)
    )
    a, b = pooled(torch.cat([photo, own], dim=1), grids[0]).chunk(2, dim=1)
    decided = decide(alike(a, b, regions), b, small, structure_of(samples, share), grids)
    return fused(own, large, to_size(decided, size))


class OnePass(nn.Module):
    """The network's pass in operations that export.

    photo: `b 3 h w` in [0, 1]; codes: `b k d`; tiles: `b k 3 t t` in [0, 1]; structure: `b k` in [0, 1]; routes: `2m
    k`, 1 where a place goes to region k: the materials of the main object, then those of everything else -> image
    `b 3 h w`, alpha `b 1 h w`.
    """

    def __init__(self, network: UniStyleNetwork):
        super().__init__()
        self.network = network.requires_grad_(False).eval()

    def find(self, photo: Tensor) -> tuple[list[Tensor], Tensor]:
        """Encoder features, and places `b 2m . .`."""
        # A small photo is encoded twice at the same size, because the choice between the two does not export.
        small = shrink(photo, _seen_size(photo.shape[-2:]))
        logits = self.network.segmenter(self.network.encoder(small))
        return self.network.encoder(photo), self.network.places(logits)

    def render(
        self,
        photo: Tensor,
        features: list[Tensor],
        regions: Tensor,
        codes: Tensor,
        tiles: Tensor,
        structure: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """The photo, its features, regions `b k . .` and the swatches of each -> image, alpha."""
        stylizer = self.network.stylizer
        restyled = stylizer(features, _FreeRegions(regions, stylizer.noise), codes, tuple(photo.shape[-2:]))
        restyled = _with_samples(photo, restyled, regions, tiles, structure)
        total = reduce(regions, "b k h w -> b 1 h w", "sum")
        alpha = guided_upsample(total, photo).clamp(0, 1)
        return composite(photo, restyled, alpha), alpha

    def forward(
        self, photo: Tensor, codes: Tensor, tiles: Tensor, structure: Tensor, routes: Tensor
    ) -> tuple[Tensor, Tensor]:
        features, found = self.find(photo)
        regions = einsum(found, routes, "b m h w, m k -> b k h w")
        return self.render(photo, features, regions, codes, tiles, structure)


class OneStyle(OnePass):
    """Every material of the main object becomes one style, by the exemplar whose code is nearest
    to the photo's own.

    photo: `b 3 h w` in [0, 1] -> image `b 3 h w`, alpha `b 1 h w`.
    """

    codes: Tensor
    tiles: Tensor
    structure: Tensor

    def __init__(self, network: UniStyleNetwork, candidates: Swatches):
        super().__init__(network)
        self.register_buffer("codes", candidates.codes)
        self.register_buffer("tiles", candidates.tiles.clone())
        self.register_buffer("structure", candidates.structure)

    def forward(self, photo: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]  # the style is inside
        features, found = self.find(photo)
        count = len(self.network.config.materials)
        regions = reduce(found[:, :count], "b m h w -> b 1 h w", "sum")
        stylizer = self.network.stylizer
        row = nearest(stylizer.encode(features, regions), self.codes, stylizer.levels)
        tiles = self.tiles[row].float() / 255
        return self.render(photo, features, regions, self.codes[row], tiles, self.structure[row])


def one_pass(checkpoint: Checkpoint, to: str | None = None) -> OnePass:
    """The module to export. to: a style of the bank or one exemplar of it, that the program holds; by default the
    program takes swatches. Raises UnknownNameError."""
    if to is None:
        return OnePass(checkpoint.network)
    return OneStyle(checkpoint.network, checkpoint.bank.swatches[checkpoint.bank.find(to)])
