"""What new styles are fitted with, crops and codes, and what fitting has changed: distances and a picture."""

import copy
import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from unistyle.checkpoint.checkpoint import Checkpoint
from unistyle.data.labelled import LabelledPhoto
from unistyle.data.transfer import Transfer
from unistyle.data.views import crop
from unistyle.evaluation.scores import style_scores
from unistyle.network.model import UniStyleNetwork
from unistyle.network.stylizer import Stylizer
from unistyle.styles.exemplars import Exemplar
from unistyle.teachers.vgg import VGG19
from unistyle.training.config import StyleConfig
from unistyle.training.losses import VGGTargets
from unistyle.training.previews import style_grid

SIDE = 128  # pixels of the square crops that are restyled
CROPS = 96  # how many there are
HELD_OUT = 8  # of these: the last ones, which are measured on
CACHE = 2 * 2**30  # bytes of VGG-19's features of crops and styles that are kept


@dataclass(frozen=True)
class Contents:
    """Crops of photos, with the encoder's features of them, which fitting does not change."""

    photos: Tensor
    """`n 3 s s` in [0, 1]."""
    features: list[Tensor]
    """`n c h w` for each level of the encoder."""

    def batch(self, rows: Sequence[int]) -> tuple[Tensor, list[Tensor]]:
        """Some of the crops and their features."""
        return self.photos[rows], [f[rows] for f in self.features]

    def codes(self, stylizer: Stylizer) -> Tensor:
        """The crops' own codes `n d`."""
        return stylizer.encode(self.features, torch.ones_like(self.photos[:, :1]))[:, 0]


@torch.no_grad()
def read_contents(
    network: UniStyleNetwork, photos: Sequence[LabelledPhoto], count: int, seed: int
) -> Contents:
    """`count` crops, of all photos alike: the photos take turns in a random order, each time with another crop.
    Raises ImageError for a photo that cannot be read."""
    photos = random.Random(seed).sample(list(photos), len(photos))
    crops = [crop(photos[i % len(photos)], SIDE, i // len(photos), seed)[0] for i in range(count)]
    stack = torch.stack(crops).to(next(network.parameters()).device)
    parts = [network.encoder(batch) for batch in stack.split(8)]
    return Contents(stack, [torch.cat(level) for level in zip(*parts, strict=True)])


@dataclass(frozen=True)
class Fitting:
    """What new styles are fitted with: a network, exemplars and crops, all on one device."""

    network: UniStyleNetwork
    """Frozen."""
    before: Stylizer
    """The network's stylizer as it was."""
    exemplars: Sequence[Exemplar]
    start: Tensor
    """The exemplars' codes as the encoder gives them, `n d`."""
    contents: Contents
    spread: Tensor
    """How much each number of a code differs from crop to crop, `d`."""
    old: Tensor
    """Codes of old styles, `n d`: those of the bank, then the crops' own."""
    targets: VGGTargets

    @property
    def fitted_to(self) -> int:
        """How many of the crops are fitted to: the first ones."""
        return len(self.contents.photos) - HELD_OUT

    @property
    def held_out(self) -> range:
        """Rows of the crops that are measured on, and not fitted to."""
        return range(self.fitted_to, len(self.contents.photos))

    @torch.no_grad()
    def render(self, stylizer: Stylizer, code: Tensor, row: int) -> Tensor:
        """One crop restyled as a whole, `1 3 s s`."""
        photo, features = self.contents.batch([row])
        region = torch.ones_like(photo[:, :1])
        return stylizer(features, region, code.to(photo.device)[None, None], photo.shape[-2:])


def prepare_fitting(
    checkpoint: Checkpoint,
    exemplars: Sequence[Exemplar],
    photos: Sequence[LabelledPhoto],
    vgg: VGG19,
    config: StyleConfig,
) -> Fitting:
    """Crops of the photos and their codes, on the device of VGG-19. The checkpoint's network is moved there and
    frozen. Raises ImageError for a photo that cannot be read."""
    device = next(vgg.parameters()).device
    network = checkpoint.network.to(device).requires_grad_(False)
    contents = read_contents(network, photos, CROPS, config.seed)
    own = contents.codes(network.stylizer)
    return Fitting(
        network,
        copy.deepcopy(network.stylizer),
        exemplars,
        torch.stack([e.code for e in exemplars]).to(device),
        contents,
        own.std(0).clamp_min(1e-3),
        torch.cat([checkpoint.bank.codes.to(device), own]),
        VGGTargets(vgg, CACHE),
    )


def distances(fitting: Fitting, stylizer: Stylizer, codes: Tensor) -> dict[str, float]:
    """Means over the exemplars with the codes `n d`, and over the crops not fitted to: gram, the Gram distance to the
    exemplar, that of the untouched crop being 1; content, the content distance to the crop."""
    scores = []
    for exemplar, code in zip(fitting.exemplars, codes, strict=True):
        for row in fitting.held_out:
            photo = fitting.contents.batch([row])[0]
            style, region = (x.to(photo.device) for x in (exemplar.image, exemplar.region))
            transfer = Transfer(photo, style, torch.ones_like(photo[:, :1]), region)
            scores.append(style_scores(fitting.targets.vgg, transfer, fitting.render(stylizer, code, row)))
    names = (("gram", "relative"), ("content", "content"))
    return {name: sum(s[key] for s in scores) / len(scores) for name, key in names}


def old_moved(fitting: Fitting) -> float:
    """How far results of old styles are from what they were: the Gram distance between the two, that between photo
    and result being 1; a mean over the crops not fitted to, each in another style."""
    far = []
    for row in fitting.held_out:
        code = fitting.old[row * 7 % len(fitting.old)]
        photo = fitting.contents.batch([row])[0]
        whole = torch.ones_like(photo[:, :1])
        transfer = Transfer(photo, fitting.render(fitting.before, code, row), whole, whole)
        after = fitting.render(fitting.network.stylizer, code, row)
        far.append(style_scores(fitting.targets.vgg, transfer, after)["relative"])
    return sum(far) / len(far)


def preview(fitting: Fitting, codes: Tensor, count: int = 3) -> Tensor:
    """What fitting changed, on `count` of the crops not fitted to; `3 h w`, as in `style_grid`."""
    rows = fitting.held_out[:count]

    def before(number: int, crop: int) -> Tensor:
        return fitting.render(fitting.before, fitting.start[number], rows[crop])

    def after(number: int, crop: int) -> Tensor:
        return fitting.render(fitting.network.stylizer, codes[number], rows[crop])

    crops = [fitting.contents.photos[[row]] for row in rows]
    return style_grid(fitting.exemplars, crops, before, after)
