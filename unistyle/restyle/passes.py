"""The network on stacks of photos: in one pass, or in tiles."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

import torch
from einops import einsum
from torch import Tensor

from unistyle.devices import map_on_cores
from unistyle.files.tensors import as_float
from unistyle.maths.resizing import resize_regions
from unistyle.network.fuse import Laid, lay_over
from unistyle.network.laying import Samples
from unistyle.network.model import UniStyleNetwork
from unistyle.network.stylizer import Regions
from unistyle.restyle.limit import Limit
from unistyle.restyle.options import MAX_SIZE, Look
from unistyle.restyle.plan import Plan, choose
from unistyle.restyle.stack import Stack, as_seen
from unistyle.restyle.tiles import restyle_in_tiles
from unistyle.styles.swatches import Swatches

FOUND = 0.01  # share of the frame from which a material counts as found
Chosen = list[list[int]]  # for each photo, the row of the chosen style of each target


class Restyled(NamedTuple):
    """What the network gave."""

    found: Tensor
    """Shares of the materials, `b 2m . .` in [0, 1]: of the main object, then elsewhere."""

    regions: Tensor
    """The plan's regions, `b k . .` in [0, 1]."""

    chosen: Chosen
    """The styles that were chosen."""

    image: Tensor
    """The stylizer's picture of the photos at their working size, `b 3 . .`: float in [0, 1], or uint8."""

    laid: Laid | None
    """What is laid over them; None: nothing."""


class FrameMemory(Protocol):
    """What a pass keeps for the next one, such as from frame to frame of a video (`unistyle.video.memory`)."""

    def found(self, photo: Tensor, found: Tensor) -> Tensor:
        """Found places `b 2m h w` of photos `b 3 H W` in [0, 1] -> those to take."""

    def choose(self, swatches: Swatches, chosen: Chosen, there: Sequence[bool]) -> tuple[Swatches, Chosen]:
        """Swatches `b k` and rows of the styles that were chosen -> those to take. there: whether each region has
        something in these photos."""

    def regions(self, regions: Tensor, noise: Tensor) -> Regions:
        """Regions `b k h w` for the stylizer, with its noise."""

    def moved(self) -> tuple[float, float]:
        """By how much the picture has moved up and left so far, as shares of its sides."""


class NoMemory:
    """For photos, which have nothing to do with each other: everything is handed back as it is given."""

    def found(self, photo: Tensor, found: Tensor) -> Tensor:
        return found

    def choose(self, swatches: Swatches, chosen: Chosen, there: Sequence[bool]) -> tuple[Swatches, Chosen]:
        return swatches, chosen

    def regions(self, regions: Tensor, noise: Tensor) -> Regions:
        return Regions(regions, noise)

    def moved(self) -> tuple[float, float]:
        return 0.0, 0.0


class Passes:
    """Runs the network on a device, with its convolutions in a precision."""

    def __init__(
        self,
        network: UniStyleNetwork,
        device: torch.device,
        dtype: torch.dtype,
        limit: Limit,
        reduced: int = MAX_SIZE,
        in_tiles: Callable[..., Tensor] = restyle_in_tiles,
    ):
        """limit: photos of more pixels go in tiles. reduced: pixels of the short side at which the materials of such
        photos are found. in_tiles: as `restyle_in_tiles`."""
        self.network, self.device, self.dtype, self.limit = network, device, dtype, limit
        self.reduced, self.in_tiles = reduced, in_tiles

    def autocast(self) -> torch.autocast:
        """The context in which the network runs in its precision. It holds for one thread."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)

    def run(self, photo: Tensor, stack: Stack, plan: Plan, look: Look, memory: FrameMemory) -> Restyled:
        """Restyle photos, uint8 `b 3 h w` at their working size. stack: the same photos at full size."""
        whole = photo[:, 0].numel() <= self.limit.pixels
        seen = as_float(photo if whole else as_seen(photo, self.reduced))
        stylizer = self.network.stylizer
        with self.autocast():
            features, logits = self.network.find(seen)
            found = self.opaque(stack, memory.found(seen, self.network.places(logits)))
            regions = self._regions(stack, plan, found, seen.shape[-2:])
            swatches, chosen = choose(stylizer.encode(features, regions), plan, stylizer.levels)
            swatches, chosen = memory.choose(swatches, chosen, (regions.mean((0, 2, 3)) >= FOUND).tolist())
            if whole:
                w = memory.regions(regions, stylizer.noise)
                restyled = stylizer(features, w, swatches.codes, seen.shape[-2:])
            else:
                restyled = self._tiled(photo, regions, swatches.codes)
        asked = swatches.asked(look.structure)
        laid = None
        if asked.structure.any():
            # Of what goes in tiles a reduced picture says what wins, and what is finer follows.
            own = restyled if whole else as_float(as_seen(restyled, self.reduced))
            samples = Samples(as_float(asked.tiles), asked.structure, look.texture_scale)
            laid = lay_over(seen, own, regions, samples, memory.moved())
        return Restyled(found, regions, chosen, restyled, laid)

    def map(self, function: Callable, *items: Iterable) -> Iterable:
        """`map` over tiles: on a CPU a core each, on an accelerator one after the other."""
        if self.device.type != "cpu":
            return map(function, *items)

        def run(*item):
            with torch.inference_mode(), self.autocast():  # which hold for one thread
                return function(*item)

        return map_on_cores(run, *items)

    def _tiled(self, photos: Tensor, regions: Tensor, codes: Tensor) -> Tensor:
        each = zip(photos.split(1), regions.split(1), codes.split(1), strict=True)
        return torch.cat([self.in_tiles(self.network, *one, run=self.map) for one in each])

    def opaque(self, stack: Stack, found: Tensor) -> Tensor:
        """What is transparent is neither restyled nor part of the region's statistics."""
        if stack.visible is None:
            return found
        return found * resize_regions(as_float(stack.visible), found.shape[-2:])

    def _regions(self, stack: Stack, plan: Plan, found: Tensor, size: Sequence[int]) -> Tensor:
        """The plan's regions `b k h w`: of the given mask at this size, or of what was found."""
        if stack.mask is not None:
            mask = as_float(stack.mask)
            return resize_regions(mask if stack.visible is None else mask * (stack.visible > 0), size)
        routes = found.new_zeros(found.shape[1], len(plan))
        for k, target in enumerate(plan):
            routes[list(target.places), k] = 1
        return einsum(found, routes, "b m h w, m k -> b k h w")
