"""Scores of a found mask against an annotated one, by torchmetrics."""

from torch import Tensor
from torchmetrics.functional.classification import binary_accuracy, multiclass_jaccard_index


def mask_scores(found: Tensor, annotated: Tensor) -> dict[str, float]:
    """Pixel accuracy, and mean IU: the mean over foreground and background of intersection over union, a class that
    is in neither mask left out (Long et al., "Fully Convolutional Networks for Semantic Segmentation", section 5);
    of two boolean masks of one shape."""
    a, b = found.int().flatten(), annotated.int().flatten()
    each = multiclass_jaccard_index(a, b, num_classes=2, average=None)
    present = [k for k in (0, 1) if (a == k).any() or (b == k).any()]
    return {"accuracy": binary_accuracy(a, b).item(), "mean_iu": each[present].mean().item()}
