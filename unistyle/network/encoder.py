"""The shared encoder: any timm convolutional backbone that gives NCHW features."""

from dataclasses import dataclass
from pathlib import Path

import timm
import torch
from torch import Tensor, nn

STRIDES = (4, 8, 16, 32)


@dataclass(frozen=True)
class EncoderConfig:
    """name: a timm model; pretrained: start from ImageNet weights; weights: a local file of them instead of the hub."""

    name: str = "mobilenetv2_100"
    pretrained: bool = True
    weights: str | None = None


class Encoder(nn.Module):
    """RGB `b 3 h w` in [0, 1] -> one feature map `b c h/s w/s` for each stride s of 4, 8, 16, 32.

    Holds the mean and standard deviation that the backbone expects, so that nothing else needs to know them. Batch
    norm stays frozen in training: the statistics of pretraining serve batches of any size.
    """

    def __init__(self, config: EncoderConfig = EncoderConfig()):  # noqa: B008  (frozen)
        super().__init__()
        overlay = dict(file=config.weights) if config.weights else None
        try:
            self.backbone = timm.create_model(
                config.name, features_only=True, pretrained=config.pretrained, pretrained_cfg_overlay=overlay
            )
        except RuntimeError as error:
            raise ValueError(f"encoder {config.name!r}: {error}") from error
        info = self.backbone.feature_info
        where = {stride: index for index, stride in enumerate(info.reduction())}
        if missing := [s for s in STRIDES if s not in where]:
            raise ValueError(f"encoder {config.name!r} has no features at stride {missing}; choose one with {STRIDES}")
        self.indices = tuple(where[s] for s in STRIDES)
        self.channels = tuple(info.channels()[i] for i in self.indices)
        cfg = getattr(self.backbone, "pretrained_cfg", None) or {}
        self.register_buffer("mean", torch.tensor(cfg.get("mean", (0.485, 0.456, 0.406)))[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(cfg.get("std", (0.229, 0.224, 0.225)))[:, None, None], persistent=False)

    def train(self, mode: bool = True) -> "Encoder":
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def forward(self, image: Tensor) -> list[Tensor]:
        features = self.backbone((image - self.mean) / self.std)
        return [features[i] for i in self.indices]
