"""Where is the material? Simonyan's maps, distinct maps and the joined maps of the teacher against the network."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from experiments import plots, report, saliency
from experiments.lab import Lab, name_of
from experiments.metrics import mask_scores
from experiments.report import Figures, group_mean
from unistyle.evaluation.measures import predicted_mask
from unistyle.evaluation.rows import Row
from unistyle.maths.masks import THRESHOLDS, best_threshold, has_boundary

METHODS = ("simonyan", "distinct", "combined", "network")


@torch.no_grad()
def soft_mask(lab: Lab, image: Tensor, label: int, method: str) -> Tensor:
    """A method's soft mask `1 1 h w` in [0, 1] of a material in a photo."""
    if method == "network":
        return predicted_mask(lab.model.network, image)
    return lab.teacher.masks(image, torch.tensor([label], device=image.device), method)


def study(lab: Lab, progress: Callable[[str, int, int], None]) -> Iterator[Row]:
    """A row for each photo of `val` with a boundary and each method, at the method's best threshold over all of them:
    photo, material, method, threshold, accuracy, mean_iu."""
    results, photos = lab.results("saliency"), lab.photos["val"]
    for method in METHODS:
        key = (method, lab.config.size, lab.version, [name_of(p) for p in photos])
        rows = results.get(key, lambda m=method: {"rows": list(_rows(lab, m, progress))})["rows"]
        yield from rows


def _rows(lab: Lab, method: str, progress: Callable[[str, int, int], None]) -> Iterator[Row]:
    chosen, masks, annotated = [], [], []
    for index, photo in enumerate(lab.photos["val"]):
        image, wanted = lab.sized(photo)
        if has_boundary(wanted > 0.5):
            chosen.append(photo)
            masks.append(soft_mask(lab, image, photo.label, method).clamp(0, 1))
            annotated.append(wanted > 0.5)
        progress(method, index + 1, len(lab.photos["val"]))
    threshold, _ = best_threshold(masks, annotated, THRESHOLDS)
    for photo, mask, wanted in zip(chosen, masks, annotated, strict=True):
        names = {"photo": name_of(photo), "material": photo.path.parent.name, "method": method}
        yield names | {"threshold": threshold} | mask_scores(mask > threshold, wanted)


def saliency_section(lab: Lab, rows: list[Row], figures: Figures) -> str:
    """Accuracy and mean IU a material of every method."""
    panels = {
        title: {m: {k: group_mean(rows, score, method=m, material=k) for k in lab.materials}
                for m in saliency.METHODS}
        for title, score in (("pixel accuracy", "accuracy"), ("mean IU", "mean_iu"))
    }  # fmt: skip
    plots.bars(panels, figures.path("saliency"), lab.materials)
    lines = [
        (m, *(group_mean(rows, s, method=m) for s in ("threshold", "accuracy", "mean_iu")))
        for m in saliency.METHODS
    ]
    caption = f"{len({r['photo'] for r in rows})} photos with a boundary, each method at its best threshold"
    return "\n\n".join(
        ["## Where the material is", figures.text("saliency", caption),
         report.table(("masks", "threshold", "pixel accuracy", "mean IU"), lines)]
    )  # fmt: skip
