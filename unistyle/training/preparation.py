"""What a joint training needs before its first step, made once: photos, masks, teachers, the network, its optimizer.

Each folder is searched once, and what cannot be used is named before any work starts.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs, PartialState
from accelerate.utils import DataLoaderConfiguration, parse_flag_from_env, set_seed
from timm.utils import ModelEmaV3
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from unistyle.batch.processes import meet
from unistyle.checkpoint.checkpoint import checkpoint_file, load_checkpoint
from unistyle.data.labelled import (
    LabelledPhoto,
    MaterialFolder,
    folder_photos,
    list_materials,
    material_photos,
    materials_of,
    object_photos,
)
from unistyle.data.pairs import FixedPairs, MaskedPhotos, PairPhotos, StylePairs
from unistyle.data.views import fit, unreadable, without
from unistyle.maths.masks import has_boundary
from unistyle.maths.schedules import warm_cosine
from unistyle.network.encoder import Encoder
from unistyle.network.model import SMALLEST, NetworkConfig, UniStyleNetwork
from unistyle.network.vocabulary import with_vocabulary
from unistyle.teachers.masks import write_masks
from unistyle.teachers.saliency import Bars, SaliencyConfig, SaliencyData, load_or_train
from unistyle.teachers.vgg import VGG19, read_vgg
from unistyle.training import state
from unistyle.training.config import DataConfig, OptimizerConfig, TrainConfig, check_counts
from unistyle.training.loop import Progress, Student, make_optimizer, moving_average
from unistyle.training.targets.gatys import gatys_results
from unistyle.training.targets.recognition import MaterialTeacher, ObjectTeacher
from unistyle.training.targets.rendering import RenderedPairs
from unistyle.training.targets.samples import style_samples


@dataclass(frozen=True)
class Photos:
    """The photos of a run, each folder searched once."""

    materials: MaterialFolder
    """The folder of the materials, as it was found."""
    own: list[LabelledPhoto]
    """Photos of the materials to train on."""
    contents: list[LabelledPhoto]
    """Further photos to restyle."""
    styles: list[LabelledPhoto]
    """Further style photos."""
    objects: list[LabelledPhoto]
    """Photos with masks of objects in general."""
    reliefs: list[LabelledPhoto]
    """Normal maps for rendered pairs."""
    annotated: list[LabelledPhoto]
    """Photos of the materials with annotated masks, which the thresholds are calibrated on."""
    problems: list[str]
    """Why further photos are left out, "PATH: REASON"."""


class Recognition(NamedTuple):
    """The teachers that are to recognise results."""

    material: MaterialTeacher
    object: ObjectTeacher


@dataclass(frozen=True)
class Run:
    """A joint training that is ready for its first step, or to go on from a state."""

    config: TrainConfig
    accelerator: Accelerator
    photos: Photos
    vgg: VGG19
    """The teacher in whose features style and content are compared, on the device."""
    teachers: Recognition
    """What results are to be recognised by."""
    gatys: Tensor
    """The Gatys teacher's result for each fixed pair, `n 3 s s`; one grey picture where there are none."""
    student: torch.nn.Module
    """The `Student`, prepared by the accelerator, as all below but the averaged weights and the progress."""
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    pairs: DataLoader
    masked: DataLoader
    rendered: DataLoader
    averaged: ModelEmaV3
    """The weights that the run ends in: a moving average."""
    progress: Progress


def make_accelerator(config: OptimizerConfig) -> Accelerator:
    """Where and how precisely a run trains; `accelerate launch` says on how many devices. Raises what `meet` does."""
    # Accelerate takes what is connected already; by itself it would wait for half an hour, and hear no signal.
    PartialState(parse_flag_from_env("ACCELERATE_USE_CPU"), **meet())
    return Accelerator(
        mixed_precision=config.precision,
        dataloader_config=DataLoaderConfiguration(non_blocking=True),
        gradient_accumulation_steps=config.accumulate,
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )


