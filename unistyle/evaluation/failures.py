"""Masks that failed, sorted by the kind of failure."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from PIL import Image
from torch import Tensor

from unistyle.data.labelled import LabelledPhoto
from unistyle.evaluation.sheets import page
from unistyle.files.photos import read_image, read_mask
from unistyle.files.tensors import to_pil, to_tensor
from unistyle.maths.masks import has_boundary, mean_iu

FAILED = 0.6  # mean IU below which a mask has failed


class Failure(NamedTuple):
    """A mask that failed."""

    kind: str
    """What is wrong with it; see `failure_kind`."""
    score: float
    """Its mean IU."""
    photo: LabelledPhoto
    """The photo that it was found in."""
    annotated: Tensor
    """The annotated mask, boolean `h w`."""
    mask: Tensor
    """The mask that was found, boolean `h w`."""


def failure_kind(mask: Tensor, annotated: Tensor) -> str:
    """What is wrong with a boolean mask that failed. The first of these that holds:

    - `nothing`: less than a tenth of the material is found.
    - `close-up`: the annotated mask has no boundary, and a part of it is left out.
    - `elsewhere`: more than half of what is found is not the material, and more than half of the material is not found.
    - `spill`: the background that is taken for the material is larger than the material that is left out.
    - `part`: the material that is left out is larger.
    """
    hit, found, wanted = ((m.sum().item()) for m in (mask & annotated, mask, annotated))
    if hit < 0.1 * wanted:
        return "nothing"
    if not has_boundary(annotated):
        return "close-up"
    if hit < 0.5 * found and hit < 0.5 * wanted:
        return "elsewhere"
    return "spill" if found > wanted else "part"


def failures(find: Callable[[Tensor], Tensor], photos: Iterable[LabelledPhoto]) -> list[Failure]:
    """The photos whose mask has a mean IU below `FAILED`, by kind, and the worst first within a kind.

    find: makes a soft mask `1 1 h w` of a photo `1 3 h w` in [0, 1]; foreground is where it is above a half.
    """
    failed = []
    for photo in photos:
        annotated = to_tensor(read_mask(photo.mask_path))[0] > 0.5
        mask = (find(to_tensor(read_image(photo.path))[None]) > 0.5)[0, 0].cpu()
        if (score := mean_iu(mask, annotated)) < FAILED:
            failed.append(Failure(failure_kind(mask, annotated), score, photo, annotated, mask))
    return sorted(failed, key=lambda f: (f.kind, f.score))


def failure_sheet(failed: Sequence[Failure], cell: int = 256) -> Image.Image:
    """One row for each failure: the photo, the annotated mask and the mask found."""
    cells = [
        [read_image(f.photo.path), *(to_pil(m[None].float()) for m in (f.annotated, f.mask))] for f in failed
    ]
    return page(["photo", "annotated", "found"], cells, cell)
