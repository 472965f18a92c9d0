"""The shared encoder: any timm convolutional backbone that gives NCHW features."""

import copy
import itertools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch
import torch.nn.functional as F
from timm.layers import Conv2dSame
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from unistyle.files.fetching import fetching

STRIDES = (4, 8, 16, 32)
ODD = (45, 71)  # height and width of a photo that some backbones do not take


@dataclass(frozen=True)
class EncoderConfig:
    """The backbone, and where its training began."""

    name: str = "mobilenetv2_100"
    """A convolutional model of timm with features at strides 4, 8, 16 and 32."""
    pretrained: bool = True
    """Start from ImageNet weights."""
    weights: str | None = None
    """Local safetensors file of these weights. Default: they come from the hub."""


def check_name(name: str) -> None:
    """Raises ValueError unless `name` is the plain name of a timm model. A name with a source in front, such as
    `hf-hub:`, would make every load of a checkpoint ask that source."""
    if not timm.is_model(name) or ":" in name:
        raise ValueError(
            f"encoder {name!r} is no timm model; give the plain name of one, such as mobilenetv2_100"
        )


def backbone_size(name: str) -> int:
    """How many numbers the weights of a backbone have, found without any memory for them. Raises ValueError."""
    check_name(name)
    try:
        with torch.device("meta"):
            backbone = timm.create_model(name, features_only=True, pretrained=False)
    except (RuntimeError, AssertionError, AttributeError, TypeError) as error:
        raise ValueError(f"encoder {name!r} is no timm backbone: {error}") from error
    return sum(value.numel() for value in backbone.state_dict().values())


def _backbone(config: EncoderConfig) -> Any:
    """The backbone with its weights. Raises FileNotFoundError for a file of them that is missing, and ValueError where
    the hub's cannot be fetched."""
    if config.weights and not Path(config.weights).is_file():
        raise FileNotFoundError(
            f"no weights {config.weights}: give a safetensors file of {config.name}, or none for the hub's"
        )
    overlay = dict(file=config.weights) if config.weights else None
    with fetching(f"the weights of {config.name}", "give --encoder.weights FILE"):
        return timm.create_model(
            config.name, features_only=True, pretrained=config.pretrained, pretrained_cfg_overlay=overlay
        )


class Encoder(nn.Module):
    """RGB `b 3 h w` in [0, 1] -> one feature map `b c h/s w/s` for each stride s of 4, 8, 16, 32.

    Holds the mean and standard deviation that the backbone expects, so that nothing else needs to know them. Batch
    norm stays frozen in training, because batches are small and mixed; it is therefore folded into the convolutions.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: EncoderConfig = EncoderConfig()):
        super().__init__()
        check_name(config.name)
        try:
            backbone = _backbone(config)
            pad_alike(backbone)
            fold_batch_norm(backbone)
            shapes = [f.shape for f in backbone(torch.zeros(1, 3, *ODD))]
        except (RuntimeError, AssertionError, AttributeError) as error:
            raise ValueError(
                f"encoder {config.name!r} is no timm backbone for photos of any size: {error}"
            ) from error
        info = backbone.feature_info
        where = {stride: index for index, stride in enumerate(info.reduction())}
        if missing := [s for s in STRIDES if s not in where]:
            raise ValueError(
                f"encoder {config.name!r} has no features at stride {missing}; choose one with {STRIDES}"
            )
        if [shape[1] for shape in shapes] != list(info.channels()):
            raise ValueError(
                f"encoder {config.name!r} does not give its features as NCHW; choose a convolutional one"
            )
        self.indices = tuple(where[s] for s in STRIDES)
        # In a list, so that it is no part of the state.
        self._shallow = [_shallow(backbone, self.indices[-2])]
        self.channels = tuple(info.channels()[i] for i in self.indices)
        self.backbone: nn.Module = backbone
        cfg = getattr(backbone, "pretrained_cfg", None) or {}
        self.register_buffer(
            "mean", torch.tensor(cfg.get("mean", (0.485, 0.456, 0.406)))[:, None, None], persistent=False
        )
        self.register_buffer(
            "std", torch.tensor(cfg.get("std", (0.229, 0.224, 0.225)))[:, None, None], persistent=False
        )

    def forward(self, image: Tensor, shallow: bool = False) -> list[Tensor]:
        """shallow: leave out the last stride, and with it the time that it takes."""
        backbone = self._shallow[0] if shallow else self.backbone
        features = backbone((image - self.mean) / self.std)
        return [features[i] for i in (self.indices[:-1] if shallow else self.indices)]


class PaddedConv(nn.Conv2d):
    """A convolution of stride 2 that pads an odd number of pixels as it pads an even one, and one more at the end.

    TensorFlow's padding, with which some backbones were trained, moves by a pixel between the two, and a choice by the
    size does not export. Outputs have half the size, rounded up; those of an even size are the same."""

    def forward(self, x: Tensor) -> Tensor:
        kernel = self.kernel_size[0]
        first = (kernel - 2) // 2
        padded = F.pad(x, (first, kernel - 1 - first) * 2)
        return F.conv2d(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


def pad_alike(model: nn.Module) -> None:
    """Make all square convolutions with TensorFlow's padding and stride 2 PaddedConv, in place."""
    for name, layer in list(model.named_modules()):
        if isinstance(layer, Conv2dSame) and (layer.stride, layer.dilation) == ((2, 2), (1, 1)):
            channels, kernel, bias = (
                (layer.in_channels, layer.out_channels),
                layer.kernel_size[0],
                layer.bias is not None,
            )
            own = PaddedConv(*channels, kernel, 2, groups=layer.groups, bias=bias)
            own.load_state_dict(layer.state_dict())
            model.set_submodule(name, own)


