"""Photos in folders: which there are, their labels, their masks, and which of them are trained on.

The mask of a photo is `STEM.mask.*` beside it; where there is none, that of a folder of masks.
"""

import codecs
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from unistyle.files.folders import folders_in, list_images, own_mask, same, there


@dataclass(frozen=True)
class LabelledPhoto:
    """A photo with what is known of it."""

    path: Path
    mask: Path | None = None
    """The file of its mask, which may not exist yet; None where there is none to be."""
    label: int = -1
    """Index of its material in the vocabulary; -1 where it is unknown."""

    @property
    def mask_path(self) -> Path:
        """The file of the mask. Raises FileNotFoundError for a photo that has none."""
        if self.mask is None:
            raise FileNotFoundError(f"{self.path} has no mask; give the folder that holds it")
        return self.mask


@dataclass(frozen=True)
class MaterialFolder:
    """A folder with one folder per material, searched once."""

    root: Path
    images: dict[str, list[Path]]
    """The photos of each material, in the order of the names."""


def list_materials(folder: str | Path) -> MaterialFolder:
    """The materials of a folder and their photos: the names of the folders inside that hold photos.

    Raises FileNotFoundError where there is no such folder, and ValueError where it holds no material.
    """
    root = Path(folder)
    if not root.is_dir():
        raise FileNotFoundError(f"no folder {root}: give one with one folder per material, photos inside")
    images = {same(path.name): found for path in folders_in(root) if (found := list_images(path))}
    if not images:
        raise ValueError(
            f"{root} holds no folder with photos: give one with one folder per material, photos inside"
        )
    return MaterialFolder(root, images)


def _listed(folder: str | Path | MaterialFolder) -> MaterialFolder:
    return folder if isinstance(folder, MaterialFolder) else list_materials(folder)


def materials_of(folder: str | Path | MaterialFolder) -> tuple[str, ...]:
    """The vocabulary: the names of the materials of a folder. Raises what `list_materials` does."""
    return tuple(_listed(folder).images)


def material_photos(
    folder: str | Path | MaterialFolder, split: str | Path | None = None, masks: str | Path | None = None
) -> list[LabelledPhoto]:
    """Photos of the material folders, each with the mask beside it or `masks/MATERIAL/STEM.png`.

    split: a file with one line `MATERIAL/STEM` for each photo to take, with or without its ending; None takes all.
    Warns of lines that name no photo. Raises what `list_materials` does, FileNotFoundError where there is no such file,
    and ValueError where it names none of the photos.
    """
    materials, wanted = _listed(folder), _read_split(split) if split else None
    photos, named = [], set()
    for label, (name, paths) in enumerate(materials.images.items()):
        for path in paths:
            own = {same(f"{name}/{path.stem}"), same(f"{name}/{path.name}")}
            if wanted is None or own & wanted:
                photos.append(LabelledPhoto(path, _mask_of(path, masks, f"{name}/{path.stem}.png"), label))
                named |= own
    if wanted and photos and (missing := sorted(wanted - named)):
        warnings.warn(
            f"{split} names {len(missing)} photos that are not in {materials.root}, such as {missing[0]}",
            stacklevel=2,
        )
    if not photos:
        raise ValueError(
            f"{split} names none of the photos in {materials.root}: wanted one line MATERIAL/STEM for each photo, "
            f"such as {_example(materials)}"
        )
    return photos


def _read_split(path: str | Path) -> set[str]:
    if not Path(path).is_file():
        raise FileNotFoundError(f"no file {path}: give one with one line MATERIAL/STEM for each photo")
    data = Path(path).read_bytes()
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # as some editors of Windows write
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no UTF-8 text: wanted one line MATERIAL/STEM for each photo") from error
    return {same(line.strip().replace("\\", "/")) for line in text.splitlines() if line.strip()}


def _mask_of(photo: Path, masks: str | Path | None, name: str) -> Path | None:
    """The mask beside a photo, or else the file `name` in the folder of masks, which may not exist yet."""
    return own_mask(photo) or (there(Path(masks) / name) if masks else None)


def _example(materials: MaterialFolder) -> str:
    name, paths = next(iter(materials.images.items()))
    return f"{name}/{paths[0].stem}"


def object_photos(folder: str | Path) -> list[LabelledPhoto]:
    """Photos `image/STEM.jpg` with masks `mask/STEM.png` of the objects in them. Raises ValueError where there is no
    such pair."""
    masks = {same(path.stem): path for path in list_images(Path(folder) / "mask")}
    images = list_images(Path(folder) / "image")
    photos = [LabelledPhoto(path, masks[same(path.stem)]) for path in images if same(path.stem) in masks]
    if not photos:
        raise ValueError(f"{folder} holds no photo with a mask: wanted image/STEM.jpg with mask/STEM.png")
    return photos


def folder_photos(folders: Sequence[str | Path], masks: str | Path | None = None) -> list[LabelledPhoto]:
    """Photos of anything below some folders, each with the mask beside it or `masks/FOLDER/NAME.png`, NAME with its
    suffix. Raises ValueError for a folder that holds none."""
    photos = []
    for folder in map(Path, folders):
        if not (found := list_images(folder)):
            raise ValueError(f"no photos in {folder}: give a folder that exists and holds photos")
        for path in found:
            name = f"{path.relative_to(folder)}.png"
            photos.append(LabelledPhoto(path, _mask_of(path, masks, f"{folder.resolve().name}/{name}")))
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
    photos: str | Path | MaterialFolder, split: str | Path | None
) -> tuple[list[LabelledPhoto], list[LabelledPhoto]]:
    """The photos to train on and those held out. Raises what `material_photos` does."""
    listed = _listed(photos)
    everything = material_photos(listed)
    if split is None:
        return hold_out(everything)
    train = material_photos(listed, split)
    chosen = set(train)
    return train, [p for p in everything if p not in chosen]
