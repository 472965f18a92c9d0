"""The joint objective, a dict of named terms: the student against its two teachers, photo and style.

Style and content are compared in VGG-19 (Gatys et al., "Image Style Transfer Using Convolutional Neural Networks").
Every term is a mean over the batch, of the order of 1 when training starts.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache, partial

import torch
import torch.nn.functional as F
from einops import einsum, repeat
from torch import Tensor

from unistyle.data.composing import UNKNOWN
from unistyle.maths.features import content_distance, gram, luminance, periodic_energy
from unistyle.maths.resizing import resize_regions
from unistyle.teachers.vgg import CONTENT_LAYER, VGG19
from unistyle.training.targets.recognition import DEEP, Seen

# Sides in pixels of the places by which colours are compared: whether a style has them, and in which shares.
PLACE, FINE_PLACE = 16, 8
LINES, LEVELS = 16, 32  # lines through the colours on which shares are compared, and quantiles of each


class VGGTargets:
    """What VGG-19 says of photos and styles, kept in memory by key.

    The same crops come again and again, and the features of the teacher are most of a step's cost. At most `limit`
    bytes are kept; what is beyond is computed again.
    """

    def __init__(
        self,
        vgg: VGG19,
        limit: float,
        precision: Callable[[], AbstractContextManager] = nullcontext,
    ):
        """limit: 0 keeps nothing, for a GPU, which computes them in no time that counts.
        precision: that in which VGG-19 sees them, as `Accelerator.autocast` gives it."""
        self.vgg, self.limit, self.used, self.precision = vgg, limit, 0, precision
        self.kept: dict[tuple[str, str], list[Tensor]] = {}

    @torch.no_grad()
    def get(self, kind: str, keys: list[str], images: Tensor, regions: Tensor, describe) -> list[Tensor]:
        """`describe(features, regions) -> list of tensors b ...`, for the batch."""
        if not self.limit:
            return [part.float() for part in describe(self._seen(images), regions)]
        missing = [i for i, key in enumerate(keys) if (kind, key) not in self.kept]
        fresh = {}
        if missing:
            parts = describe(self._seen(images[missing]), regions[missing])
            for row, i in enumerate(missing):
                fresh[kind, keys[i]] = [part[row] for part in parts]
        found = [fresh.get((kind, key)) or self.kept[kind, key] for key in keys]
        for key, parts in fresh.items():
            size = sum(part.nbytes for part in parts)
            if self.used + size <= self.limit:
                self.kept[key] = [part.clone() for part in parts]
                self.used += size
        return [torch.stack(parts).float() for parts in zip(*found, strict=True)]

    def _seen(self, images: Tensor) -> Mapping[str, Tensor]:
        with self.precision():
            return self.vgg(images)


def grams(features: Mapping[str, Tensor], region: Tensor) -> list[Tensor]:
    """Gram matrices `b c c` inside the region `b 1 h w`, one for each layer."""
    return [gram(f, resize_regions(region, f.shape[-2:]))[:, 0] for f in features.values()]


def _energy(matrix: Tensor) -> Tensor:
    return matrix.square().sum((-2, -1))


def deep_grams(features: Mapping[str, Tensor], region: Tensor) -> list[Tensor]:
    """The same for the layers of DEEP, which are compared at half size."""
    return grams({name: features[name] for name in DEEP}, region)


def describe_photo(features: Mapping[str, Tensor], region: Tensor) -> list[Tensor]:
    """Of photos: their content features, in half precision, and the energy `b` of the Gram matrix of each layer."""
    return [features[CONTENT_LAYER].half(), *[_energy(g) for g in grams(features, region)]]


def describe_half(features: Mapping[str, Tensor], region: Tensor) -> list[Tensor]:
    """Of photos at half size: the energies `b`."""
    return [_energy(g) for g in deep_grams(features, region)]


def style_terms(batch: dict, seen: Seen, targets: VGGTargets, margin: float) -> dict[str, Tensor]:
    """Of results that VGG-19 has seen: `style`; `deep`, the same for deep layers of the results at half size; and
    `content` as far as it exceeds `margin`.

    Style is the squared distance of Gram matrices at every layer, over the sum of the style's and the photo's energy:
    bounded, where the distance over the style's energy alone would let dark and flat styles rule the batch.
    """
    keys, style_keys, names = (
        batch["photo_key"],
        batch["style_key"],
        ("photo", "region", "style", "style_region"),
    )
    photo, region, style, style_region = (batch[name] for name in names)
    half_photo, half, half_style, half_style_region = (F.avg_pool2d(batch[name], 2) for name in names)
    content, *energies = targets.get("photo", keys, photo, region, describe_photo)
    wanted = targets.get("style", style_keys, style, style_region, grams)
    half_energies = targets.get("half photo", keys, half_photo, half, describe_half)
    half_wanted = targets.get("half style", style_keys, half_style, half_style_region, deep_grams)
    layer = seen.full[CONTENT_LAYER]
    kept = content_distance(layer, content, resize_regions(region, layer.shape[-2:]))
    return dict(
        style=_gram_term(grams(seen.full, region), wanted, energies),
        deep=_gram_term(grams(seen.half, half), half_wanted, half_energies),
        content=(kept - margin).relu().mean(),
    )


def _gram_term(got: Sequence[Tensor], wanted: Sequence[Tensor], energies: Sequence[Tensor]) -> Tensor:
    """Mean over layers of the squared distance of Gram matrices, over the energies of both."""
    each = [
        _energy(one - other) / (_energy(other) + energy + 1e-8)
        for one, other, energy in zip(got, wanted, energies, strict=True)
    ]
    return torch.stack(each).mean()


def _inside(error: Tensor, region: Tensor, chosen: Tensor) -> Tensor:
    """Mean of `error` (b c h w) inside the regions of the chosen items (b, 0 or 1)."""
    weight = region * chosen.view(-1, 1, 1, 1)
    return (error.mean(1, keepdim=True) * weight).sum() / weight.sum().clamp_min(1)


def pixel_terms(batch: dict, image: Tensor, blur: int = 16) -> dict[str, Tensor]:
    """`gatys`: distance to the teacher's result. `identity`: the photo as its own style gives the photo back.
    `shading`: the low-frequency luminance follows the photo's up to gain and offset. `smooth`: total variation.
    `grain`: energy at periods of 2 and 4 pixels beyond the style's, where a decoder that upsamples likes to put it.
    `palette`: colours that the style does not have. `colors`: colours in other shares than the style's."""
    region, photo = batch["region"], batch["photo"]
    low = lambda x: F.avg_pool2d(luminance(x), blur, blur // 2)  # noqa: E731
    small = F.avg_pool2d(region, blur, blur // 2)
    variation = (image.diff(dim=-1)[..., :-1, :].abs() + image.diff(dim=-2)[..., :-1].abs()).mean()
    return dict(
        gatys=_inside((image - batch["gatys"]).abs(), region, (batch["fixed"] >= 0).float()),
        identity=_inside((image - photo).abs(), region, batch["same"].float()),
        shading=content_distance(low(image), low(photo), small).mean(),
        smooth=variation,
        grain=_excess_grain(batch, image),
        palette=(_foreign_colors(batch, image) * (1 - batch["same"].float())).mean(),
        colors=(_color_distance(batch, image) * (1 - batch["same"].float())).mean(),
    )


def _excess_grain(batch: dict, image: Tensor, floor: float = 1e-6) -> Tensor:
    """Logarithm of the energy at periods 2 and 4 over the style's, where that is above 0. `floor` is the energy of
    less than one step of 8 bits: below it nothing is seen."""
    excess = []
    for period in (2, 4):
        found = periodic_energy(image, batch["region"], period)
        wanted = periodic_energy(batch["style"], batch["style_region"], period)
        excess.append(((found + floor) / (wanted + floor)).log().relu())
    return torch.stack(excess).mean()


def _foreign_colors(batch: dict, image: Tensor) -> Tensor:
    """How far the chroma of the places inside the region is from that of the nearest place of the style, `b`.
    A saturated spot is seen at once, and hardly changes a Gram matrix."""
    colours, weight = _places(image, batch["region"], PLACE)
    own, there = _places(batch["style"], batch["style_region"], PLACE)
    chroma, wanted = ((x - luminance(x)).flatten(2).mT for x in (colours, own))
    distance = (chroma[:, :, None] - wanted[:, None]).square().sum(-1) + 10.0 * (there < 0.5)[:, None]
    nearest = (distance.amin(2) + 1e-6).sqrt().clamp_max(1)
    return (nearest * weight).sum(1) / weight.sum(1)


def _color_distance(batch: dict, image: Tensor) -> Tensor:
    """Sliced Wasserstein distance of the colours of small places in the region and in the style's, `b`
    (Bonneel et al., "Sliced and Radon Wasserstein Barycenters of Measures", section 3). Gram matrices mind little
    whether a photo of a few colours becomes one of them, or all of them paler."""
    got = _quantiles(*_places(image, batch["region"], FINE_PLACE))
    wanted = _quantiles(*_places(batch["style"], batch["style_region"], FINE_PLACE))
    return (got - wanted).abs().mean((1, 2))


@cache
def _lines(device: torch.device) -> Tensor:
    """Directions in the space of colours, `l 3`: the channels, and others."""
    spread = torch.randn(LINES - 3, 3, generator=torch.Generator().manual_seed(0))
    return torch.cat([torch.eye(3), F.normalize(spread, dim=1)]).to(device)


def _quantiles(colours: Tensor, weight: Tensor) -> Tensor:
    """LEVELS quantiles of colours `b 3 h w`, of which each counts by its weight `b n`, on LINES lines: `b l q`."""
    values, order = einsum(_lines(colours.device), colours.flatten(2), "l c, b c n -> b l n").sort(dim=-1)
    # Places that are hardly inside have the colours of what is around.
    weight = weight * (weight > 0.05) + 1e-6
    below = repeat(weight, "b n -> b l n", l=LINES).gather(-1, order).cumsum(-1)
    levels = (torch.arange(LEVELS, device=below.device) + 0.5) / LEVELS * below[..., -1:]
    at = torch.searchsorted(below, levels).clamp_max(values.shape[-1] - 1)
    return values.gather(-1, at)


def _places(image: Tensor, region: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Mean colour `b 3 h w` of the part of each place that is inside the region, and how much of it is, `b n`. What is
    left over at the right and at the bottom makes smaller places."""
    means = partial(F.avg_pool2d, kernel_size=side, ceil_mode=True)
    weight = means(region) + 1e-4
    return means(image * (region + 1e-4)) / weight, weight.flatten(1)


def rendered_term(image: Tensor, wanted: Tensor) -> Tensor:
    """Mean distance of pictures `b 3 h w` from what they are to be: of pixels, and twice that of small places and of
    the light of larger ones, which count for the look of a thing and would be lost among pixels."""
    error = image - wanted
    places, light = F.avg_pool2d(error, 4), F.avg_pool2d(luminance(error), 16)
    return error.abs().mean() + 2 * places.abs().mean() + 2 * light.abs().mean()


def segmentation_term(logits: Tensor, mask: Tensor, label: Tensor) -> Tensor:
    """Logits `b 1+m+1 h w` against a soft mask `b 1 H W` of the main object and the photo's material `b` (-1: unknown).

    Main object: cross entropy plus soft IoU (whose one in numerator and denominator keeps a gradient on an empty
    mask). Material: cross entropy inside the mask, for photos whose material is known.
    """
    mask = resize_regions(mask, logits.shape[-2:])[:, 0]
    main = logits[:, -1]
    p = main.sigmoid()
    both = (p * mask).sum((1, 2))
    iou = (both + 1) / ((p + mask - p * mask).sum((1, 2)) + 1)
    material = F.cross_entropy(
        logits[:, :-1], 1 + label.clamp_min(0)[:, None, None].expand_as(mask), reduction="none"
    )
    weight = mask * (label >= 0).view(-1, 1, 1)
    material = (material * weight).sum() / weight.sum().clamp_min(1)
    return F.binary_cross_entropy_with_logits(main, mask) + (1 - iou).mean() + 0.3 * material


def label_term(logits: Tensor, label: Tensor) -> Tensor:
    """Cross entropy of logits `b 1+m+1 h w` with label maps `b H W` of other (0) and materials (1 and up), where a
    label is known."""
    label = F.interpolate(label[:, None].float(), logits.shape[-2:], mode="nearest")[:, 0].long()
    total = F.cross_entropy(logits[:, :-1], label, ignore_index=UNKNOWN, reduction="sum")
    return total / (label != UNKNOWN).sum().clamp_min(1)


def held_term(logits: Tensor, before: Tensor) -> Tensor:
    """Divergence of what is found, logits `b 1+m h w`, from what was found before, logits `b 1+n h w` of the first n
    of the m materials: where an old one was, no new one is to be."""
    wanted = before.softmax(1)
    new = logits.shape[1] - before.shape[1]
    kept = F.cross_entropy(
        logits, torch.cat([wanted, wanted.new_zeros(len(wanted), new, *wanted.shape[2:])], 1)
    )
    return kept - F.cross_entropy(before, wanted)


def finite(terms: dict[str, Tensor], step: int) -> None:
    """Raise FloatingPointError naming the first term that is not finite."""
    for name, value in terms.items():
        if not torch.isfinite(value):
            raise FloatingPointError(
                f"the term {name!r} is {value.item()} at step {step}: lower its weight or the rate"
            )
