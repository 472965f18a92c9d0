"""What results are to be recognised as: the style's material, and the photo's object.

Gram matrices say how a texture looks, not that anybody sees the material in it. Two classifiers do, neither of which
takes part in the network or judges it: linear heads on moments of VGG-19's features, fitted to photos with their
material as the only label, and a classifier of ImageNet's objects.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, cast

import timm
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from unistyle.files.fetching import fetching
from unistyle.maths.features import moments
from unistyle.maths.resizing import resize_regions
from unistyle.network.encoder import fold_batch_norm
from unistyle.teachers.classifier import fit_head
from unistyle.teachers.vgg import VGG19

DEEP = ("relu3_1", "relu4_1")  # layers that see enough of a picture to tell a material
HIDDEN = 0.3  # share of the moments that are left out at random, so that no few of them are played to
SURE = 0.05  # label smoothing: a result need not be surer than photos are
BATCH = 16
Features = Mapping[str, Tensor]


class Seen:
    """What VGG-19 sees in pictures `b 3 h w` in [0, 1]: features at their size, and those of DEEP at half of it, where
    the same layers see structure twice as large. In mixed precision they are computed in it; what is made of them is
    not, as a Gram matrix is a difference of large sums."""

    def __init__(self, vgg: nn.Module, images: Tensor):
        half = vgg(F.avg_pool2d(images, 2))
        self.full: Features = {name: f.float() for name, f in vgg(images).items()}
        self.half: Features = {name: half[name].float() for name in DEEP}


class MaterialTeacher(nn.Module):
    """Which material a region of a picture shows, by moments of VGG-19's features inside it, at two sizes."""

    def __init__(self, materials: int):
        super().__init__()
        self.heads = nn.ModuleList(_Head(materials) for _ in range(2))

    @torch.no_grad()
    def fit(
        self,
        vgg: VGG19,
        photos: Sequence[tuple[Tensor, Tensor]],
        labels: Sequence[int],
        precision: Callable[[], AbstractContextManager] = nullcontext,
    ) -> None:
        """Fit to photos `3 h w` of one size, with regions `1 h w`, and to their reflections. precision: that in which
        VGG-19 sees them, as `Accelerator.autocast` gives it."""
        rows: list[list[Tensor]] = [[], []]
        device = next(vgg.parameters()).device
        for start in range(0, len(photos), BATCH):
            images, regions = (
                torch.stack(x).to(device) for x in zip(*photos[start : start + BATCH], strict=True)
            )
            with precision():
                seen = [Seen(vgg, x) for x in (images, images.flip(-1))]
            views = [list(self._pooled(x, w)) for x, w in zip(seen, (regions, regions.flip(-1)), strict=True)]
            for kept, pair in zip(rows, zip(*views, strict=True), strict=True):
                kept.append(torch.stack(pair, dim=1))
        for head, kept in zip(self.heads, rows, strict=True):
            every = torch.cat(kept)
            with torch.enable_grad():
                fit_head(head.to(device), every, torch.tensor(labels))  # type: ignore[arg-type]
            cast(_Head, head).mean.copy_(every.mean((0, 1)))
        self.requires_grad_(False)

    @staticmethod
    def _pooled(seen: Seen, region: Tensor) -> Iterator[Tensor]:
        """Moments `b d` at each of the two sizes."""
        for features in (seen.full, seen.half):
            parts = []
            for f in (features[name] for name in DEEP):
                parts += moments(f, resize_regions(region, f.shape[-2:]))
            yield torch.cat([rearrange(part, "b 1 c -> b c") for part in parts], dim=1)

    def forward(self, seen: Seen, region: Tensor) -> list[Tensor]:
        """Logits `b m` of what regions `b 1 h w` show, at each of the two sizes."""
        return [head(pooled) for head, pooled in zip(self.heads, self._pooled(seen, region), strict=True)]

    def term(self, seen: Seen, region: Tensor, label: Tensor) -> Tensor:
        """Cross entropy with the materials `b` that the regions `b 1 h w` are to show; those below 0 do not count."""
        known = (label >= 0).float()
        each = [
            F.cross_entropy(x, label.clamp_min(0), reduction="none", label_smoothing=SURE)
            for x in self(seen, region)
        ]
        return (torch.stack(each).mean(0) * known).sum() / known.sum().clamp_min(1)


class _Head(nn.Module):
    """A linear head, as `fit_head` takes it, of which HIDDEN of what it sees is as in the average photo."""

    mean: Tensor

    def __init__(self, materials: int):
        super().__init__()
        size = 2 * (256 + 512)
        self.head = nn.Linear(size, materials)
        self.register_buffer("mean", torch.zeros(size))

    def forward(self, pooled: Tensor) -> Tensor:
        return self.head(self.mean + F.dropout(pooled - self.mean, HIDDEN, self.training))


class ObjectTeacher(nn.Module):
    """Which of ImageNet's objects a picture shows."""

    mean: Tensor
    std: Tensor

    def __init__(
        self, name: str = "mobilenetv2_100", weights: str | Path | None = None, pretrained: bool = True
    ):
        """weights: a safetensors file in timm's layout; None takes the hub's. Raises FileNotFoundError where there is
        no such file."""
        super().__init__()
        if weights and not Path(weights).is_file():
            raise FileNotFoundError(
                f"no weights {weights}: give a safetensors file of {name}, or none for the hub's"
            )
        overlay = dict(file=str(weights)) if weights else None
        with fetching(f"the weights of {name}", "give --teachers.recogniser.weights FILE"):
            model: Any = timm.create_model(name, pretrained=pretrained, pretrained_cfg_overlay=overlay)
        fold_batch_norm(model)
        self.model, about = model.eval().to(memory_format=torch.channels_last), model.pretrained_cfg
        for key in ("mean", "std"):
            self.register_buffer(key, torch.tensor(about[key])[:, None, None], persistent=False)
        self.requires_grad_(False)

    def term(self, image: Tensor, photo: Tensor) -> Tensor:
        """1 minus the Bhattacharyya coefficient of the two pictures' probabilities (b 3 h w in [0, 1]): 0 where both
        show the same object."""
        with torch.no_grad():
            wanted = self._probabilities(photo)
        return (1 - (wanted * self._probabilities(image) + 1e-9).sqrt().sum(1)).mean()

    def _probabilities(self, image: Tensor) -> Tensor:
        image = image.contiguous(memory_format=torch.channels_last)
        return self.model((image - self.mean) / self.std).float().softmax(1)
