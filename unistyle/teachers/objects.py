"""Knowledge of objects in general: a network for the subject of a photo, trained on annotated photos as in ECSSD.

It knows no material. The saliency teacher joins it with the maps of a material classifier, and trains it again on
the soft masks of that (self-training); targets are soft masks throughout.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision import tv_tensors
from torchvision.transforms import v2

from unistyle.data.labelled import LabelledPhoto
from unistyle.devices import ahead
from unistyle.files.photos import read_image, read_mask
from unistyle.files.tensors import to_tensor
from unistyle.maths.resizing import short_side, to_size
from unistyle.maths.schedules import warm_cosine
from unistyle.network.encoder import Encoder
from unistyle.network.layers import conv

WARMUP = 20  # steps until the learning rate is reached
Pair = tuple[Tensor, Tensor]  # a photo and its soft mask, uint8 `3 h w` and `1 h w`


@dataclass(frozen=True)
class ObjectConfig:
    """Training of the object network: 5 to 15 minutes on two cores."""

    steps: int = 600
    """Steps of the optimizer."""
    batch_size: int = 16
    """Photos in each step."""
    size: int = 256
    """Side of the square crops, in pixels."""
    crop_area: tuple[float, float] = (0.15, 1.0)
    """Smallest and largest crop, as a share of the photo."""
    lr: float = 2e-3
    """Learning rate of the decoder."""
    encoder_lr: float = 4e-4
    """Learning rate of the encoder, which is lower because it is pretrained."""
    weight_decay: float = 1e-2
    """Weight decay of AdamW."""
    iou_weight: float = 0.5
    """Weight of the IoU term, that of the cross-entropy being 1."""
    seed: int = 0
    """Of the decoder's first weights and of the crops."""


class ObjectNet(nn.Module):
    """RGB `b 3 h w` in [0, 1] -> logits `b 1 h w` of belonging to the subject of the photo.

    A feature pyramid: each level is projected to one width, and each coarser sum, resized to the finer level's real
    size, is added and convolved (after Lin et al., "Feature Pyramid Networks", section 3). Group norm, because it
    does not depend on the batch.
    """

    def __init__(self, encoder: Encoder, width: int = 64):
        super().__init__()
        self.encoder = encoder
        self.project = nn.ModuleList(nn.Conv2d(c, width, 1) for c in encoder.channels)
        self.fuse = nn.ModuleList(
            nn.Sequential(conv(width, width), nn.GroupNorm(8, width), nn.ReLU()) for _ in encoder.channels
        )
        # The mean over the photo, so that a close-up can say "all of it".
        self.context = nn.Linear(width, width)
        self.head = conv(width, 1)
        self.to(memory_format=torch.channels_last)

    def forward(self, image: Tensor) -> Tensor:
        image = image.contiguous(memory_format=torch.channels_last)
        levels = [project(f) for project, f in zip(self.project, self.encoder(image), strict=True)]
        x = self.fuse[-1](levels[-1] + self.context(levels[-1].mean((2, 3)))[..., None, None])
        for skip, fuse in zip(levels[-2::-1], self.fuse[-2::-1], strict=True):
            x = fuse(skip + to_size(x, skip.shape[-2:]))
        return to_size(self.head(x), image.shape[-2:])


def soft_iou_loss(probability: Tensor, target: Tensor, eps: float = 1e-2) -> Tensor:
    """1 - soft IoU, averaged over foreground, background and the batch; both `b 1 h w` in [0, 1].

    Means rather than sums over space, so that `eps` keeps a gradient on an empty target at any size.
    """

    def iou(p: Tensor, t: Tensor) -> Tensor:
        both = (p * t).mean((1, 2, 3))
        return (both + eps) / ((p + t).mean((1, 2, 3)) - both + eps)

    return 1 - 0.5 * (iou(probability, target) + iou(1 - probability, 1 - target)).mean()


def object_loss(logits: Tensor, target: Tensor, iou_weight: float) -> Tensor:
    """Binary cross-entropy plus `iou_weight` times `soft_iou_loss`; both `b 1 h w`."""
    cross_entropy = F.binary_cross_entropy_with_logits(logits, target)
    return cross_entropy + iou_weight * soft_iou_loss(logits.sigmoid(), target)


