"""Class saliency maps, where a material classifier looks for its answer, and their refinement to a photo's edges.

Maps and masks are `b 1 h w` in [0, 1] at the size of the photos; labels are `b`, indices of classes.
"""

from collections.abc import Sequence

import torch
from einops import rearrange, reduce
from skimage.segmentation import random_walker
from torch import Tensor

from unistyle.maths.resizing import short_side, to_size
from unistyle.teachers.classifier import LEVELS, MaterialClassifier

SIDE = 256  # short side at which photos are classified, px
SCALES = (192, 256, 352)  # short sides that `distinct` is averaged over, px
RIVALS = 3  # competing classes whose maps are taken away
ALPHA = 3.0  # slope of the tanh, as in the paper


def _unit(maps: Tensor) -> Tensor:
    """Each photo's maps scaled so that the largest value is 1 (0 where there is nothing)."""
    return maps / maps.amax((1, 2, 3), keepdim=True).clamp_min(1e-12)


def simonyan(model: MaterialClassifier, photos: Tensor, labels: Tensor, side: int = SIDE) -> Tensor:
    """The gradient of the class score at the image, largest magnitude over the colours.

    Source: Simonyan et al., "Deep Inside Convolutional Networks", section 3.1.
    """
    with torch.enable_grad():
        view = short_side(photos.detach(), side).requires_grad_()
        score = model(view).gather(1, labels[:, None]).sum()
        (gradient,) = torch.autograd.grad(score, view)
    return _unit(to_size(reduce(gradient.abs(), "b c h w -> b 1 h w", "max"), photos.shape[-2:]))


def rivals_of(scores: Tensor, labels: Tensor, count: int = RIVALS) -> Tensor:
    """The label, then the `count` highest-scoring other classes: `b 1+count`, for class scores `b m`."""
    others = scores.scatter(1, labels[:, None], float("-inf"))
    best = others.topk(min(count, scores.shape[1] - 1), dim=1).indices
    return torch.cat([labels[:, None], best], dim=1)


def _gradient_maps(model: MaterialClassifier, view: Tensor, classes: Tensor) -> list[Tensor]:
    """For each level, the largest gradient magnitude over its channels for each of `classes` (b k); `b k h w`."""
    with torch.enable_grad():
        levels = model.encoder(view.detach().requires_grad_())
        scores = model.head(model.pooled(levels)).gather(1, classes)
        inner = [levels[i] for i in LEVELS]
        gradients = [torch.autograd.grad(s.sum(), inner, retain_graph=True) for s in scores.unbind(1)]
    magnitudes = [[reduce(g.abs(), "b c h w -> b h w", "max") for g in per_class] for per_class in gradients]
    return [torch.stack(level, dim=1) for level in zip(*magnitudes, strict=True)]


def distinct(
    model: MaterialClassifier, photos: Tensor, labels: Tensor, scales: Sequence[int] = SCALES
) -> Tensor:
    """Distinct class-specific maps: gradients at intermediate layers, several scales, minus the rivals' maps.

    Source: Shimoda and Yanai, "Distinct Class-specific Saliency Maps for Weakly Supervised Semantic
    Segmentation", section 3: M_c = max over channels of |dS_c / dL|; M'_c = sum over rivals c' of
    max(M_c - M_c', 0); the result is the mean over scales and layers of tanh(alpha M'_c). Departures: the
    gradients are plain, not guided by the rectifiers, because the encoder's bottlenecks are linear; the rivals are
    the highest-scoring other classes, because a photo has one label and no others known to be present.
    """
    with torch.no_grad():
        classes = rivals_of(model(short_side(photos, SIDE)), labels)
    total = torch.zeros_like(photos[:, :1])
    for side in scales:
        for maps in _gradient_maps(model, short_side(photos, side), classes):
            own, others = _unit(maps).tensor_split([1], dim=1)
            ahead = reduce((own - others).clamp_min(0), "b k h w -> b 1 h w", "sum")
            total += to_size(torch.tanh(ALPHA * _unit(ahead)), photos.shape[-2:])
    return _unit(total)


def ranks(maps: Tensor) -> Tensor:
    """Each value's rank within its photo, from 0 to 1: a gradient's size has no scale of its own to cut at."""
    flat = rearrange(maps, "b 1 h w -> b (h w)")
    order = flat.argsort(1).argsort(1)
    return (order.to(maps.dtype) / max(1, flat.shape[1] - 1)).view_as(maps)


def refine(photos: Tensor, masks: Tensor, sure: float = 0.05, side: int = 96, beta: float = 1000.0) -> Tensor:
    """Masks that follow the photos' edges: the mean of the mask and of a random walk from its sure places.

    Source: Grady, "Random Walks for Image Segmentation", by scikit-image's `random_walker` at short side `side`
    px; `sure`: values closer than this to 0 or 1 are seeds; `beta`: how much an edge of the photo holds the walk
    back. The mean keeps what the mask was in doubt about soft. A mask without seeds of both kinds, or without
    doubt, stays as it is.
    """
    return torch.stack([_walk(p, m, sure, side, beta) for p, m in zip(photos, masks, strict=True)])


def _walk(photo: Tensor, mask: Tensor, sure: float, side: int, beta: float) -> Tensor:
    guide = rearrange(short_side(photo[None], side), "1 c h w -> h w c").double().cpu().numpy()
    prior = to_size(mask[None], guide.shape[:2], antialias=True)[0, 0]
    seeds = ((prior > 1 - sure).int() + 2 * (prior < sure).int()).cpu().numpy()
    if not all((seeds == kind).any() for kind in (0, 1, 2)):  # or nothing is in doubt
        return mask
    # An iterative solution may leave [0, 1] by its tolerance, of which skimage would warn; it is clamped below.
    walk = random_walker(
        guide, seeds, beta=beta, mode="cg_j", tol=1e-3, return_full_prob=True, channel_axis=-1, prob_tol=1
    )
    walked = torch.as_tensor(walk[0], dtype=mask.dtype, device=mask.device)[None, None]
    return 0.5 * (mask + to_size(walked, mask.shape[-2:])[0].clamp(0, 1))
