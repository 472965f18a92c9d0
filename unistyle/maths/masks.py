"""Scores of masks against annotated ones."""

from collections.abc import Sequence

import torch
from torch import Tensor

THRESHOLDS = tuple(i / 100 for i in range(1, 100))
AREA = 0.1  # share of the frame below which an annotated region has too few pixels for statistics, or to show
FULL_FRAME = 0.95  # an annotated mask that covers this much of the frame has no boundary to find


def _same_size(mask: Tensor, annotated: Tensor) -> None:
    if mask.shape != annotated.shape:
        shapes = f"{tuple(mask.shape)} and {tuple(annotated.shape)}"
        raise ValueError(f"mask and annotated mask differ in shape, {shapes}: resize one of them")


def pixel_accuracy(mask: Tensor, annotated: Tensor) -> float:
    """Share of pixels on which two boolean masks of one shape agree."""
    _same_size(mask, annotated)
    return (mask == annotated).float().mean().item()


def mean_iu(mask: Tensor, annotated: Tensor) -> float:
    """Mean of the intersection over union of foreground and of background, over one image, of boolean masks.

    A class that is in neither mask is left out of the mean. Source: Long et al., "Fully Convolutional Networks for
    Semantic Segmentation", section 5.
    """
    _same_size(mask, annotated)
    pairs = ((mask, annotated), (~mask, ~annotated))
    scores = [(a & b).sum().item() / union for a, b in pairs if (union := (a | b).sum().item())]
    return sum(scores) / len(scores)


def has_boundary(annotated: Tensor) -> bool:
    """Whether a boolean mask covers less than 95 % of the frame."""
    return annotated.double().mean().item() < FULL_FRAME


def mean_iu_curve(mask: Tensor, annotated: Tensor, thresholds: Sequence[float] = THRESHOLDS) -> Tensor:
    """`mean_iu` of one soft mask in [0, 1] for each of the rising `thresholds`; it is foreground where it is above."""
    _same_size(mask, annotated)
    inside, outside = (_above(mask[part], thresholds) for part in (annotated, ~annotated))
    foreground, background = annotated.sum(), (~annotated).sum()
    unions = torch.stack([foreground + outside, background + foreground - inside])
    scores = torch.stack([inside, background - outside]) / unions.clamp_min(1)
    exists = unions > 0
    return (scores * exists).sum(0) / exists.sum(0)


def _above(values: Tensor, thresholds: Sequence[float]) -> Tensor:
    """How many of `values` are above each threshold."""
    passed = torch.bucketize(values, torch.tensor(thresholds, dtype=values.dtype, device=values.device))
    counts = torch.bincount(passed.flatten(), minlength=len(thresholds) + 1)
    return counts.flip(0).cumsum(0).flip(0)[1:]


def best_threshold(
    masks: Sequence[Tensor], annotated: Sequence[Tensor], thresholds: Sequence[float] = THRESHOLDS
) -> tuple[float, float]:
    """The one threshold at which soft masks in [0, 1] have the highest mean IU on a set, the lowest of equal ones,
    and that mean IU (averaged over the images)."""
    if not len(masks):
        raise ValueError("no masks to score: give at least one pair of a mask and an annotated mask")
    curve = torch.stack(
        [mean_iu_curve(m, a, thresholds) for m, a in zip(masks, annotated, strict=True)]
    ).mean(0)
    best = int(curve.argmax())
    return thresholds[best], curve[best].item()
