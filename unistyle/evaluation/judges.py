"""Judges that take no part in the network or its losses: which material a region is made of, and which object it shows.

A material judge averages linear probes on two backbones, each at two sizes. The share of results that it names as the
new material is to be read at an equal score of the object judge: it rises by itself while the object is destroyed.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import timm
import torch
from einops import rearrange, reduce
from torch import Tensor, nn

from unistyle.files.fetching import fetching
from unistyle.maths.features import moments
from unistyle.maths.resizing import resize_regions, short_side, within
from unistyle.teachers.classifier import fit_head

RESNET18, LITE2 = "resnet18.tv_in1k", "tf_efficientnet_lite2.in1k"
LEVELS = {RESNET18: (2, 3), LITE2: (2, 3)}  # strides 8 and 16: a material is texture more than outline
SIZES = (256, 192)  # longer sides, in pixels, at which a photo is judged
OBJECT_SIDE = 260  # short side, in pixels, at which EfficientNet-Lite2 was trained
Progress = Callable[[int, int], None]


def _backbone(name: str, weights: str | Path | None, pretrained: bool = True, **options) -> Any:
    if weights and not Path(weights).is_file():
        raise FileNotFoundError(
            f"no weights {weights}: give a safetensors file of {name}, or none for the hub's"
        )
    overlay = dict(file=str(weights)) if weights else None
    with fetching(f"the weights of {name}", "give a file of them"):
        model = timm.create_model(name, pretrained=pretrained, pretrained_cfg_overlay=overlay, **options)
    return model.eval().requires_grad_(False)


class _Normalised(nn.Module):
    """A frozen backbone with the mean and standard deviation that it expects."""

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: Any):
        super().__init__()
        self.backbone, about = backbone, backbone.pretrained_cfg
        for name in ("mean", "std"):
            self.register_buffer(name, torch.tensor(about[name])[:, None, None], persistent=False)

    def forward(self, image: Tensor) -> Any:
        return self.backbone((image - self.mean) / self.std)


class Probe(nn.Module):
    """Which material a region is made of: a linear head on moments of frozen features inside the region.

    weights: a safetensors file in timm's layout, whose deeper layers may be missing; None takes the hub's. Raises
    FileNotFoundError where there is no such file.
    """

    def __init__(
        self,
        backbone: str,
        levels: Sequence[int],
        materials: Sequence[str],
        weights: str | Path | None = None,
        pretrained: bool = True,
    ):
        """levels: which feature maps of timm's `features_only` backbone; pretrained: False starts from noise."""
        super().__init__()
        options = dict(features_only=True, out_indices=tuple(levels))
        self.features = _Normalised(_backbone(backbone, weights, pretrained, **options))
        self.materials = tuple(materials)
        channels = self.features.backbone.feature_info.channels()
        self.head = nn.Linear(2 * sum(channels), len(self.materials)).requires_grad_(False)
        self.eval()

    @torch.no_grad()
    def pooled(self, image: Tensor, region: Tensor) -> Tensor:
        """Moments of the features of `image` (b 3 h w) inside `region` (b 1 h w), `b d`."""
        parts = [m for f in self.features(image) for m in moments(f, resize_regions(region, f.shape[-2:]))]
        return torch.cat([rearrange(m, "b 1 c -> b c") for m in parts], dim=1)

    def forward(self, image: Tensor, region: Tensor) -> Tensor:
        """Scores (logits) `b m` of the materials."""
        return self.head(self.pooled(image, region))

    def fit(
        self, photos: Sequence[tuple[Tensor, Tensor]], labels: Sequence[int], progress: Progress | None = None
    ) -> None:
        """Fit the head on photos `1 3 h w` with their regions `1 1 h w`, and on their reflections."""
        rows = []
        for index, (image, region) in enumerate(photos):
            rows.append(
                torch.stack([self.pooled(image, region)[0], self.pooled(image.flip(-1), region.flip(-1))[0]])
            )
            if progress:
                progress(index + 1, len(photos))
        fit_head(self, torch.stack(rows), torch.tensor(labels))


class MaterialJudge(nn.Module):
    """The mean of several probes' probabilities, each with a longer side at which it sees the photo."""

    def __init__(self, probes: Sequence[tuple[int, Probe]]):
        super().__init__()
        self.sides = [side for side, _ in probes]
        self._probes = nn.ModuleList(probe for _, probe in probes)

    @property
    def probes(self) -> list[Probe]:
        """The probes, in the order of `sides`."""
        return [cast(Probe, probe) for probe in self._probes]

    @torch.no_grad()
    def forward(self, image: Tensor, region: Tensor) -> Tensor:
        """Probabilities `b m` of the materials inside `region` (b 1 h w) of `image` (b 3 h w)."""
        views = [(within(image, side), within(region, side)) for side in self.sides]
        each = [probe(*view).softmax(1) for probe, view in zip(self.probes, views, strict=True)]
        return reduce(torch.stack(each), "n b m -> b m", "mean")

    @torch.no_grad()
    def cells(self, image: Tensor, region: Tensor) -> Tensor:
        """Features `n d` of the first probe's deepest level at the places inside `region` (1 1 h w) of `image`
        (1 3 h w): ResNet-18 at stride 16 in `two_judges`."""
        side, probe = self.sides[0], self.probes[0]
        f = probe.features(within(image, side))[-1]
        inside = resize_regions(within(region, side), f.shape[-2:])[0, 0] > 0.5
        return f[0, :, inside].T

    def fit(
        self,
        photos: Sequence[tuple[Tensor, Tensor]],
        labels: Sequence[int],
        progress: Callable[[str, int, int], None] | None = None,
    ) -> None:
        """Fit every probe on photos `1 3 h w` with their regions `1 1 h w`."""
        for number, (side, probe) in enumerate(zip(self.sides, self.probes, strict=True), 1):
            views = [(within(image, side), within(region, side)) for image, region in photos]
            told = (lambda i, n, name=f"probe {number}": progress(name, i, n)) if progress else None
            probe.fit(views, labels, told)


def two_judges(
    materials: Sequence[str], resnet18: str | Path | None = None, lite2: str | Path | None = None
) -> MaterialJudge:
    """The judge of the figures: ResNet-18 and EfficientNet-Lite2, each at SIZES. Weights as in `Probe`."""
    files = {RESNET18: resnet18, LITE2: lite2}
    return MaterialJudge(
        [(side, Probe(name, LEVELS[name], materials, files[name])) for name in files for side in SIZES]
    )


class ObjectJudge(nn.Module):
    """Whether two photos show the same object: how alike their ImageNet probabilities by EfficientNet-Lite2 are."""

    def __init__(self, weights: str | Path | None = None, backbone: str = LITE2, pretrained: bool = True):
        """weights: a safetensors file in timm's layout, with the classifier; None takes the hub's."""
        super().__init__()
        self.classify = _Normalised(_backbone(backbone, weights, pretrained))

    @torch.no_grad()
    def probabilities(self, image: Tensor) -> Tensor:
        """Of the classes of ImageNet, `b n`, for `image` (b 3 h w)."""
        return self.classify(short_side(image, OBJECT_SIDE)).softmax(1)

    def forward(self, image: Tensor, photo: Tensor) -> Tensor:
        """Bhattacharyya coefficient of the two images' probabilities, `b` in [0, 1]; 1 for equal images."""
        return (self.probabilities(image) * self.probabilities(photo)).sqrt().sum(1)
