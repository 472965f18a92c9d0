"""Results of the Gatys teacher that the network is to come near."""

import torch
from accelerate import Accelerator
from torch import Tensor
from tqdm import tqdm

from unistyle.data.pairs import StylePairs
from unistyle.data.transfer import Transfer
from unistyle.files.tensors import as_float
from unistyle.network.fuse import lay_over
from unistyle.network.laying import Samples
from unistyle.teachers.cache import GatysCache
from unistyle.teachers.gatys import GatysConfig, recolour
from unistyle.teachers.vgg import VGG19
from unistyle.training.config import TrainConfig


def gatys_results(pairs: StylePairs, vgg: VGG19, config: TrainConfig, accelerator: Accelerator) -> Tensor:
    """The teacher's result for each fixed pair, `n 3 s s` (one grey image if there are none); made where missing. It
    begins with the sample laid over the photo: from the photo alone it makes no planks either."""
    cache = GatysCache(
        config.teachers.gatys_cache, vgg, GatysConfig(iterations=config.teachers.gatys_iterations)
    )
    results = []
    bar = tqdm(range(pairs.fixed.count), desc="Gatys teacher", disable=not accelerator.is_main_process)
    with accelerator.main_process_first():  # the others then find everything in the cache
        for index in bar:
            item = pairs.fixed_pair(index)
            transfer = Transfer(*(item[name][None].to(accelerator.device) for name in Transfer._fields))
            results.append(cache.restyle(transfer, start=laid_start(transfer, item))[0].cpu())
    side = config.data.crops[0]
    return torch.stack(results) if results else torch.full((1, 3, side, side), 0.5)


def laid_start(transfer: Transfer, item: dict) -> Tensor:
    """The photo in the style's colours with the sample of an item of `StylePairs` laid over it, `1 3 h w`."""
    recoloured = recolour(*transfer)
    tile, structure = as_float(item["tile"])[None, None], recoloured.new_full((1, 1), item["structure"])
    height, width = recoloured.shape[-2:]
    laid = lay_over(transfer.photo, recoloured, transfer.region, Samples(tile.to(recoloured), structure))
    return laid.over(recoloured, (height, width), (0, height), (0, width))
