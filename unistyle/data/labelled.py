"""Training data: photos in material folders, pairs of photo and style, photos with masks.

Item i of every data set is a function of (seed, i) alone, so a run that resumes at a step sees what it would have
seen, and processes that share the work agree without talking.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from unistyle.files.folders import list_images


@dataclass(frozen=True)
class LabelledPhoto:
    """A photo, its mask if it has one, and the index of its material (-1: unknown)."""

    path: Path
    mask: Path | None = None
    label: int = -1


def materials_of(folder: str | Path) -> tuple[str, ...]:
    """The vocabulary: names of the folders below `folder` that hold photos."""
    root = Path(folder)
    if not root.is_dir():
        raise FileNotFoundError(f"no folder {root}: expected one with a folder a material, photos inside")
    names = tuple(sorted(p.name for p in root.iterdir() if p.is_dir() and list_images(p)))
    if not names:
        raise ValueError(f"{root} holds no folder with photos: expected a folder a material, photos inside")
    return names


def material_photos(
    folder: str | Path, split: str | Path | None = None, masks: str | Path | None = None
) -> list[LabelledPhoto]:
    """Photos of the material folders, with the masks `masks/material/stem.png`. `split` names the photos to take."""
    wanted = set(Path(split).read_text().split()) if split else None
    photos = []
    for label, name in enumerate(materials_of(folder)):
        for path in list_images(Path(folder) / name):
            mask = Path(masks) / name / f"{path.stem}.png" if masks else None
            if wanted is None or f"{name}/{path.stem}" in wanted:
                photos.append(LabelledPhoto(path, mask, label))
    if not photos:
        raise ValueError(
            f"none of the photos in {folder} is named in {split}: expected lines like `material/stem`"
        )
    return photos


def object_photos(folder: str | Path) -> list[LabelledPhoto]:
    """Photos `image/` with masks of the same stem in `mask/`."""
    masks = {p.stem: p for p in list_images(Path(folder) / "mask")}
    photos = [LabelledPhoto(p, masks[p.stem]) for p in list_images(Path(folder) / "image") if p.stem in masks]
    if not photos:
        raise ValueError(f"{folder} holds no pairs: expected image/STEM.jpg with mask/STEM.png")
    return photos


def hold_out(
    photos: Sequence[LabelledPhoto], share: float = 0.125, seed: int = 0
) -> tuple[list[LabelledPhoto], list[LabelledPhoto]]:
    """Photos to train on and a held-out part, `share` of every material, for folders without a split of their own."""
    generator, train, held = torch.Generator().manual_seed(seed), [], []
    for label in sorted({p.label for p in photos}):
        own = [p for p in photos if p.label == label]
        order = torch.randperm(len(own), generator=generator).tolist()
        count = max(len(own) > 1, round(len(own) * share))
        held += [own[i] for i in order[:count]]
        train += [own[i] for i in order[count:]]
    return train, held


def split_photos(
    photos: str | Path, split: str | Path | None
) -> tuple[list[LabelledPhoto], list[LabelledPhoto]]:
    """The photos to train on and those held out."""
    everything = material_photos(photos)
    if split is None:
        return hold_out(everything)
    train = material_photos(photos, split)
    return train, [p for p in everything if p not in set(train)]