def _shallow(backbone: nn.Module, last: int) -> nn.Module:
    """The backbone as far as its feature map `last`: of the same layers, with what comes after it left out. One pass of
    a small image shows what that is. A backbone that asks more of its layers than to be called stays whole."""
    own = [layer for layer in backbone.modules() if not list(layer.children())]
    shared = {id(x): x for x in (*own, *backbone.parameters(), *backbone.buffers())}
    part = copy.deepcopy(backbone, shared)
    paths = {layer: path for path, layer in part.named_modules()}
    order, started, made = itertools.count(), {}, []

    def start(layer, given):
        started[paths[layer]] = next(order)

    def end(layer, given, output):
        made.append((next(order), output))

    hooks = [layer.register_forward_pre_hook(start) for layer in paths]
    hooks += [layer.register_forward_hook(end) for layer in paths]
    photo = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = part(photo)[: last + 1]
        for hook in hooks:
            hook.remove()
        # The last one, because a layer that works in place gives on what the one before it made.
        done = max((when for when, output in made if output is wanted[last]), default=math.inf)
        after = {path for path, when in started.items() if when > done}
        for path in after:
            if not any(path.startswith(f"{other}.") for other in after):  # those inside of it go with it
                part.set_submodule(path, nn.Identity())
        try:
            alike = all(map(torch.equal, part(photo), wanted))
        except (RuntimeError, AttributeError, TypeError):
            alike = False
    return part if alike else backbone


@torch.no_grad()
def fold_batch_norm(model: nn.Module) -> None:
    """Fold each batch norm that directly follows a convolution into it, in place; an activation that timm keeps in
    the norm stays. One pass of a small image shows which follows which. Other norms stay in place, frozen."""
    produced, pairs = {}, []

    def note(module, inputs, output):
        if isinstance(module, nn.Conv2d):
            produced[id(output)] = (module, output)  # the output is kept, so that no later one gets its id
        elif id(inputs[0]) in produced:
            pairs.append((produced[id(inputs[0])][0], module))

    kinds = (nn.Conv2d, nn.BatchNorm2d)
    hooks = [m.register_forward_hook(note) for m in model.modules() if isinstance(m, kinds)]
    model.eval()(torch.zeros(1, 3, 64, 64))
    for hook in hooks:
        hook.remove()
    names = {module: name for name, module in model.named_modules()}
    for convolution, norm in pairs:
        fused = fuse_conv_bn_eval(convolution, norm).requires_grad_(True)  # the new bias is made frozen
        model.set_submodule(names[convolution], fused)
        model.set_submodule(names[norm], getattr(norm, "act", nn.Identity()))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval().requires_grad_(False)
