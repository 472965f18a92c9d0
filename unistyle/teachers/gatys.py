"""The Gatys teacher: restyles one region of one photo by optimisation on VGG-19 features.

Slow (80 passes of VGG-19, forward and back) and the picture that the network is to reach in one pass. Source:
Gatys et al., "Image Style Transfer Using Convolutional Neural Networks" (CVPR 2016). Departures: Gram
matrices are taken inside the region and inside the style's region; distances are relative to their target and
content is compared after normalisation (unistyle.maths.features); the optimisation starts from the photo; nothing
outside the region changes.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from unistyle.maths.features import content_distance, gram, gram_distance, moments, regional_adain
from unistyle.maths.resizing import resize_regions
from unistyle.network.composite import composite
from unistyle.teachers.vgg import CONTENT_LAYER, STYLE_LAYERS

Progress = Callable[[int, dict[str, float]], None]  # (iterations done, value of every weighted term)
Features = dict[str, Tensor]
Terms = dict[str, tuple[float, Callable[[Tensor, Features], Tensor]]]  # weight and term, by name


# L-BFGS without a line search costs one pass for each iteration, not two, but now and then a step goes astray: where
# the loss is this many times the lowest so far, or not finite, the search restarts from there at half the rate.
ASTRAY = 100


@dataclass(frozen=True)
class GatysConfig:
    """Everything that decides a result beside the images. It is part of the key in the cache."""

    iterations: int = 80
    """Steps of L-BFGS, each of which costs one pass of VGG-19, forward and back."""
    style_weight: float = 20.0
    """Weight of the Gram distance to the style."""
    content_weight: float = 1.0
    """Weight of the content distance to the photo."""
    smoothness_weight: float = 1.0
    """Weight of the squared total variation."""
    range_weight: float = 10.0
    """Weight of what holds pixels in [0, 1]."""
    style_layers: tuple[str, ...] = STYLE_LAYERS
    """Layers of VGG-19 at which style is compared."""
    content_layer: str = CONTENT_LAYER
    """Layer of VGG-19 at which content is compared."""
    learning_rate: float = 1.0
    """Length of a step of L-BFGS, in units of the step that it proposes."""

    def __post_init__(self):
        if self.iterations < 0:
            raise ValueError(f"iterations is {self.iterations}: give 0 or more")


def _lbfgs(pixels: Tensor, rate: float) -> torch.optim.Optimizer:
    # One iteration for each step leaves the loop, its progress and its checks to us; the curvature history lives on
    # between steps. Gradients of single pixels are tiny: torch's absolute tolerances would stop at once.
    return torch.optim.LBFGS(
        [pixels], lr=rate, max_iter=1, history_size=50, tolerance_grad=0, tolerance_change=0
    )


class StyleTerm:
    """Mean over layers of the Gram distance to the style, each Gram taken inside its region."""

    def __init__(self, style: Features, style_region: Tensor, region: Tensor, layers: tuple[str, ...]):
        self.targets = {name: _gram(style[name], style_region) for name in layers}
        self.region = region

    def __call__(self, image: Tensor, features: Features) -> Tensor:
        distances = [gram_distance(_gram(features[n], self.region), g) for n, g in self.targets.items()]
        return torch.stack(distances).mean()


class ContentTerm:
    """Content distance to the photo inside the region, at one layer."""

    def __init__(self, photo: Features, region: Tensor, layer: str):
        self.layer, self.target = layer, photo[layer]
        self.region = resize_regions(region, self.target.shape[-2:])

    def __call__(self, image: Tensor, features: Features) -> Tensor:
        return content_distance(features[self.layer], self.target, self.region).mean()


def smoothness_term(image: Tensor, features: Features) -> Tensor:
    """Mean squared total variation (Mahendran and Vedaldi 2015, section 3.2, with beta = 2)."""
    return image.diff(dim=-1).square().mean() + image.diff(dim=-2).square().mean()


def range_term(image: Tensor, features: Features) -> Tensor:
    """How far pixels leave [0, 1], where the final clamp would flatten them."""
    return (image - image.clamp(0, 1)).square().mean()


def _gram(f: Tensor, region: Tensor) -> Tensor:
    return gram(f, resize_regions(region, f.shape[-2:]))


def restyle(
    vgg: nn.Module,
    photo: Tensor,
    style: Tensor,
    region: Tensor,
    style_region: Tensor,
    config: GatysConfig | None = None,
    progress: Progress | None = None,
    start: Tensor | None = None,
) -> Tensor:
    """Give the `region` of `photo` the style found in the `style_region` of `style`.

    photo, style: `1 3 h w` in [0, 1], each of its own size. region, style_region: `1 1 h w` in [0, 1], of their
    image's size. Returns `1 3 h w` in [0, 1], which equals the photo exactly where the region is 0; an empty region
    gives the photo back. vgg: maps an image to a dict of feature maps, with the layers that `config` names. progress:
    called after every iteration. start: a picture of the photo's size to begin with, such as a result with a sample
    laid; by default the photo in the style's colours. Raises ValueError for shapes that do not fit or an empty style
    region, FloatingPointError naming a term that is not finite from the start.
    """
    config = config or GatysConfig()
    _check(photo, region, "photo")
    _check(style, style_region, "style")
    if style_region.max() <= 0:
        raise ValueError("the style's region is empty: give a mask with white pixels, or none")
    if region.max() <= 0:
        return photo.clone()
    with torch.no_grad():
        photo_features, style_features = vgg(photo), vgg(style)
    terms: Terms = {
        "style": (config.style_weight, StyleTerm(style_features, style_region, region, config.style_layers)),
        "content": (config.content_weight, ContentTerm(photo_features, region, config.content_layer)),
        "smoothness": (config.smoothness_weight, smoothness_term),
        "range": (config.range_weight, range_term),
    }
    if start is None:
        # The style's colours at the start spare the iterations that would otherwise be spent on them.
        start = recolour(photo, style, region, style_region)
    pixels = _optimise(vgg, photo, start, region, terms, config, progress)
    return composite(photo, pixels.clamp(0, 1), region)


def recolour(photo: Tensor, style: Tensor, region: Tensor, style_region: Tensor) -> Tensor:
    """The photo with the style's mean and standard deviation of each RGB channel inside the region."""
    return regional_adain(photo, region, *moments(style, style_region)).clamp(0, 1)


