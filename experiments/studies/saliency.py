"""Where is the material? Simonyan's maps, distinct maps and the joined maps of the teacher against the network."""

from collections.abc import Iterator

import torch
from torch import Tensor

from experiments.lab import Lab, Progress
from experiments.plots import bars
from experiments.report import Figures, group_mean, table
from unistyle.data.labelled import LabelledPhoto
from unistyle.evaluation.measures import predicted_mask
from unistyle.evaluation.pairs import photo_name
from unistyle.evaluation.rows import Row
from unistyle.evaluation.scores import mask_scores
from unistyle.maths.masks import THRESHOLDS, best_threshold, has_boundary

METHODS = ("simonyan", "distinct", "combined", "network")
SCORES = {"pixel accuracy": "accuracy", "mean IU": "mean_iu"}


@torch.no_grad()
def soft_mask(lab: Lab, image: Tensor, label: int, method: str) -> Tensor:
    """A method's soft mask `1 1 h w` in [0, 1] of a material in a photo."""
    if method == "network":
        return predicted_mask(lab.model.network, image)
    return lab.teacher.masks(image, torch.tensor([label], device=image.device), method)


def study(lab: Lab, progress: Progress) -> Iterator[Row]:
    """One row for each method and each photo of `val` with a boundary: photo, material, method, threshold, accuracy,
    mean_iu. The threshold is the best one of the method over all the photos."""
    results, photos = lab.results("saliency"), lab.photos["val"]
    for method in METHODS:
        key = (method, lab.config.size, lab.version, [photo_name(p) for p in photos])
        yield from results.get(key, lambda m=method: {"rows": list(_rows(lab, m, progress))})["rows"]


def _rows(lab: Lab, method: str, progress: Progress) -> Iterator[Row]:
    found = list(_masks(lab, method, progress))
    threshold, _ = best_threshold([m for _, m, _ in found], [a for _, _, a in found], THRESHOLDS)
    for photo, mask, annotated in found:
        names = {"photo": photo_name(photo), "material": photo.path.parent.name, "method": method}
        yield names | {"threshold": threshold} | mask_scores(mask > threshold, annotated)


def _masks(lab: Lab, method: str, progress: Progress) -> Iterator[tuple[LabelledPhoto, Tensor, Tensor]]:
    """The photos with a boundary, each with its soft mask and its boolean annotated mask."""
    for index, photo in enumerate(lab.photos["val"]):
        image, annotated = lab.sized(photo)
        if has_boundary(annotated > 0.5):
            yield photo, soft_mask(lab, image, photo.label, method).clamp(0, 1), annotated > 0.5
        progress(method, index + 1, len(lab.photos["val"]))


def section(lab: Lab, rows: list[Row], figures: Figures) -> str:
    """Accuracy and mean IU of every method, over all materials and for each of them."""
    panels = {
        title: {m: {k: group_mean(rows, score, method=m, material=k) for k in lab.materials} for m in METHODS}
        for title, score in SCORES.items()
    }
    bars(panels, figures.path("saliency"), lab.materials)
    caption = f"{len({r['photo'] for r in rows})} photos with a boundary, each method at its best threshold"
    means = ("threshold", *SCORES.values())
    lines = [(m, *(group_mean(rows, score, method=m) for score in means)) for m in METHODS]
    heads = ("masks", "threshold", *SCORES)
    return "\n\n".join(["## Where the material is", figures.text("saliency", caption), table(heads, lines)])
