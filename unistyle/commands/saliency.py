"""The saliency teacher by itself: `unistyle saliency`."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

from unistyle.commands.arguments import read_settings, run, settings_parser
from unistyle.data.labelled import material_photos, materials_of, split_photos
from unistyle.devices import pick_device
from unistyle.errors import UsageError
from unistyle.teachers.comparison import compare, with_masks
from unistyle.teachers.masks import write_masks
from unistyle.teachers.saliency import Bars, SaliencyConfig, SaliencyData, load_or_train


@dataclass
class Saliency:
    """Make soft masks of the materials in photos, from image-level labels and a knowledge of objects.

    unistyle saliency --photos photos/ --objects DATA/ecssd --out masks/
    unistyle saliency --photos DATA/fmd/image --split DATA/fmd/train.txt --objects DATA/ecssd --masks DATA/fmd/mask
    """

    photos: str
    """Folder with one folder for each material, photos inside."""
    out: str | None = None
    """Where the masks are written, as MATERIAL/STEM.png, 8-bit grey. Without it, only --masks is done."""
    method: Literal["simonyan", "distinct", "objects", "combined"] = "combined"
    """Which maps are written: gradients at the image; distinct class-specific maps; the object network's answer; the
    last two together."""
    split: str | None = None
    """File that names the photos to train on, one MATERIAL/STEM on each line. Without it, a random 7/8 of each
    material."""
    objects: str | None = None
    """Folder with photos and masks of objects in general: image/ and mask/, as in ECSSD. Without it, there is no
    object network."""
    masks: str | None = None
    """Annotated masks of the photos held out, MATERIAL/STEM.png. They are never trained on: the masks' bias is
    calibrated on them, and a table of all methods is printed."""
    cache: str = "cache/saliency"
    """Where the trained networks are kept."""
    device: str = "cpu"
    """auto, cpu, cuda, cuda:1, mps."""
    encoder_weights: str | None = None
    """ImageNet weights of the encoder as safetensors. Without it they come from the hub."""
    settings: SaliencyConfig = field(default_factory=SaliencyConfig)
    """How the networks are trained."""


def parser() -> argparse.ArgumentParser:
    """The parser of this command."""
    return settings_parser(Saliency, "unistyle saliency")


def saliency(given: Saliency) -> None:
    """Train the teacher as far as its cache does not hold it, write the masks, print the table."""
    if not (given.out or given.masks):
        raise UsageError("nothing to do: give --out for masks, --masks for a table, or both")
    device, config = pick_device(given.device), given.settings
    if given.encoder_weights:
        config = replace(config, encoder=replace(config.encoder, weights=given.encoder_weights))
    bars, annotated = Bars(), []
    if given.masks:
        held = split_photos(given.photos, given.split)[1]
        annotated = with_masks(held, materials_of(given.photos), given.masks)
    data = SaliencyData(given.photos, given.split, given.objects, annotated)
    teacher = load_or_train(data, given.cache, config, bars, device)
    if given.out:
        write_masks(teacher, material_photos(given.photos), given.out, given.method, partial(bars, "masks"))
    if given.masks:
        print(compare(teacher, annotated, given.cache, bars))


def main(argv: Sequence[str] | None = None) -> int:
    """0: done; 2: bad usage or input."""
    return run("unistyle saliency", lambda: saliency(read_settings(Saliency, "unistyle saliency", argv)))
