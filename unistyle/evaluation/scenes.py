"""What each place of a photo is made of, against photos labelled pixel by pixel and composites with exact labels.

A label map is uint8 `h w`: 0 is other (surely none of the materials), 1 and up are materials, 255 is ignored. Counts
are matrices `1+m 1+m` of pixels: rows are what is annotated, columns what is found; 0 is other, or nothing found.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import torch
from einops import reduce
from PIL import Image
from torch import Tensor

from unistyle.data.labelled import LabelledPhoto
from unistyle.errors import ImageError
from unistyle.evaluation.rows import Row
from unistyle.files.folders import list_images
from unistyle.files.photos import read_image, read_mask
from unistyle.files.tensors import to_tensor
from unistyle.maths.resizing import to_size
from unistyle.network.composite import alpha_of
from unistyle.network.model import UniStyleNetwork

IGNORE = 255
PRESENT = 200  # pixels from which a material counts as present in a set


@dataclass(frozen=True)
class Scene:
    """A photo and its label map, both in files."""

    path: Path
    label: Path

    def read(self) -> tuple[Tensor, Tensor]:
        """The photo `1 3 h w` in [0, 1], and its label map. Raises ImageError where they do not fit."""
        image = to_tensor(read_image(self.path))[None]
        with Image.open(
            self.label
        ) as stored:  # an index for each pixel, which `read_mask` would take for a grey
            label = torch.from_numpy(np.array(stored))
        if label.ndim != 2 or label.shape != image.shape[-2:]:
            sizes = f"{tuple(label.shape)} for a photo of {tuple(image.shape[-2:])}"
            raise ImageError(
                f"{self.label}: a label map of shape {sizes}; wanted one 8-bit value for each pixel"
            )
        return image, label


def list_scenes(folder: Path) -> list[Scene]:
    """Photos `image/NAME.*` with label maps `label/NAME.png`. Raises FileNotFoundError where there are none, or where
    a photo has no label map."""
    photos = list_images(folder / "image") if folder.is_dir() else []
    if not photos:
        raise FileNotFoundError(
            f"no photos in {folder / 'image'}: expected image/NAME.jpg with label/NAME.png"
        )
    scenes = [Scene(path, folder / "label" / f"{path.stem}.png") for path in photos]
    if missing := [scene.label for scene in scenes if not scene.label.is_file()]:
        raise FileNotFoundError(f"no label map {missing[0]} ({len(missing)} missing)")
    return scenes


@torch.inference_mode()
def found_labels(network: UniStyleNetwork, image: Tensor, names: Sequence[str], main: bool = False) -> Tensor:
    """The label map that the network finds in a photo `1 3 h w`, with the labels of `names`.

    As users get it: a place belongs to a material where alpha is above a half, and then to the one with the largest
    share. Materials that `names` does not have become other. main: only what the main object is made of; all around
    it is other.
    """
    logits = network.find(image)[1]
    own = slice(len(network.config.materials))
    regions = network.places(logits)[:, own] if main else network.found(logits).materials
    alpha = alpha_of(image, reduce(regions, "b m h w -> b 1 h w", "sum"))[0, 0]
    largest = to_size(regions, image.shape[-2:])[0].argmax(0).cpu()
    known = network.config.materials
    labels = torch.tensor([names.index(name) + 1 if name in names else 0 for name in known])
    return torch.where(alpha.cpu() > 0.5, labels[largest], 0)


def count(annotated: Tensor, found: Tensor, materials: int) -> Tensor:
    """Counts of one photo; pixels that are annotated as IGNORE are left out."""
    keep = annotated != IGNORE
    pairs = annotated[keep].long() * (1 + materials) + found[keep].long()
    return torch.bincount(pairs, minlength=(1 + materials) ** 2).view(1 + materials, 1 + materials)


def counts_of(
    network: UniStyleNetwork,
    scenes: Iterable[tuple[Tensor, Tensor]],
    names: Sequence[str],
    main: bool = False,
) -> Iterator[Tensor]:
    """The counts of each photo `1 3 h w` with its label map. main: as in `found_labels`."""
    device = next(network.parameters()).device
    for image, label in scenes:
        yield count(label, found_labels(network, image.to(device), names, main), len(names))


def single_material(photos: Iterable[LabelledPhoto]) -> Iterator[tuple[Tensor, Tensor]]:
    """Photos of one material each, with the label map of their annotated mask: 1 + the photo's label inside. Outside is
    other, which holds for the main object alone: what is around it is made of something too."""
    for photo in photos:
        inside = to_tensor(read_mask(photo.mask_path))[0] > 0.5
        yield to_tensor(read_image(photo.path))[None], inside.byte() * (1 + photo.label)


def named_right(counts: Tensor) -> bool:
    """Whether the counts of a photo of one material have that material as the largest that is found."""
    found = counts.sum(0)[1:]
    return bool(found.any()) and int(found.argmax()) == int(counts.sum(1)[1:].argmax())


def pick_sets(
    scenes: Sequence[Scene], sets: Mapping[str, Mapping[str, Sequence[str]]]
) -> dict[str, list[int]]:
    """Rows of the scenes of each set. A set has patterns of names to `take`, and of names to `leave` out."""
    chosen = {}
    for name, patterns in sets.items():
        take, leave = (patterns.get(key, []) for key in ("take", "leave"))
        stems = [scene.path.stem for scene in scenes]
        fits = lambda stem, any_of: any(fnmatch(stem, pattern) for pattern in any_of)  # noqa: E731
        chosen[name] = [i for i, stem in enumerate(stems) if fits(stem, take) and not fits(stem, leave)]
        if not chosen[name]:
            raise ValueError(
                f"the set {name!r} has no photo: none of the names fits {', '.join(take) or 'nothing'}"
            )
    return chosen


def scene_scores(counts: Tensor, names: Sequence[str]) -> dict[str, float]:
    """Scores of a set of photos, of its summed counts.

    - a material's name: its IoU; not a number where it has fewer than PRESENT pixels.
    - `mean_iu`: the mean of these over the materials that are present.
    - `with_other`: the same, with other as one more class.
    - `found`: share of the pixels of materials that are given any material.
    - `right`: share of the pixels of materials that are given the right one.
    - `spill`: share of the pixels of other that are called a material; not a number where there is no other.
    """
    counts = counts.double()
    hit, wanted, got = counts.diagonal(), counts.sum(1), counts.sum(0)
    every = torch.where(wanted >= PRESENT, hit / (wanted + got - hit).clamp_min(1), torch.nan)
    iou = every[1:]
    of_materials = wanted[1:].sum()
    means = {
        "mean_iu": iou.nanmean(),
        "with_other": every.nanmean(),
        "found": counts[1:, 1:].sum() / of_materials,
        "right": hit[1:].sum() / of_materials,
        "spill": counts[0, 1:].sum() / wanted[0],
    }
    scores = means | dict(zip(names, iou, strict=True))
    return {name: float(value) for name, value in scores.items()}


def set_row(name: str, counts: Sequence[Tensor], names: Sequence[str]) -> Row:
    """The row of one set: its name, its number of photos, and `scene_scores`."""
    row: Row = {"set": name, "photos": len(counts)}
    return row | scene_scores(torch.stack(list(counts)).sum(0), names)
