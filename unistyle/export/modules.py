"""The network's pass in operations that export."""

from collections.abc import Sequence

import torch
from einops import einsum, reduce
from torch import Tensor, nn

from unistyle.checkpoint.checkpoint import Checkpoint
from unistyle.maths.exportable import resize_regions, shrink
from unistyle.network.composite import composite, guided_upsample
from unistyle.network.model import SIGHT, SMALLEST, UniStyleNetwork
from unistyle.network.stylizer import Regions
from unistyle.styles.codes import nearest

LARGEST = 2**14  # pixels a side; far beyond what memory holds, but a program's sizes need bounds


class _FreeRegions(Regions):
    """Regions whose sizes and number are symbols, so that nothing can be looked up by them or decided on them."""

    def __init__(self, w: Tensor, noise: Tensor):
        self.full, self.noise = w, noise

    def at(self, size: Sequence[int]) -> Tensor:
        return resize_regions(self.full, size)

    def share(self, w: Tensor) -> Tensor:
        return w


def _seen_size(size: Sequence[int]) -> list[int]:
    """The size at which `UniStyleNetwork.find` looks for materials, for a photo whose size may be symbols."""
    sides = torch.stack([torch.scalar_tensor(side, dtype=torch.float64) for side in size])
    seen = (sides * (SIGHT / sides.min()).clamp(max=1)).round().long().tolist()
    for side in seen:
        torch._check(side >= SMALLEST)
        torch._check(side <= LARGEST)
    return seen


class OnePass(nn.Module):
    """The network's pass in operations that export.

    photo: `b 3 h w` in [0, 1]; codes: `b k d`; routes: `2m k`, 1 where a place goes to region k: the materials of the
    main object, then those of everything else -> image `b 3 h w`, alpha `b 1 h w`.
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
        self, photo: Tensor, features: list[Tensor], regions: Tensor, codes: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The photo, its features, regions `b k . .` and codes `b k d` -> image, alpha."""
        stylizer = self.network.stylizer
        restyled = stylizer(features, _FreeRegions(regions, stylizer.noise), codes, tuple(photo.shape[-2:]))
        total = reduce(regions, "b k h w -> b 1 h w", "sum")
        alpha = guided_upsample(total, photo).clamp(0, 1)
        return composite(photo, restyled, alpha), alpha

    def forward(self, photo: Tensor, codes: Tensor, routes: Tensor) -> tuple[Tensor, Tensor]:
        features, found = self.find(photo)
        return self.render(photo, features, einsum(found, routes, "b m h w, m k -> b k h w"), codes)


class OneStyle(OnePass):
    """Every material of the main object becomes one style, by the exemplar whose code (of candidates `n d`) is nearest
    to the photo's own.

    photo: `b 3 h w` in [0, 1] -> image `b 3 h w`, alpha `b 1 h w`.
    """

    candidates: Tensor

    def __init__(self, network: UniStyleNetwork, candidates: Tensor):
        super().__init__(network)
        self.register_buffer("candidates", candidates)

    def forward(self, photo: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]  # the style is inside
        features, found = self.find(photo)
        count = len(self.network.config.materials)
        regions = reduce(found[:, :count], "b m h w -> b 1 h w", "sum")
        stylizer = self.network.stylizer
        row = nearest(stylizer.encode(features, regions), self.candidates, stylizer.levels)
        return self.render(photo, features, regions, self.candidates[row])


def one_pass(checkpoint: Checkpoint, to: str | None = None) -> OnePass:
    """The module to export. to: a style of the bank or one exemplar of it, that the program holds; by default the
    program takes codes. Raises UnknownNameError."""
    if to is None:
        return OnePass(checkpoint.network)
    return OneStyle(checkpoint.network, checkpoint.bank.codes[checkpoint.bank.find(to)])
