"""What a run needs before its first step: network, pairs, the saliency teacher's masks, the Gatys teacher's results."""

from functools import partial

import torch
from accelerate import Accelerator
from torch import Tensor
from tqdm import tqdm

from unistyle.checkpoint.checkpoint import load_checkpoint
from unistyle.data.labelled import LabelledPhoto, material_photos
from unistyle.data.pairs import StylePairs
from unistyle.data.transfer import Transfer
from unistyle.files.folders import list_images
from unistyle.network.model import NetworkConfig, UniStyleNetwork
from unistyle.network.vocabulary import with_vocabulary
from unistyle.teachers.cache import GatysCache
from unistyle.teachers.gatys import GatysConfig
from unistyle.teachers.masks import write_masks
from unistyle.teachers.saliency import Bars, SaliencyConfig, load_or_train
from unistyle.teachers.vgg import VGG19
from unistyle.training.config import TrainConfig
from unistyle.training.finish import annotated_photos


def make_network(config: TrainConfig, materials: tuple[str, ...]) -> UniStyleNetwork:
    """A new network, or that of the checkpoint `config.start`, for the materials of the photos."""
    if config.start is None:
        return UniStyleNetwork(NetworkConfig(config.encoder, materials))
    return with_vocabulary(load_checkpoint(config.start).network, materials).requires_grad_(True)


def saliency_masks(config: TrainConfig, accelerator: Accelerator) -> None:
    """Have the saliency teacher write the masks that are missing in `config.data.masks`."""
    data, teachers = config.data, config.teachers
    if data.masks is None:
        return
    with accelerator.main_process_first():  # the others then find the masks
        photos = material_photos(data.photos, data.split, data.masks)
        missing = [photo for photo in photos if not photo.mask.is_file()]
        if missing:
            bars = Bars()
            settings = SaliencyConfig(config.encoder, teachers.objects, teachers.adapt, teachers.rounds)
            teacher = load_or_train(
                data.photos,
                teachers.saliency_cache,
                settings,
                data.split,
                data.objects,
                annotated_photos(config),
                bars,
                accelerator.device,
            )
            write_masks(teacher, missing, data.masks, progress=partial(bars, "masks"))


def make_pairs(config: TrainConfig, materials: list[LabelledPhoto], length: int) -> StylePairs:
    data = config.data
    contents = materials + [LabelledPhoto(p) for folder in data.contents for p in list_images(folder)]
    others = [LabelledPhoto(p) for folder in data.styles for p in list_images(folder)]
    teachers = config.teachers
    return StylePairs(
        contents, materials, others, data, length, config.seed, teachers.gatys_pairs, teachers.gatys_share
    )


def gatys_results(pairs: StylePairs, vgg: VGG19, config: TrainConfig, accelerator: Accelerator) -> Tensor:
    """The teacher's result for each fixed pair, `n 3 s s` (one grey image if there are none); made where missing."""
    cache = GatysCache(
        config.teachers.gatys_cache, vgg, GatysConfig(iterations=config.teachers.gatys_iterations)
    )
    results = []
    bar = tqdm(range(pairs.fixed), desc="Gatys teacher", disable=not accelerator.is_main_process)
    with accelerator.main_process_first():  # the others then find everything in the cache
        for index in bar:
            item = pairs.fixed_pair(index)
            images = (item[name][None].to(accelerator.device) for name in Transfer._fields)
            results.append(cache.restyle(Transfer(*images))[0].cpu())
    side = config.data.crop
    return torch.stack(results) if results else torch.full((1, 3, side, side), 0.5)
