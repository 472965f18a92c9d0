"""The methods of the saliency teacher, compared with annotated masks."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from unistyle.data.labelled import LabelledPhoto
from unistyle.files.photos import read_mask
from unistyle.files.tensors import to_tensor
from unistyle.maths.masks import best_threshold, has_boundary, mean_iu, pixel_accuracy
from unistyle.teachers.masks import SaliencyTeacher, write_masks


def score_table(masks: dict[str, list[Tensor]], annotated: list[Tensor]) -> str:
    """Pixel accuracy and mean IU of each method's soft masks against boolean ones (all `1 h w`), as text.

    Each method is scored at 0.5, and at the one threshold that is best for it on the photos with a boundary. The
    figures are means over those photos, and over all of them. Raises ValueError where no photo has a boundary.
    """
    bounded = [i for i, a in enumerate(annotated) if has_boundary(a)]
    if not bounded:
        raise ValueError(
            "no annotated mask covers less than 95 % of its frame: there is no boundary to score"
        )
    lines = [
        f"{len(annotated)} photos, {len(bounded)} with a boundary (mask below 95 % of the frame)",
        f"{'':10} {'':9}   {'with a boundary':>18}   {'all photos':>18}",
        f"{'method':10} {'threshold':>9}   {'accuracy':>9} {'mean IU':>8}   {'accuracy':>9} {'mean IU':>8}",
    ]
    for method, found in masks.items():
        best, _ = best_threshold([found[i] for i in bounded], [annotated[i] for i in bounded])
        for threshold in sorted({best, 0.5}):
            scores = _scores(found, annotated, threshold)
            (accuracy, iu), (accuracy_all, iu_all) = scores[bounded].mean(0).tolist(), scores.mean(0).tolist()
            note = "  best" if threshold == best else ""
            figures = f"{accuracy:9.3f} {iu:8.3f}   {accuracy_all:9.3f} {iu_all:8.3f}"
            lines.append(f"{method:10} {threshold:9.2f}   {figures}{note}")
    return "\n".join(lines)


def _scores(masks: list[Tensor], annotated: list[Tensor], threshold: float) -> Tensor:
    """Pixel accuracy and mean IU of each image, `n 2`."""
    pairs = [(m > threshold, a) for m, a in zip(masks, annotated, strict=True)]
    return torch.tensor([(pixel_accuracy(*p), mean_iu(*p)) for p in pairs])


def compare(
    teacher: SaliencyTeacher,
    photos: Sequence[LabelledPhoto],
    cache: str | Path,
    progress: Callable[[str, int, int], None],
) -> str:
    """`score_table` of every method on photos with annotated masks. Soft masks are kept in the folder `cache`."""
    masks = {}
    for method in teacher.methods:
        folder = Path(cache) / "compare" / method
        paths = write_masks(teacher, photos, folder, method, partial(progress, method))
        masks[method] = [to_tensor(read_mask(path)) for path in paths]
    return score_table(masks, [to_tensor(read_mask(photo.mask_path)) > 0.5 for photo in photos])


def with_masks(
    photos: Sequence[LabelledPhoto], materials: Sequence[str], folder: str | Path
) -> list[LabelledPhoto]:
    """The photos that have a mask `folder/MATERIAL/STEM.png`, each with that mask. Raises FileNotFoundError where none
    has one."""
    named = [replace(p, mask=Path(folder) / materials[p.label] / f"{p.path.stem}.png") for p in photos]
    if not (found := [photo for photo in named if photo.mask_path.is_file()]):
        raise FileNotFoundError(
            f"none of the held-out photos has a mask in {folder}: expected {named[0].mask}, for one"
        )
    return found
