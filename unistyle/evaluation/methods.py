"""Ways to restyle a region. Each is called with a `Transfer`."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from unistyle.data.transfer import Transfer
from unistyle.evaluation.pairs import SIZE, Pair, load_pair, sized_pair
from unistyle.files.tensors import to_pil, to_tensor
from unistyle.maths.resizing import to_size
from unistyle.network.composite import composite
from unistyle.network.model import UniStyleNetwork
from unistyle.restyle.pipeline import UniStyle
from unistyle.teachers.cache import GatysCache
from unistyle.teachers.gatys import GatysConfig, recolour, restyle

Method = Callable[[Transfer], Tensor]  # the result is `1 3 h w` in [0, 1], of the photo's size


def public_method(model: UniStyle, strength: float = 1.0) -> Method:
    """The public call as users make it: 8 bits in and out, and the network finds the style's region by itself."""

    def run(transfer: Transfer) -> Tensor:
        photo, style, mask = (to_pil(x[0]) for x in (transfer.photo, transfer.style, transfer.region))
        return to_tensor(model.restyle(photo, to=style, mask=mask, strength=strength).image)[None]

    return run


def bank_method(model: UniStyle, style: str, strength: float = 1.0) -> Method:
    """The public call with a style of the bank in place of the style photo."""

    def run(transfer: Transfer) -> Tensor:
        photo, mask = (to_pil(x[0]) for x in (transfer.photo, transfer.region))
        return to_tensor(model.restyle(photo, to=style, mask=mask, strength=strength).image)[None]

    return run


def whole_method(network: UniStyleNetwork) -> Method:
    """The network blind to regions: code and statistics are those of whole photos, and the result is cut out
    afterwards."""

    @torch.inference_mode()
    def run(transfer: Transfer) -> Tensor:
        photo, style, region, style_region = transfer
        codes = network.encode_style(style, torch.ones_like(style_region))
        return composite(photo, network(photo, codes, torch.ones_like(region)).image, region)

    return run


def gatys_method(vgg: nn.Module, config: GatysConfig, cache: Path | None = None) -> Method:
    """The Gatys teacher. Finished results are kept in the folder `cache`."""
    if cache:
        return GatysCache(cache, vgg, config).restyle
    return lambda transfer: restyle(vgg, *transfer, config)


def photo_method(transfer: Transfer) -> Tensor:
    """The untouched photo, whose relative distance to the style is 1."""
    return transfer.photo


def colour_method(transfer: Transfer) -> Tensor:
    """Recolouring alone: the region gets the mean and standard deviation of each RGB channel of the style."""
    return composite(transfer.photo, recolour(*transfer), transfer.region)


def result_of(
    pair: Pair, method: Method, longest: int = SIZE, device: str | torch.device = "cpu"
) -> tuple[Transfer, Tensor]:
    """The pair at the size at which it is compared, and at the same size the result for a photo whose longer side is
    `longest` pixels, with the 256 values of an 8-bit file."""
    wanted, given = (
        Transfer(*(x.to(device) for x in t)) for t in (load_pair(pair), sized_pair(pair, longest))
    )
    result = to_size(method(given).to(device), wanted.photo.shape[-2:], antialias=True)
    return wanted, (result.clamp(0, 1) * 255).round() / 255
