"""Ways to restyle a region, all called alike."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from unistyle.data.transfer import Transfer
from unistyle.network.composite import composite
from unistyle.network.model import UniStyleNetwork
from unistyle.teachers.cache import GatysCache
from unistyle.teachers.gatys import GatysConfig, recolour, restyle

# (photo 1 3 h w, region 1 1 h w, style 1 3 h w, style_region 1 1 h w) -> result 1 3 h w
Method = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def network_method(network: UniStyleNetwork, strength: float = 1.0) -> Method:
    """The network: the code from the style's region, the photo restyled in its own, with a strength in [0, 1]."""

    @torch.inference_mode()
    def run(photo, region, style, style_region):
        return network(photo, network.encode_style(style, style_region), region, strength=strength).image

    return run


def whole_method(network: UniStyleNetwork) -> Method:
    """The network blind to regions: code and statistics of whole photos, the result cut out afterwards."""

    @torch.inference_mode()
    def run(photo, region, style, style_region):
        codes = network.encode_style(style, torch.ones_like(style_region))
        return composite(photo, network(photo, codes, torch.ones_like(region)).image, region)

    return run


def gatys_method(vgg: nn.Module, config: GatysConfig, cache: Path | None = None) -> Method:
    """The Gatys teacher, with finished results kept in `cache`."""
    run = GatysCache(cache, vgg, config).restyle if cache else lambda job: restyle(vgg, *job, config)
    return lambda photo, region, style, style_region: run(Transfer(photo, style, region, style_region))


def photo_method(photo, region, style, style_region) -> Tensor:
    """The untouched photo: a relative distance of 1."""
    return photo


def colour_method(photo, region, style, style_region) -> Tensor:
    """Recolouring alone: mean and standard deviation of the style's RGB channels inside the region."""
    return composite(photo, recolour(photo, style, region, style_region), region)
