"""What is kept from frame to frame of a video, so that it does not flicker: styles, masks and moments.

One frame is restyled the same every time, but two frames are never quite equal. Noise moves the mask and the moments
of its region, and with them the texture of the whole region. Both are therefore averaged over time, and each new frame
has a share. A mask is averaged only where the picture stands still, so that it does not lag behind an object that
moves. The stylizer's noise, which becomes texture, moves with the picture as a whole. Left where it is, texture would
stand still like dirt on the lens while the camera moves.
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import count

import torch
import torch.nn.functional as F
from einops import reduce
from torch import Tensor

from unistyle.maths.features import luminance
from unistyle.maths.resizing import resize_regions
from unistyle.network.stylizer import Regions
from unistyle.styles.swatches import Swatches, together

SMOOTHING = 0.8  # of an average, the part that stays at the next frame; `python -m benchmarks.flicker`
# Change of a place's colour, in [0, 1], at which a third of the average stays. The noise of a camera, averaged over
# the pixels of a place of the mask, is well below it.
MOVES = 0.03
THUMBNAIL = 32  # places per side of the luminance that tells a cut
# A frame begins another scene where places differ by this share of their contrast, which motion may do as well, and
# this share of the histogram is another, which motion does not do. Both held for all of 80 pairs of photos, and for one
# of 80 photos that moved by a tenth of its width in one frame.
CUT, CUT_HISTOGRAM = 0.3, 0.15
BINS = 16
# A frame follows the one before by a shift if that leaves less than this of their difference. Where only parts move, or
# it is turned or enlarged, no shift does.
FOLLOWS = 0.6
NOTHING = 1e-6  # of the frame: what a region weighs at least, so that of an empty one finite moments are left


class _Average:
    """Exponential averages of tensors. Each new value counts by its worth; what stays equal stays so to the bit."""

    def __init__(self, smoothing: float):
        self.smoothing = smoothing
        self.weight: Tensor | float = 0.0
        self.values: list[Tensor] = []

    def add(self, worth: Tensor, values: Sequence[Tensor], still: Tensor | float = 1.0) -> list[Tensor]:
        """The averages with these values. worth: finite and above 0; still: 0 forgets what was before."""
        if not self.values or self.values[0].shape != values[0].shape:
            self.weight, self.values = worth, list(values)
        else:
            self.weight = self.smoothing * still * self.weight + worth
            pairs = zip(self.values, values, strict=True)
            self.values = [torch.lerp(before, now, worth / self.weight) for before, now in pairs]
        return self.values


class _Remembered(Regions):
    """Regions whose moments are averaged over frames, with one average for each AdaIN in order, and whose noise moves
    with the picture."""

    def __init__(self, w: Tensor, noise: Tensor, averages: dict[int, _Average], moved: tuple[int, int], of):
        """moved: rows and columns by which the picture has gone up and left so far, in a frame of so many (`of`)."""
        super().__init__(w, noise)
        self._averages, self._layer, self._moved, self._of = averages, count(), moved, of

    def offset(self, size) -> tuple[int, int]:
        return tuple(way * n // side for way, n, side in zip(self._moved, size, self._of, strict=True))

    @torch.compiler.disable
    def moments(self, f: Tensor) -> tuple[Tensor, Tensor]:
        # By area: what little shows of a region that leaves the picture says little about it.
        area = reduce(self.at(f.shape[-2:]).float(), "b k h w -> b k 1", "mean") + NOTHING
        mean, std = self._averages[next(self._layer)].add(area, super().moments(f))
        return mean, std


class Memory:
    """What is kept of one video, whose frames are given in order, one at a time, to `UniStyle.restyle`:

        memory = Memory()
        for frame in frames:
            result = model.restyle(frame, "stone", memory=memory)

    A cut starts the averages of masks and moments anew. The exemplar of a style is kept from the first frame on that
    has something of its region. `cuts` is the number of cuts so far.

    >>> from PIL import Image
    >>> from unistyle import Memory, UniStyle
    >>> model = UniStyle.from_pretrained("checkpoints/unistyle-materials.safetensors", device="cpu")
    >>> memory = Memory(smoothing=0.8)
    >>> frames = [Image.new("RGB", (64, 48), "brown")] * 2
    >>> results = [model.restyle(frame, to="stone", memory=memory) for frame in frames]
    >>> len(results), memory.cuts
    (2, 0)
    """

    def __init__(self, smoothing: float = SMOOTHING):
        """smoothing: of an average of masks or moments, the part that stays at the next frame; from 0, which is every
        frame by itself, to below 1. Raises ValueError for another number."""
        if not 0 <= smoothing < 1:
            raise ValueError(
                f"smoothing {smoothing}; wanted a number from 0 (none) to below 1 (0.8: the default)"
            )
        self.smoothing, self.cuts = smoothing, 0
        self._kept: dict[int, tuple[Swatches, int]] = {}
        self._moved: tuple[int, int] = (0, 0)
        self._last: Tensor | None = None
        self._before: Tensor | None = None
        self._forget()

    def _forget(self) -> None:
        self._mask = _Average(self.smoothing)
        self._layers: defaultdict[int, _Average] = defaultdict(lambda: _Average(self.smoothing))

    def found(self, photo: Tensor, found: Tensor) -> Tensor:
        """Found regions `1 m h w` of the next frame `1 3 H W` in [0, 1], averaged over the frames before it."""
        now, before = resize_regions(photo.float(), found.shape[-2:]), self._before
        self._before = now
        self._follow(luminance(photo.float())[0, 0])
        if before is None or before.shape != now.shape or is_cut(before, now):
            self.cuts += before is not None
            self._forget()
            still: Tensor | float = 1.0
        else:
            still = stillness(before, now)
        return self._mask.add(torch.ones_like(found[:, :1]), [found], still)[0]

    def _follow(self, now: Tensor) -> None:
        """Note by how much the picture has moved since the last frame, given its luminance `h w`."""
        if self.smoothing and self._last is not None and self._last.shape == now.shape:
            (down, right), (more_down, more_right) = self._moved, shift(self._last, now)
            self._moved = down + more_down, right + more_right
        self._last = now

    def choose(
        self, swatches: Swatches, chosen: list[list[int]], there: Sequence[bool]
    ) -> tuple[Swatches, list[list[int]]]:
        """Swatches `1 k` and rows of the styles chosen for this frame -> those to take. there: which of the regions
        have something in this frame; the first choice for such a one is kept for good."""
        for k, present in enumerate(there):
            if present:
                self._kept.setdefault(k, (swatches[:, k], chosen[0][k]))
        kept = [self._kept.get(k, (swatches[:, k], row)) for k, row in enumerate(chosen[0])]
        swatches = together([swatch for swatch, _ in kept], lambda each: torch.stack(each, dim=1))
        return swatches, [[row for _, row in kept]]

    def moved(self) -> tuple[float, float]:
        """By how much the picture has moved up and left so far, as shares of its sides: samples that are laid move with
        it."""
        if self._last is None:
            return 0.0, 0.0
        down, right = (way / side for way, side in zip(self._moved, self._last.shape, strict=True))
        return down, right

    def regions(self, regions: Tensor, noise: Tensor) -> Regions:
        """Regions `1 k h w` for the stylizer, whose moments are averaged over the frames before."""
        assert self._last is not None, "`found` comes first"
        return _Remembered(regions, noise, self._layers, self._moved, self._last.shape)


def stillness(before: Tensor, now: Tensor) -> Tensor:
    """Where two frames `1 3 h w` are alike: `1 1 h w`, 1 where they are equal, near 0 where something moves."""
    change = (now - before).abs().mean(1, keepdim=True)
    change = F.avg_pool2d(change, 3, stride=1, padding=1, count_include_pad=False)
    return (-(change / MOVES).square()).exp()


def shift(before: Tensor, now: Tensor) -> tuple[int, int]:
    """Rows and columns by which what `now` shows lies further down and right in `before`; both `h w`. (0, 0) where no
    shift tells how one becomes the other. By phase correlation (Kuglin and Hines, 1975)."""
    if torch.equal(before, now):
        return 0, 0
    a, b = (torch.fft.rfft2(x - x.mean()) for x in (before, now))
    cross = a * b.conj()
    peak = torch.fft.irfft2(cross / cross.abs().clamp_min(1e-9), s=now.shape).argmax().item()
    where = divmod(peak, now.shape[1])
    rows, columns = (i - n if i > n // 2 else i for i, n in zip(where, now.shape, strict=True))
    a, b = (_overlap(x, sign * rows, sign * columns) for x, sign in ((before, 1), (now, -1)))
    follows = (a - b).abs().mean() < FOLLOWS * (before - now).abs().mean()
    return (rows, columns) if follows else (0, 0)


def _overlap(x: Tensor, rows: int, columns: int) -> Tensor:
    """What is left of `h w` without so many rows and columns: the first ones, or the last where negative."""
    return x[max(0, rows) : len(x) + min(0, rows), max(0, columns) : x.shape[1] + min(0, columns)]


def is_cut(before: Tensor, now: Tensor) -> bool:
    """Whether a frame `1 3 h w` shows another scene than the one before it: by small pictures of their luminance,
    relative to the contrast that they have, so that it holds in the dark as well."""
    size = [min(THUMBNAIL, side) for side in now.shape[-2:]]
    a, b = (resize_regions(luminance(x), size) for x in (before, now))
    contrast = sum((x - x.mean()).abs().mean() for x in (a, b)) + 0.06  # of noise alone, which is no contrast
    if (a - b).abs().mean() < CUT * contrast:
        return False
    low, high = torch.cat([a, b]).aminmax()
    a, b = (torch.histc(x, BINS, low.item(), high.item() + 1e-3) / x.numel() for x in (a, b))
    return bool((a - b).abs().sum() / 2 > CUT_HISTOGRAM)