def prepare(config: TrainConfig, accelerator: Accelerator) -> Run:
    """Everything before the first step. Raises ValueError or OSError for what cannot be used, before any work starts:
    settings, folders, masks, weights, the folder of another run. A photo that cannot be read is named and left out.
    The resolved settings are saved as `config.json` in the run's folder, and what it learns from as `photos.json`."""
    check_counts(config, "exemplars", "preview_every", "keep_every")
    check_counts(config.optimizer, "batch", "accumulate", "segment_every", "render_every")
    _check_begin(config)
    _check_crops(config.data)
    checkpoint_file(config.checkpoint)
    set_seed(config.seed)
    photos = find_photos(config.data)
    if accelerator.is_main_process:
        for problem in photos.problems:
            print(f"not used: {problem}", file=sys.stderr)
    kinds = {
        "photos": photos.own,
        "contents": photos.contents,
        "styles": photos.styles,
        "objects": photos.objects,
        "reliefs": photos.reliefs,
    }
    state.begin(config, materials_of(photos.materials), kinds)
    vgg = read_vgg(config.teachers.vgg).to(accelerator.device)
    seen = config.teachers.recogniser
    objects = ObjectTeacher(seen.name, seen.weights, seen.pretrained).to(accelerator.device)
    saliency_masks(config, photos, accelerator)
    network = make_network(config, materials_of(photos.materials))
    opt = config.optimizer
    items = opt.steps * opt.accumulate * opt.batch * accelerator.num_processes
    pairs = make_pairs(config, photos, items)
    gatys = gatys_results(pairs, vgg, config, accelerator).to(accelerator.device)
    teachers = Recognition(material_teacher(config, photos, vgg, accelerator), objects)
    with_masks = [photos.own, photos.objects]
    masked = MaskedPhotos(with_masks, config.data.photo_sizes, opt.batch, items, config.seed)
    seldom = -(-items // opt.render_every)
    source = photos.own, photos.reliefs, config.data
    rendered = RenderedPairs(*source, seldom, config.seed, pairs.samples, opt.batch)
    return _ready(config, accelerator, photos, vgg, teachers, gatys, network, [pairs, masked, rendered])


def _check_begin(config: TrainConfig) -> None:
    """Raises ValueError for a number of steps done that cannot be."""
    opt = config.optimizer
    if not 0 <= opt.begin < opt.steps:
        raise ValueError(
            f"optimizer.begin is {opt.begin}; wanted a number from 0 to {opt.steps - 1}, of all steps"
        )
    if opt.begin and not config.start:
        raise ValueError(
            f"optimizer.begin is {opt.begin}, and there is no start; give --start, what a run kept after that step"
        )


def _check_crops(data: DataConfig) -> None:
    """Raises ValueError for crops that the network cannot take, and for a share that is none."""
    if not 0 <= data.small <= 1:
        raise ValueError(f"data.small is {data.small}; wanted a share of the steps, from 0 to 1")
    if not all(0 <= share <= 1 for share in data.laid):
        raise ValueError(f"data.laid is {data.laid}; wanted two shares of the pairs, from 0 to 1 each")
    least = SMALLEST * 3 // 2 if data.small else SMALLEST
    if min(data.crops, default=0) < least:
        why = "; the first ones have two thirds of that (data.small)" if data.small else ""
        raise ValueError(f"data.crops {data.crops}; wanted one or more, of {least} pixels or more each{why}")


def _ready(
    config: TrainConfig,
    accelerator: Accelerator,
    photos: Photos,
    vgg: VGG19,
    teachers: Recognition,
    gatys: Tensor,
    network: UniStyleNetwork,
    drawn: Sequence[Dataset],
) -> Run:
    """The run, with everything that learns prepared by the accelerator and registered for its states."""
    opt = config.optimizer
    network.to(accelerator.device).to(memory_format=torch.channels_last)
    network.encoder.requires_grad_(opt.encoder_lr > 0)
    optimizer = make_optimizer(network, opt)
    schedule = warm_cosine(optimizer, opt.steps, opt.warmup, opt.warmup, floor=0.05, begin=opt.begin)
    averaged = moving_average(network, opt.ema)
    progress = Progress(opt.begin)
    pinned = accelerator.device.type == "cuda"  # so that batches arrive while it computes
    loader = partial(DataLoader, batch_size=opt.batch, num_workers=config.data.workers, pin_memory=pinned)
    student, optimizer, *loaders = accelerator.prepare(Student(network), optimizer, *map(loader, drawn))
    accelerator.register_for_checkpointing(schedule, averaged, progress)
    pair_loader, mask_loader, rendered = loaders
    return Run(config, accelerator, photos, vgg, teachers, gatys, student, optimizer, schedule, pair_loader,
               mask_loader, rendered, averaged, progress)  # fmt: skip


def find_photos(data: DataConfig) -> Photos:
    """The photos of a run without those that cannot be read, whose reasons are kept. Raises ValueError or OSError for a
    folder or a file that cannot be used, or where no photo of a folder can be."""
    materials = list_materials(data.photos)
    groups = [
        material_photos(materials, data.split, data.masks),
        folder_photos(data.contents, Path(data.masks) / "contents" if data.masks and data.objects else None),
        folder_photos(data.styles),
        object_photos(data.objects) if data.objects else [],
        folder_photos([data.reliefs] if data.reliefs else []),
    ]
    candidates = _candidates(data, materials)
    broken = unreadable(photo for group in [*groups, candidates] for photo in group)
    own, contents, styles, objects, reliefs = (without(group, broken) for group in groups)
    names = {photo.path for photo in broken}
    images = {name: [path for path in paths if path not in names] for name, paths in materials.images.items()}
    # Some are enough to calibrate on, whatever they are of.
    readable = [photo for photo in candidates if photo not in broken]
    annotated = _bounded(data, readable or without(candidates, broken))
    problems = list(dict.fromkeys(broken.values()))
    found = MaterialFolder(materials.root, images)
    return Photos(found, own, contents, styles, objects, reliefs, annotated, problems)


def annotated_photos(data: DataConfig, materials: MaterialFolder) -> list[LabelledPhoto]:
    """The photos that the thresholds are calibrated on: those whose masks have a boundary to find. None where the
    settings name none. Raises what `material_photos` and `fit` do, and ValueError where no mask has a boundary."""
    return _bounded(data, _candidates(data, materials))


def _candidates(data: DataConfig, materials: MaterialFolder) -> list[LabelledPhoto]:
    if not (data.annotated and data.calibrate):
        return []
    return material_photos(materials, data.calibrate, data.annotated)


def _bounded(data: DataConfig, photos: list[LabelledPhoto]) -> list[LabelledPhoto]:
    bounded = [photo for photo in photos if has_boundary(fit(photo, data.photo_sizes[-1])[1] > 0.5)]
    if photos and not bounded:
        raise ValueError(
            f"the masks of {data.calibrate} in {data.annotated} fill their photos ({len(photos)} of them): the "
            "threshold is calibrated on masks that cover less than 95 %; give such, or leave data.calibrate out"
        )
    return bounded


def make_network(config: TrainConfig, materials: tuple[str, ...]) -> UniStyleNetwork:
    """A new network, or that of the checkpoint `config.start`, for the materials of the photos."""
    if config.start is None:
        return UniStyleNetwork(NetworkConfig(config.encoder, materials))
    return with_vocabulary(load_checkpoint(config.start).network, materials).requires_grad_(True)


def first_encoder(config: TrainConfig) -> Encoder | None:
    """The encoder that the run, or the one that it goes on from, began with; None where it knew nothing."""
    if config.start and not config.optimizer.begin:
        return load_checkpoint(config.start).network.encoder
    return Encoder(config.encoder) if config.encoder.pretrained else None


def saliency_masks(config: TrainConfig, photos: Photos, accelerator: Accelerator) -> None:
    """Have the saliency teacher write the masks that are missing in `config.data.masks`."""
    data, teachers = config.data, config.teachers
    if data.masks is None:
        return
    with accelerator.main_process_first():  # the others then find the masks
        missing = [p for p in photos.own + photos.contents if p.mask and not p.mask.is_file()]
        if missing:
            bars = Bars()
            settings = SaliencyConfig(config.encoder, teachers.objects, teachers.adapt, teachers.rounds)
            source = SaliencyData(photos.materials, data.split, photos.objects, photos.annotated)
            teacher = load_or_train(source, teachers.saliency_cache, settings, bars, accelerator.device)
            write_masks(teacher, missing, data.masks, progress=partial(bars, "masks"))


def make_pairs(config: TrainConfig, photos: Photos, length: int) -> StylePairs:
    """`length` pairs of a crop and a style photo."""
    fixed = FixedPairs(config.teachers.gatys_pairs, config.teachers.gatys_share)
    sources = PairPhotos(photos.own + photos.contents, photos.own, photos.styles)
    return StylePairs(
        sources, config.data, length, config.seed, fixed, style_samples(config.data), config.optimizer.batch
    )


def material_teacher(
    config: TrainConfig, photos: Photos, vgg: VGG19, accelerator: Accelerator
) -> MaterialTeacher:
    """The teacher of materials, fitted to their photos, on the device of VGG-19."""
    device = next(vgg.parameters()).device
    material = MaterialTeacher(len(materials_of(photos.materials))).to(device)
    views = [fit(photo, config.data.style_size) for photo in photos.own]
    material.fit(vgg, views, [photo.label for photo in photos.own], accelerator.autocast)
    return material