def _optimise(
    vgg: nn.Module,
    photo: Tensor,
    start: Tensor,
    region: Tensor,
    terms: Terms,
    config: GatysConfig,
    progress: Progress | None,
) -> Tensor:
    pixels = start.clone().requires_grad_()
    values: dict[str, float] = {}

    @torch.enable_grad()
    def closure() -> float:
        image = composite(photo, pixels, region)
        features = vgg(image)
        weighted = {name: weight * term(image, features) for name, (weight, term) in terms.items() if weight}
        total = functools.reduce(torch.add, weighted.values())
        (pixels.grad,) = torch.autograd.grad(total, pixels)
        values.update({name: value.item() for name, value in weighted.items()})
        return total.item()

    rate, lowest, best = config.learning_rate, math.inf, start
    optimizer = _lbfgs(pixels, rate)
    for iteration in range(1, config.iterations + 1):
        here = pixels.detach().clone()
        total = optimizer.step(closure)  # the loss here, before the step
        if iteration == 1:
            _check_finite(values)
        if total < lowest:
            lowest, best = total, here
        elif not total < ASTRAY * lowest:
            rate /= 2
            pixels.data.copy_(best)
            optimizer = _lbfgs(pixels, rate)
        if progress:
            progress(iteration, dict(values))
    return pixels.detach() if closure() < lowest else best


def _check_finite(values: dict[str, float]) -> None:
    for name, value in values.items():
        if not math.isfinite(value):
            raise FloatingPointError(
                f"Gatys: {name} is {value} at the start: photo or style holds such values"
            )


def _check(image: Tensor, region: Tensor, name: str) -> None:
    if image.ndim != 4 or image.shape[:2] != (1, 3):
        raise ValueError(f"{name} has shape {tuple(image.shape)}, wanted 1 3 h w: give one at a time")
    if region.shape != (1, 1, *image.shape[-2:]):
        wanted = (1, 1, *image.shape[-2:])
        raise ValueError(f"the {name}'s region has shape {tuple(region.shape)}, wanted {wanted}: resize it")
