"""The stylization decoder: regional AdaIN at three strides, then convolutions to RGB.

A style code is flat, `b k d`: for each of the strides 4, 8 and 16 the means, then the standard deviations, of a
style's features inside the style's own region; after them, the correlations there of a few projections of the
features of each stride. AdaIN gives the moments to the photo's features (Huang and Belongie,
"Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization"). The decoder's convolutions would undo
them, so each is followed by another regional AdaIN, towards moments that a small network reads off the code, as in
StyleGAN (Karras et al., "A Style-Based Generator Architecture", section 2); the correlations tell it which features
go together, which moments alone do not (docs/trials.md has what they give). As there (section 3.2), each convolution
also gets noise, without which a flat place of the photo could only become a flat place of the result.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from einops import reduce
from torch import Tensor, nn

from unistyle.maths.features import correlation, moments, regional_adain
from unistyle.maths.resizing import resize_regions, to_size
from unistyle.network.layers import conv

PROJECTIONS = 24  # of a level's features, whose correlations are part of a code
NOISE_SIDE = 256  # positions after which the noise repeats: 512 pixels of the photo at stride 2


class Noise(nn.Module):
    """White noise that is always the same at the same position, so that a photo always gives the same result.

    It is added in place. Each channel has learned how much it takes, and the AdaIN that follows lets a style turn
    such channels up or down. In training the noise is shifted at random, or the decoder would learn it by heart.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.amount = nn.Parameter(0.2 * torch.randn(channels, 1, 1))

    def forward(self, x: Tensor, tile: Tensor, offset: tuple[int, int] = (0, 0)) -> Tensor:
        """x: `b c h w`. tile: noise of NOISE_SIDE x NOISE_SIDE. offset: rows and columns of the photo's features that
        lie before `x`."""
        rows, columns = (
            torch.arange(side, device=x.device) + before
            for side, before in zip(x.shape[-2:], offset, strict=True)
        )
        if self.training:
            rows, columns = (i + torch.randint(NOISE_SIDE, (1,), device=x.device) for i in (rows, columns))
        noise = tile[(rows % NOISE_SIDE)[:, None], columns % NOISE_SIDE]
        return x.addcmul_(self.amount.to(x.dtype), noise.to(x.dtype))


class StyledConv(nn.Module):
    """Convolution, noise, regional AdaIN towards moments read off the style's embedding, ReLU."""

    def __init__(self, inputs: int, outputs: int, embedding: int):
        super().__init__()
        self.conv = conv(inputs, outputs, "reflect")
        self.noise = Noise(outputs)
        self.moments = nn.Linear(embedding, 2 * outputs)

    def forward(self, x: Tensor, regions: "Regions", style: Tensor) -> Tensor:
        mean, std = self.moments(style).chunk(2, dim=-1)
        x = self.conv(x)
        x = self.noise(x, regions.noise, regions.offset(x.shape[-2:]))
        return regions.adain(x, mean, F.softplus(std + 0.5)).relu_()


class Regions:
    """Regions at every size that a decoder asks for, each size computed once, and the noise of its layers.

    Moments are taken inside the regions; the styles are applied everywhere, shared out where regions meet, so that
    no unstyled feature leaks in along an edge: what lies outside is removed by the composite, not here.
    """

    def __init__(self, w: Tensor, noise: Tensor):
        self.levels: dict[tuple[int, ...], Tensor] = {tuple(w.shape[-2:]): w}
        self.full, self.noise = w, noise

    def at(self, size: Sequence[int]) -> Tensor:
        """The regions at a (height, width)."""
        size = tuple(size)
        if size not in self.levels:
            self.levels[size] = resize_regions(self.full, size)
        return self.levels[size]

    def moments(self, f: Tensor) -> tuple[Tensor, Tensor]:
        """The moments `b k c` that `f` has now. A part of a photo answers with those of the whole (`tiles`)."""
        return moments(f, self.at(f.shape[-2:]))

    def offset(self, size: Sequence[int]) -> tuple[int, int]:
        """How many rows and columns of features of this size lie before the first: none in a whole photo."""
        return 0, 0

    def share(self, w: Tensor) -> Tensor:
        """The regions from which the styles' shares follow. A single region has the whole share everywhere, so one
        position of it is enough."""
        return w[..., :1, :1] if w.shape[1] == 1 else w

    def adain(self, f: Tensor, mean: Tensor, std: Tensor) -> Tensor:
        """Features `b c h w` with the moments `b k c` of each region's style."""
        w = self.at(f.shape[-2:])
        share = self.share(w).float() + 1e-4
        share = share / reduce(share, "b k h w -> b 1 h w", "sum")
        return regional_adain(f, w, mean, std, share, own=self.moments(f))


