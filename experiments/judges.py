"""The independent judge of translation: which material a region is made of."""

from collections.abc import Sequence
from pathlib import Path

import timm
import torch
from einops import rearrange
from torch import Tensor, nn

from unistyle.maths.features import moments
from unistyle.maths.resizing import resize_regions
from unistyle.teachers.classifier import fit_head


class MaterialJudge(nn.Module):
    """A classifier of the material inside a region, on the frozen features of ResNet-18, a backbone that neither
    UniStyle nor its losses use. Its head is fitted on moments inside annotated regions of training photos.

    weights: a safetensors file in timm's layout, whose deeper layers may be missing; None takes the hub's. Raises
    FileNotFoundError where there is no such file.
    """

    def __init__(self, weights: str | Path | None, materials: Sequence[str]):
        super().__init__()
        if weights and not Path(weights).is_file():
            raise FileNotFoundError(f"no weights {weights}: give a safetensors file of ResNet-18, or none")
        file = dict(pretrained_cfg_overlay=dict(file=str(weights))) if weights else {}
        self.backbone = timm.create_model(
            "resnet18.tv_in1k", features_only=True, out_indices=(1, 2, 3), pretrained=True, **file
        )
        self.materials = tuple(materials)
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406])[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225])[:, None, None], persistent=False)
        self.head = nn.Linear(2 * sum(self.backbone.feature_info.channels()), len(self.materials))
        self.eval().requires_grad_(False)

    @torch.no_grad()
    def pooled(self, image: Tensor, region: Tensor) -> Tensor:
        """Moments of the features of `image` (b 3 h w) inside `region` (b 1 h w), `b d`."""
        features = self.backbone((image - self.mean) / self.std)
        parts = [m for f in features for m in moments(f, resize_regions(region, f.shape[-2:]))]
        return torch.cat([rearrange(m, "b 1 c -> b c") for m in parts], dim=1)

    def forward(self, image: Tensor, region: Tensor) -> Tensor:
        """Scores `b m` of the materials."""
        return self.head(self.pooled(image, region))

    def fit(self, photos: Sequence[tuple[Tensor, Tensor]], labels: Sequence[int]) -> None:
        """Fit the head on photos `1 3 h w` with their regions `1 1 h w`, and their reflections."""
        rows = [
            torch.stack([self.pooled(image, region)[0], self.pooled(image.flip(-1), region.flip(-1))[0]])
            for image, region in photos
        ]
        fit_head(self, torch.stack(rows), torch.tensor(labels))
