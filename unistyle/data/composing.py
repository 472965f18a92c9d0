"""Photos in which it is known what each place is made of, composed while training: cut-outs on close-ups, materials
side by side, and photos as they are, as far as something is known of them.

Labels from a photo's name say nothing of where one material ends. Where photos are put together it is known. Sources:
cut and paste, Dwibedi et al., "Cut, Paste and Learn"; materials that fill shapes, MatSeg (arXiv 2403.03309).
"""

import math
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
import torchvision.transforms.v2.functional as TF
from torch import Tensor
from torch.utils.data import Dataset

from unistyle.maths.resizing import to_size

UNKNOWN = 255  # in a label map: 0 is other, 1 and up are materials
SIZE = (256, 320)  # height and width of what is composed, in pixels
CLOSE = 0.8  # share of the frame from which a photo is a close-up
SMALL = 0.05  # share below which the main object is too small to be cut out
EDGE = 2  # pixels on both sides of a cut-out's outline that are unknown
PHOTOS = "photos"  # the kind of photos that were taken to show a material
MORE = 3  # how much more often than other kinds they are drawn, where a whole frame is shown
OTHER = 3.0  # how much more often than each material other is drawn


@dataclass(frozen=True)
class Piece:
    """A photo to compose with."""

    image: Tensor
    """uint8 `3 h w`."""

    main: Tensor
    """Probability times 255 that a place belongs to the main object, uint8 `h w`."""

    label: int = UNKNOWN
    """What the main object is made of."""

    known: Tensor | None = None
    """The labels of all places, uint8 `h w`, as far as more is known than `label`."""

    kind: str = ""
    """Where it comes from. All kinds of a material are drawn equally often, whatever their numbers, but PHOTOS more."""

    @property
    def area(self) -> float:
        """The main object's share of the frame."""
        return (self.main > 127).float().mean().item()

    def labels(self, sure: float = 0.7) -> Tensor:
        """The label map `h w`, float: `known`, or `label` where a place belongs to the main object with the
        probability `sure`."""
        if self.known is not None:
            return self.known.float()
        return torch.where(self.main >= sure * 255, float(self.label), float(UNKNOWN))


class _Drawn:
    """Pieces of a label, each kind as often as any other, but for PHOTOS, which are drawn `more` often."""

    def __init__(self, more: float = 1):
        self.kinds: dict[str, list[Piece]] = {}
        self.more = more

    def __bool__(self) -> bool:
        return bool(self.kinds)

    def add(self, piece: Piece) -> None:
        self.kinds.setdefault(piece.kind, []).append(piece)

    def draw(self, rng: random.Random) -> Piece:
        weights = [self.more if kind == PHOTOS else 1 for kind in self.kinds]
        return rng.choice(self.kinds[rng.choices(list(self.kinds), weights)[0]])