def split_code(code: Tensor, levels: tuple[int, ...]) -> list[tuple[Tensor, Tensor]]:
    """A flat code `... d` -> mean and standard deviation `... c` of every level; `levels` are their channels."""
    sizes = [2 * n for n in levels]
    return [part.chunk(2, dim=-1) for part in code[..., : sum(sizes)].split(sizes, dim=-1)]


class Stylizer(nn.Module):
    """Features at strides 4, 8, 16, regions `b k h w` and style codes `b k d` -> restyled RGB `b 3 H W` in [0, 1]."""

    pairs: Tensor
    noise: Tensor

    def __init__(self, channels: tuple[int, ...], levels=(64, 96, 192), fine: int = 32, embedding: int = 256):
        super().__init__()
        self.levels = tuple(levels)
        # More channels than the backbone has, through a ReLU: their means and standard deviations then say more
        # about the joint distribution of the features than the moments of the features themselves.
        self.adapters = nn.ModuleList(nn.Conv2d(c, n, 1) for c, n in zip(channels, levels, strict=False))
        self.projections = nn.ModuleList(nn.Conv2d(n, PROJECTIONS, 1) for n in levels)
        self.register_buffer("pairs", torch.triu_indices(PROJECTIONS, PROJECTIONS, 1), persistent=False)
        self.norms = nn.ModuleList(nn.LayerNorm(size) for size in self.code_sizes)
        self.embed = nn.Sequential(
            nn.Linear(self.code_size, embedding), nn.ReLU(), nn.Linear(embedding, embedding), nn.ReLU()
        )
        low, middle, deep = levels
        self.bottleneck = nn.ModuleList(StyledConv(deep, deep, embedding) for _ in range(3))
        self.merge8 = StyledConv(deep + middle, middle, embedding)
        self.residual8 = StyledConv(middle, middle, embedding)
        self.refine8 = StyledConv(middle, low, embedding)
        self.merge4 = StyledConv(low + low, low, embedding)
        self.refine4 = StyledConv(low, fine, embedding)
        self.fine2 = StyledConv(fine, fine, embedding)
        # The last step to full size resizes few channels and rectifies them there: what makes the finest grain.
        # Four pixels from one position (pixel shuffle) cost less but leave a grid of period 2 on flat places.
        self.narrow = nn.Conv2d(fine, 8, 1)
        self.to_rgb = conv(8, 3, "reflect")
        self.register_buffer("noise", torch.randn(NOISE_SIDE, NOISE_SIDE))

    @property
    def code_sizes(self) -> tuple[int, int]:
        """How many numbers of a code are moments, and how many are correlations."""
        return 2 * sum(self.levels), len(self.levels) * self.pairs.shape[1]

    @property
    def code_size(self) -> int:
        """How many numbers a code has."""
        return sum(self.code_sizes)

    def adapt(self, features: list[Tensor]) -> list[Tensor]:
        """Encoder features with the stylizer's own number of channels at each level."""
        return [adapter(f).relu() for adapter, f in zip(self.adapters, features, strict=False)]

    def encode(self, features: list[Tensor], w: Tensor) -> Tensor:
        """Encoder features of a style and its regions `b k h w` -> codes `b k d`."""
        code: list[Tensor] = []
        correlations, (rows, columns) = [], self.pairs.unbind()
        for f, project in zip(self.adapt(features), self.projections, strict=True):
            inside = resize_regions(w, f.shape[-2:])
            code += moments(f, inside)
            correlations.append(correlation(project(f), inside)[..., rows, columns])
        return torch.cat(code + correlations, dim=-1)

    def embedding(self, codes: Tensor) -> Tensor:
        """Codes `b k d` -> embeddings `b k e`, which the decoder's convolutions read their moments off."""
        parts = codes.float().split(self.code_sizes, dim=-1)
        return self.embed(torch.cat([norm(p) for norm, p in zip(self.norms, parts, strict=True)], dim=-1))

    def forward(
        self, features: list[Tensor], regions: Tensor | Regions, codes: Tensor, size: Sequence[int]
    ) -> Tensor:
        regions = regions if isinstance(regions, Regions) else Regions(regions, self.noise)
        style = self.embedding(codes)
        parts = zip(self.adapt(features), split_code(codes, self.levels), strict=True)
        four, eight, x = (regions.adain(f, *code) for f, code in parts)
        for block in self.bottleneck:
            x = x + block(x, regions, style)
        x = torch.cat([to_size(x, eight.shape[-2:]), eight], dim=1)
        x = self.merge8(x, regions, style)
        x = self.refine8(x + self.residual8(x, regions, style), regions, style)
        x = torch.cat([to_size(x, four.shape[-2:]), four], dim=1)
        x = self.refine4(self.merge4(x, regions, style), regions, style)
        # Half, rounded up. Of a negative number, as in -(-side // 2), ONNX rounds towards zero.
        x = self.fine2(to_size(x, [(side + 1) // 2 for side in size]), regions, style)
        return self.to_rgb(to_size(self.narrow(x), size).relu_()).sigmoid()