class RandomSubjectCrop(v2.RandomResizedCrop):
    """A random resized crop of photo and mask that shows the subject: `least` of it or more is inside the mask.

    A photo of a material shows the material, and many are close-ups without background: so are small crops of
    subjects, while crops of background alone would teach that a frame full of texture is nothing.
    """

    def __init__(self, size: int, scale: tuple[float, float], least: float = 0.15, tries: int = 10):
        super().__init__((size, size), scale=scale)
        self.least, self.tries = least, tries

    def make_params(self, flat_inputs: list) -> dict:
        mask = next(x for x in flat_inputs if isinstance(x, tv_tensors.Mask))
        for _ in range(self.tries):
            box = super().make_params(flat_inputs)
            if v2.functional.crop(mask, **box).float().mean() >= self.least * 255:
                return box
        return dict(top=0, left=0, height=mask.shape[-2], width=mask.shape[-1])


def augmentation(config: ObjectConfig) -> v2.Transform:
    """A random view of a photo (tv_tensors.Image) and its mask (tv_tensors.Mask) together; colours change alone."""
    return v2.Compose(
        [
            RandomSubjectCrop(config.size, config.crop_area),
            v2.RandomHorizontalFlip(),
            v2.ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.05),
            v2.RandomGrayscale(0.1),
        ]
    )


def read_pair(photo: LabelledPhoto) -> Pair:
    """A photo and its mask from their files, to train on."""
    image, mask = read_image(photo.path), read_mask(photo.mask_path)
    return shrunk_pair(to_tensor(image), to_tensor(mask.resize(image.size)))


def shrunk_pair(image: Tensor, mask: Tensor, side: int = 288) -> Pair:
    """A photo `3 h w` and its soft mask `1 h w`, both in [0, 1], with the short side at `side` px."""
    small, small_mask = ((short_side(x[None], side)[0] * 255).round().byte().cpu() for x in (image, mask))
    return small, small_mask


def train_objects(
    net: ObjectNet,
    pairs: Sequence[Pair],
    config: ObjectConfig,
    progress: Callable[[int, int], None] | None = None,
) -> ObjectNet:
    """Fine-tune `net` on `pairs`, in place; returned in eval mode.

    progress(step, steps) is called after every step. Raises FloatingPointError on a loss that is not finite.
    """
    inner = list(net.encoder.parameters())
    outer = [p for name, p in net.named_parameters() if not name.startswith("encoder.")]
    groups = [dict(params=outer, lr=config.lr), dict(params=inner, lr=config.encoder_lr)]
    optimizer = torch.optim.AdamW(groups, weight_decay=config.weight_decay)
    schedule = warm_cosine(optimizer, config.steps, WARMUP)
    device = net.head.weight.device
    net.train()
    # torchvision's transforms draw from the global generator; forked, the caller's stream stays as it was. Views cost
    # as much as steps, which draw nothing.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        for step, (image, target) in enumerate(ahead(_batches(pairs, config))):
            loss = object_loss(net(image.to(device)), target.to(device), config.iou_weight)
            if not loss.isfinite():
                raise FloatingPointError(f"object network: loss {loss.item()} at step {step}: lower its lr")
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            if progress:
                progress(step + 1, config.steps)
    return net.eval()


def _batches(pairs: Sequence[Pair], config: ObjectConfig) -> Iterator[Pair]:
    """Batches of random views in [0, 1], every pair once before any comes again."""
    augment = augmentation(config)
    order: list[int] = []
    for _ in range(config.steps):
        while len(order) < config.batch_size:
            order += torch.randperm(len(pairs)).tolist()
        chosen, order = order[: config.batch_size], order[config.batch_size :]
        views = [augment(tv_tensors.Image(pairs[i][0]), tv_tensors.Mask(pairs[i][1])) for i in chosen]
        images, masks = (
            torch.stack(part).as_subclass(Tensor).float() / 255 for part in zip(*views, strict=True)
        )
        yield images, masks


@torch.no_grad()
def object_logits(net: nn.Module, photos: Tensor, sides: Sequence[int] = (224, 320)) -> Tensor:
    """Logits `b 1 h w` for photos `b 3 h w` in [0, 1]: the mean over short sides `sides`, px, and reflections."""
    total = torch.zeros_like(photos[:, :1])
    for side in sides:
        view = short_side(photos, side)
        logits = net(view) + net(view.flip(-1)).flip(-1)
        total += to_size(logits, photos.shape[-2:])
    return total / (2 * len(sides))
