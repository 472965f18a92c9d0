"""VGG-19 features, the space in which style and content are compared (training and measuring only)."""

from collections import OrderedDict
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models import VGG19_Weights, vgg19
from torchvision.models.vgg import cfgs, make_layers

from unistyle.files.fetching import fetching

LAYERS = {"relu1_1": 1, "relu2_1": 6, "relu3_1": 11, "relu4_1": 20, "relu5_1": 29}
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
CONTENT_LAYER = "relu4_1"


class VGG19(nn.Module):
    """Frozen VGG-19 (Simonyan and Zisserman, configuration E) up to the deepest of `layers`.

    forward: RGB `b 3 h w` in [0, 1] -> dict of feature maps `b c h w` by layer name, in the order of depth.
    `weights` is a safetensors file in the layout of `torchvision.models.vgg19()`, or None for torchvision's own
    weights from the hub. Raises FileNotFoundError for a missing file, KeyError for an unknown layer, RuntimeError
    (naming the keys) for a file of another layout.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, weights: str | Path | None = None, layers: tuple[str, ...] = STYLE_LAYERS):
        super().__init__()
        if unknown := set(layers) - set(LAYERS):
            raise KeyError(f"unknown VGG-19 layer {sorted(unknown)}: choose from {', '.join(LAYERS)}")
        self.layers = tuple(sorted(layers, key=lambda name: LAYERS[name]))
        depth = LAYERS[self.layers[-1]] + 1
        full = make_layers(cfgs["E"]) if weights else vgg19(weights=VGG19_Weights.IMAGENET1K_V1).features
        self.features = full[:depth]
        if weights:
            self._load(Path(weights))
        for module in self.features:
            if isinstance(module, nn.ReLU):
                module.inplace = False  # a kept activation must not be overwritten by the next layer
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406])[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225])[:, None, None], persistent=False)
        self.eval().requires_grad_(False).to(memory_format=torch.channels_last)

    def _load(self, path: Path) -> None:
        if not path.is_file():
            raise FileNotFoundError(
                f"no VGG-19 weights at {path}: give a safetensors file, or leave it out for the hub's"
            )
        wanted = self.state_dict()  # a deeper file serves a shallower network
        self.load_state_dict({k: v.float() for k, v in load_file(path).items() if k in wanted})

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        x = ((image - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        wanted = {LAYERS[name]: name for name in self.layers}
        found = OrderedDict()
        for index, module in enumerate(self.features):
            x = module(x)
            if index in wanted:
                found[wanted[index]] = x
        return found


def read_vgg(weights: str | Path | None) -> VGG19:
    """VGG-19 with the weights of a file, or with the hub's. Raises FileNotFoundError where there is no such file, and
    ValueError for a file that holds something else, or where the hub's cannot be fetched."""
    try:
        if weights:
            return VGG19(weights)
        with fetching(
            "VGG-19", "give --vgg FILE (--vgg-weights, --teachers.vgg): its weights as safetensors"
        ):
            return VGG19()
    except (RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{weights or 'the hub'}: these are no weights of VGG-19 ({reason})") from error