class Composer(Dataset):
    """Composed photos `3 h w` in [0, 1] with their label maps, int64 `h w`. Item i is a function of (seed, i) alone."""

    def __init__(self, pieces: Sequence[Piece], materials: int, length: int, seed: int, whole: float = 0.3):
        """materials: how many there are. whole: how often a photo is shown as it is. Raises ValueError where no photo
        has a label."""
        self.length, self.seed, self.whole = length, seed, whole
        self.photos, self.close = (defaultdict[int, _Drawn](partial(_Drawn, MORE)) for _ in range(2))
        self.things = defaultdict[int, _Drawn](_Drawn)
        self.natural = [piece for piece in pieces if piece.known is not None]
        for piece in pieces:
            if piece.label != UNKNOWN and (area := piece.area) > SMALL:
                self.photos[piece.label].add(piece)
                (self.close if area > CLOSE else self.things)[piece.label].add(piece)
        self.labels = [label for label in range(1, 1 + materials) if self.photos[label]]
        if not self.labels:
            raise ValueError("no photo whose main object is of a material: give photos with labels")

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        rng = random.Random(f"{self.seed} {index}")
        if rng.random() < self.whole:
            image, label = self._whole(rng)
        else:
            image, label = self._ground(rng)
            for _ in range(rng.choices((0, 1, 2, 3), (0.2, 0.35, 0.3, 0.15))[0]):
                if things := self.things[self._draw(rng)]:
                    image, label = paste(image, label, things.draw(rng), rng)
        if rng.random() < 0.3:  # less sharp than it could be
            share = rng.uniform(0.45, 0.9)
            image = _sized(_sized(image, [round(side * share) for side in SIZE]), SIZE)
        return image.clamp(0, 1), label.long()

    def _draw(self, rng: random.Random) -> int:
        return rng.choices([0, *self.labels], [OTHER if self.photos[0] else 0, *[1] * len(self.labels)])[0]

    def _whole(self, rng: random.Random) -> tuple[Tensor, Tensor]:
        label = self._draw(rng)
        things = self.things[label]
        piece = (things if things and rng.random() < 0.3 else self.photos[label]).draw(rng)
        return view(piece.image, piece.labels(0.6), rng, 0.6, 1.2, 0.7)

    def _ground(self, rng: random.Random) -> tuple[Tensor, Tensor]:
        if rng.random() < min(0.35, len(self.natural) / 500):  # fewer are not to be learned by heart
            piece = rng.choice(self.natural)
            return view(piece.image, piece.labels(), rng, 0.6, 1.0, 0.7)
        first = self._close_up(rng.choice(self.labels), rng)
        if rng.random() < 0.45:
            return first
        if rng.random() < 0.15:
            return side_by_side(first, sky(rng), rng, upright=True)
        second = self._close_up(rng.choice(self.labels) if rng.random() < 0.85 else 0, rng)
        return side_by_side(first, second, rng)

    def _close_up(self, label: int, rng: random.Random) -> tuple[Tensor, Tensor]:
        """A frame full of a material, or of other."""
        if label == 0 and not self.photos[0]:
            return sky(rng)
        close = self.close[label]
        piece = (close if close and rng.random() < 0.8 else self.photos[label]).draw(rng)
        if piece.area > CLOSE:
            # What is near in the photos of a material may be far in a scene.
            return view(piece.image, piece.labels(0.35), rng, 0.4, 4.0 if rng.random() < 0.3 else 1.9)
        top, bottom, left, right = _inner(piece.main)
        if min(bottom - top, right - left) < 40:
            return view(piece.image, piece.labels(0.8), rng, 0.4, 1.9)
        inside = (slice(top, bottom), slice(left, right))
        return view(piece.image[:, *inside], piece.labels(0.5)[inside], rng, 0.6, 1.0)


def view(
    image: Tensor, label: Tensor, rng: random.Random, least: float, most: float, light: float = 1.0
) -> tuple[Tensor, Tensor]:
    """A random part of a photo and its label map, in other light, at SIZE. least, most: how large the part is, of the
    largest of that shape; above 1 the photo goes on mirrored. light: how much of it changes."""
    scale = math.exp(rng.uniform(math.log(least), math.log(most)))
    unit = min(image.shape[-2] / SIZE[0], image.shape[-1] / SIZE[1])
    wanted = [max(8, int(side * unit * scale)) for side in SIZE]
    image, label = (mirrored(x.float(), wanted) for x in (image, label[None]))
    height, width = (min(want, side) for want, side in zip(wanted, image.shape[-2:], strict=True))
    top, left = (rng.randint(0, s - n) for s, n in zip(image.shape[-2:], (height, width), strict=True))
    image, label = (x[:, top : top + height, left : left + width] for x in (image, label))
    image, label = _sized(image / 255, SIZE), F.interpolate(label[None], SIZE, mode="nearest")[0, 0]
    if rng.random() < 0.5:
        image, label = image.flip(-1), label.flip(-1)
    return lit(image, rng, light), label


def mirrored(x: Tensor, size: Sequence[int]) -> Tensor:
    """`c h w`, continued by reflection where it is smaller than `size`."""
    while x.shape[-2] < size[0] or x.shape[-1] < size[1]:
        more = [min(max(0, want - side), side - 1) for want, side in zip(size, x.shape[-2:], strict=True)]
        x = F.pad(x[None], (0, more[1], 0, more[0]), mode="reflect")[0]
    return x


def lit(image: Tensor, rng: random.Random, amount: float = 1.0) -> Tensor:
    """A photo `3 h w` in other light."""
    image = TF.adjust_brightness(image.clamp(0, 1), rng.uniform(1 - 0.35 * amount, 1 + 0.35 * amount))
    image = TF.adjust_contrast(image, rng.uniform(1 - 0.3 * amount, 1 + 0.3 * amount))
    image = TF.adjust_saturation(image, rng.uniform(1 - 0.4 * amount, 1 + 0.3 * amount))
    return TF.adjust_hue(image, rng.uniform(-0.04, 0.04)) if rng.random() < 0.5 * amount else image


