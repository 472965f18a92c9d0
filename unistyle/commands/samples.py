"""Samples for the exemplars of a bank: from a folder, or synthesised from statistics (`unistyle bank samples`)."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from unistyle.checkpoint.checkpoint import load_checkpoint, save_checkpoint
from unistyle.commands.arguments import argument, checkpoint_out, whole_number
from unistyle.devices import pick_device
from unistyle.errors import ImageError, StyleError
from unistyle.files.folders import list_images
from unistyle.files.photos import read_image
from unistyle.files.tensors import to_pil, to_tensor
from unistyle.files.writing import save_png
from unistyle.network.model import UniStyleNetwork
from unistyle.styles.bank import StyleBank
from unistyle.styles.exemplars import read_exemplar
from unistyle.styles.samples import rectangle_of
from unistyle.styles.swatches import TILE, Swatches


@dataclass
class Samples:
    """Give the exemplars of a bank samples from a folder with a picture STYLE/EXEMPLAR.png for each, 256 pixels a
    side, that repeats without a seam. With --photos, those that are missing are synthesised from the statistics of
    photos, which takes two minutes each; no pixel of a photo is in them.

    unistyle bank samples mine.safetensors --samples tiles/ --photos DATA/fmd/image --out mine.safetensors
    """

    checkpoint: str = argument(positional=True, metavar="CHECKPOINT")
    """File, folder or hub id."""
    samples: Path = argument(metavar="FOLDER")
    """The folder with the pictures, to which those that are synthesised are added. Exemplars without one have no
    sample."""
    out: Path = argument(type=checkpoint_out, metavar="FILE")
    """The new checkpoint."""
    photos: Path | None = argument(None, metavar="FOLDER")
    """Photos STYLE/EXEMPLAR.*, such as those that the exemplars were made from."""
    vgg: Path | None = argument(None, metavar="FILE")
    """Weights of VGG-19 as safetensors. Without it they come from the hub."""
    device: str = argument("auto", metavar="NAME")
    """auto, cpu, cuda, cuda:1 or mps, for what is to be synthesised."""
    iterations: int = argument(60, type=whole_number(1), metavar="N")
    """Of the optimisation, at each of three sizes."""


def give_samples(settings: Samples) -> None:
    """Write the checkpoint with the samples. Raises StyleError where the folder has none and none were to be made."""
    checkpoint = load_checkpoint(settings.checkpoint)
    if settings.photos:
        _synthesise_missing(settings, settings.photos, checkpoint.network, checkpoint.bank)
    tiles = [_read(settings.samples / style / f"{name}.png") for style, name in checkpoint.bank.names]
    there = torch.tensor([tile is not None for tile in tiles])
    if not (there.any() or settings.photos):
        raise StyleError(
            f"{settings.samples} has no STYLE/EXEMPLAR.png of this bank, such as "
            f"{'/'.join(checkpoint.bank.names[0])}.png; give --photos to make them"
        )
    empty = torch.zeros(3, TILE, TILE, dtype=torch.uint8)
    full = torch.stack([empty if tile is None else tile for tile in tiles])
    bank = StyleBank.of(checkpoint.bank.names, Swatches(checkpoint.bank.codes, full, there.float()))
    count = f"{int(there.sum())} of {len(tiles)} exemplars have a sample"
    origin = (
        "those that were missing synthesised from statistics of photos" if settings.photos else "of a folder"
    )
    notes = checkpoint.notes | {"samples": f"{count}, {origin}"}
    print(
        f"{count} in {save_checkpoint(settings.out, replace(checkpoint, bank=bank, notes=notes), half=None)}"
    )


def _read(path: Path) -> Tensor | None:
    """A tile, uint8 `3 TILE TILE`; None where there is no such file. Raises ImageError for another size."""
    if not path.is_file():
        return None
    picture = read_image(path)
    if picture.size != (TILE, TILE):
        raise ImageError(f"{path}: {picture.size[0]} x {picture.size[1]} pixels; wanted {TILE} x {TILE}")
    return (to_tensor(picture) * 255).round().byte()


def _synthesise_missing(settings: Samples, folder: Path, network: UniStyleNetwork, bank: StyleBank) -> None:
    """Write the samples that are missing, as far as there are photos for them."""
    photos = {(path.parent.name, path.stem): path for path in list_images(folder)}
    missing = [
        n for n in bank.names if n in photos and not (settings.samples / n[0] / f"{n[1]}.png").is_file()
    ]
    if not missing:
        return
    # Here, because what else is done with a bank does without VGG-19.
    from unistyle.teachers.synthesis import synthesise
    from unistyle.teachers.vgg import read_vgg

    vgg = read_vgg(settings.vgg).to(device := pick_device(settings.device))
    for style, name in tqdm(missing, desc="samples"):
        exemplar = read_exemplar(network, style, photos[style, name])
        if (picture := rectangle_of(exemplar.image, exemplar.region)) is None:
            tqdm.write(f"{style}/{name}: its region has no rectangle that shows a texture; no sample")
            continue
        tile = synthesise(vgg, picture.to(device), TILE, iterations=settings.iterations)
        save_png(to_pil(tile[0]), settings.samples / style / f"{name}.png")