def side_by_side(
    first: tuple[Tensor, Tensor],
    second: tuple[Tensor, Tensor],
    rng: random.Random,
    upright: bool = False,
) -> tuple[Tensor, Tensor]:
    """Two pictures with a wavy border between them, which is unknown. upright: the second one is above the first."""
    y, x = torch.meshgrid(*(torch.linspace(-1, 1, side) for side in SIZE), indexing="ij")
    # As often upright as in any direction: horizons and table tops are.
    angle = rng.uniform(0, 2 * math.pi) if rng.random() < 0.5 else rng.choice((-0.5, 0.5)) * math.pi
    if upright:
        angle = math.pi / 2 + rng.uniform(-0.3, 0.3)  # y points down
    along, across = x * math.sin(angle) - y * math.cos(angle), x * math.cos(angle) + y * math.sin(angle)
    across = across + rng.uniform(-0.4, 0.4)
    for height, slow, fast in ((0.15, 1, 8), (0.08, 8, 20)):
        wave = torch.sin(along * rng.uniform(slow, fast) + rng.uniform(0, 2 * math.pi))
        across = across + height * rng.random() * wave
    (image, label), (other, others) = first, second
    label = torch.where(across > 0, label, others)
    return torch.where(across > 0, image, other), label.masked_fill(across.abs() < 0.02, UNKNOWN)


def sky(rng: random.Random) -> tuple[Tensor, Tensor]:
    """A sky from pale to blue with soft clouds: other."""
    y = torch.linspace(0, 1, SIZE[0])[:, None].expand(SIZE)
    blue = 0.15 * rng.random()
    top = torch.tensor([-blue, 0.0, blue]) + rng.uniform(0.2, 0.9)
    bottom = top + rng.uniform(0, 0.3)
    image = top[:, None, None] * (1 - y) + bottom[:, None, None] * y
    noise = torch.Generator().manual_seed(rng.getrandbits(32))
    clouds = torch.rand(1, 1, rng.randint(2, 5), rng.randint(2, 6), generator=noise)
    clouds = F.interpolate(clouds, SIZE, mode="bicubic")[0] * rng.uniform(0, 0.35)
    return (image + clouds - 0.1 + 0.01 * torch.randn(3, *SIZE, generator=noise)).clamp(0, 1), torch.zeros(
        SIZE
    )


def paste(image: Tensor, label: Tensor, piece: Piece, rng: random.Random) -> tuple[Tensor, Tensor]:
    """Lay the main object of a photo over a picture, at 0.3 to 0.85 of its sides; a sixth of it may be cut off."""
    rows, columns = (torch.where((piece.main > 127).any(dim))[0] for dim in (1, 0))
    box = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
    photo, mask = piece.image[:, *box].float() / 255, piece.main[box].float()[None] / 255
    scale = rng.uniform(0.3, 0.85) * min(a / b for a, b in zip(SIZE, photo.shape[-2:], strict=True))
    size = [max(12, round(side * scale)) for side in photo.shape[-2:]]
    photo, mask = lit(_sized(photo, size), rng), ((_sized(mask, size) - 0.5) * 6 + 0.5).clamp(0, 1)
    if rng.random() < 0.5:
        photo, mask = photo.flip(-1), mask.flip(-1)
    starts = [rng.randint(-(n // 6), side - n + n // 6) for n, side in zip(size, SIZE, strict=True)]
    spans = [(max(0, a), min(side, a + n)) for a, n, side in zip(starts, size, SIZE, strict=True)]
    there = tuple(slice(*span) for span in spans)
    own = tuple(slice(a - start, b - start) for (a, b), start in zip(spans, starts, strict=True))
    photo, mask = photo[:, *own], mask[:, *own]
    image, label = image.clone(), label.clone()
    image[:, *there] = torch.lerp(image[:, *there], photo, mask)
    kernel = 2 * EDGE + 1
    touched = F.max_pool2d((mask > 0.05).float(), kernel, 1, EDGE)[0] > 0
    inside = -F.max_pool2d(-(mask > 0.95).float(), kernel, 1, EDGE)[0] > 0.5
    label[there] = label[there].masked_fill(touched, UNKNOWN).masked_fill(inside, piece.label)
    return image, label


def _sized(x: Tensor, size: Sequence[int]) -> Tensor:
    return to_size(x[None], size, antialias=True)[0]


def _inner(main: Tensor) -> tuple[int, int, int, int]:
    """The middle of the main object: top, bottom, left and right of its inner three fifths."""
    spans = []
    for dim in (1, 0):
        share = (main > 204).float().sum(dim).cumsum(0)
        share = share / share[-1].clamp_min(1)
        spans += [int((share < 0.2).sum()), int((share < 0.8).sum())]
    return spans[0], spans[1], spans[2], spans[3]
