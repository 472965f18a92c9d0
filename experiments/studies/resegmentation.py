"""The protocol of the slides: restyle the segmented region of a photo, then segment the result as the style's
material, and score that against the annotated mask of the photo.

The steps are (1) the original, (2) the style transfer of the whole photo, (3) the segmentation of the original, (4) the
segmented region restyled, and (5) the segmentation of (4) as the style's material. There are two pipelines: `gatys`
takes the mask of the saliency teacher, and optimises inside it; `network` takes both from one pass. There are three
judges of (5): the saliency teacher; its distinct maps alone, which are nearest to what the slides had; and the
network's own segmenter. Annotated masks only score.
"""

import random
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from experiments.lab import HIGH, LOW, Lab, Progress, Sized
from experiments.plots import bars
from experiments.report import Figures, group_mean, mean, table
from unistyle.data.labelled import LabelledPhoto
from unistyle.data.transfer import Transfer
from unistyle.evaluation.methods import public_method
from unistyle.evaluation.pairs import photo_name
from unistyle.evaluation.rows import Row
from unistyle.evaluation.scores import mask_scores
from unistyle.files.tensors import to_pil, to_tensor
from unistyle.maths.resizing import resize_regions

PIPELINES = ("network", "gatys")
JUDGES = ("saliency", "distinct", "segmenter")
DISTINCT = 0.3  # the best threshold of distinct maps on the photos of `val` (docs/experiments.md)
FOUND = (
    0.02  # share of the frame below which the style's own region was not found, and its whole photo is taken
)
Combination = tuple[LabelledPhoto, LabelledPhoto]  # content and style


class Steps(NamedTuple):
    """The pictures of one combination."""

    photo: Tensor
    """Step (1), `1 3 h w`."""
    mask: Tensor
    """Step (3), `1 1 h w`."""
    result: Tensor
    """Step (4), `1 3 h w`."""
    seconds: float
    """Time of steps (3) and (4); not a number where the result was on disk."""


def with_network(lab: Lab, content: Sized, style: LabelledPhoto) -> Steps:
    """Mask and restyled region from one pass of the public class; the style's own region is found by the same
    network."""
    photo, plan = to_pil(content.image[0]), lab.model.plan(to_pil(lab.sized(style).image[0]))
    start = time.perf_counter()
    result = lab.model.restyle(photo, plan)
    seconds = time.perf_counter() - start
    image, mask = (to_tensor(x)[None].to(content.image) for x in (result.image, result.mask))
    return Steps(content.image, mask, image, seconds)


def with_gatys(lab: Lab, content: Sized, style: LabelledPhoto, label: int) -> Steps:
    """The saliency teacher's masks of photo (as its material) and style, and the optimisation inside them."""
    sized = lab.sized(style)
    start = time.perf_counter()
    mask, own = (
        lab.teacher.masks(image, torch.tensor([k], device=image.device))
        for image, k in ((content.image, label), (sized.image, style.label))
    )
    mask, own = ((m > 0.5).float() for m in (mask, own))
    own = own if own.mean() > FOUND else torch.ones_like(own)
    transfer = Transfer(content.image, sized.image, mask, own)
    known = lab.gatys.path(transfer).is_file()
    result = lab.gatys.restyle(transfer)
    return Steps(content.image, mask, result, float("nan") if known else time.perf_counter() - start)


@torch.no_grad()
def judged(lab: Lab, image: Tensor, label: int) -> dict[str, Tensor]:
    """Boolean masks `1 1 h w` of a material in an image, by each judge."""
    labels = torch.tensor([label], device=image.device)
    taught, distinct = (lab.teacher.masks(image, labels, method) for method in ("combined", "distinct"))
    network = lab.model.network
    region = network.found(network.find(image)[1]).materials[:, label : label + 1]
    own = resize_regions(region, image.shape[-2:])
    return {"saliency": taught > 0.5, "distinct": distinct > DISTINCT, "segmenter": own > 0.5}


def scored(lab: Lab, image: Tensor, label: int, annotated: Tensor) -> Row:
    """Pixel accuracy and mean IU of the mask that each judge finds."""
    row: Row = {}
    for judge, mask in judged(lab, image, label).items():
        row |= {f"{judge}_{name}": x for name, x in mask_scores(mask, annotated > 0.5).items()}
    return row


def subset(combinations: list[Combination], count: int, seed: int) -> list[Combination]:
    """`count` of the combinations, in their order; a count of 0 takes all.

    Style photos are drawn with the seed, each with all of its contents. Materials come in turn, so that each has its
    share.
    """
    if not count or count >= len(combinations):
        return combinations
    rng, by_material = random.Random(seed), {}
    for number, (_, style) in enumerate(combinations):
        by_material.setdefault(style.label, {}).setdefault(style, []).append(number)
    drawn = [rng.sample(list(styles.values()), len(styles)) for styles in by_material.values()]
    turns = [group[i] for i in range(len(combinations)) for group in drawn if i < len(group)]
    return [combinations[i] for i in sorted([number for group in turns for number in group][:count])]


def combinations(lab: Lab) -> dict[str, list[Combination]]:
    """Content and style photos for each pipeline."""
    contents = [lab.named(name) for name in lab.config.contents]
    everything = [(content, style) for content in contents for style in lab.style_photos()]
    return {"network": everything, "gatys": subset(everything, lab.config.gatys.count, lab.config.seed)}


def study(lab: Lab, progress: Progress) -> Iterator[Row]:
    """One row for each combination and pipeline: content, style, material of the style, pipeline, scores of the mask
    (3) and of (5) by each judge, and seconds. Rows of the pipeline `photo` judge the untouched photo as its own
    material."""
    config, results = lab.config, lab.results("resegmentation")
    yield from _untouched(lab)
    for pipeline, chosen in combinations(lab).items():
        for index, (content, style) in enumerate(chosen):
            names = {"content": photo_name(content), "pipeline": pipeline, "style": photo_name(style)}
            settings = config.gatys.iterations if pipeline == "gatys" else 0
            key = (*names.values(), config.size, settings, lab.version, JUDGES)
            row = results.get(key, lambda c=content, s=style, p=pipeline: combination(lab, c, s, p))
            yield names | {"material": style.path.parent.name} | row
            progress(pipeline, index + 1, len(chosen))


def _untouched(lab: Lab) -> Iterator[Row]:
    for content in map(lab.named, lab.config.contents):
        sized, name = lab.sized(content), photo_name(content)
        row = lab.results("resegmentation").get(
            ("photo", name, lab.config.size, lab.version, JUDGES),
            lambda c=content, s=sized: scored(lab, s.image, c.label, s.annotated),
        )
        yield {"content": name, "pipeline": "photo", "style": "", "material": ""} | row


def steps(lab: Lab, content: LabelledPhoto, style: LabelledPhoto, pipeline: str) -> Steps:
    """The pictures of one content, style and pipeline."""
    sized = lab.sized(content)
    if pipeline == "network":
        return with_network(lab, sized, style)
    return with_gatys(lab, sized, style, content.label)


def whole(lab: Lab, content: LabelledPhoto, style: LabelledPhoto, pipeline: str) -> Tensor:
    """Step (2): the whole photo in the style of the whole style photo, `1 3 h w`."""
    photo, image = lab.sized(content).image, lab.sized(style).image
    everywhere, own = (torch.ones_like(x[:, :1]) for x in (photo, image))
    if pipeline == "gatys":
        return lab.gatys.restyle(Transfer(photo, image, everywhere, own))
    return public_method(lab.model)(Transfer(photo, image, everywhere, own))


def combination(lab: Lab, content: LabelledPhoto, style: LabelledPhoto, pipeline: str) -> Row:
    """Scores of one content, style and pipeline."""
    annotated = lab.sized(content).annotated
    done = steps(lab, content, style, pipeline)
    own = {f"mask_{name}": x for name, x in mask_scores(done.mask > 0.5, annotated > 0.5).items()}
    return scored(lab, done.result, style.label, annotated) | own | {"seconds": done.seconds}


SLIDES = {"leather/leather_object_006_new": 0.77, "leather/leather_object_001_new": 0.61}  # fabric, mean IU
MARGIN = 0.05  # of mean IU, within which a difference is none
HEADS = ("claim", "slides", "pipeline", "judge", "here", "reproduced")


def section(lab: Lab, rows: list[Row], figures: Figures) -> str:
    """The means for each material, pipeline and judge as charts, and the claims of the slides."""
    done = [r for r in rows if r["material"]]
    untouched = [r for r in rows if r["pipeline"] == "photo"]
    bounds = {judge: mean(r[f"{judge}_mean_iu"] for r in untouched) for judge in JUDGES}
    own = " and ".join(f"{x:.2f} by the {judge}" for judge, x in bounds.items())
    parts = [
        "## Restyled, then segmented as the style's material",
        *(_chart(lab, done, judge, figures) for judge in JUDGES),
        f"The untouched photos, found as their own material: mean IU {own}.",
        "### Claims of the slides",
        table(HEADS, claims(done)),
    ]
    return "\n\n".join(parts)


def _chart(lab: Lab, done: list[Row], judge: str, figures: Figures) -> str:
    """One bar for each pipeline and material, by one judge."""
    name, materials = f"resegmentation-{judge}", lab.materials
    panels = {
        title: {p: {m: group_mean(done, f"{judge}_{score}", pipeline=p, material=m) for m in materials}
                for p in PIPELINES}
        for title, score in (("pixel accuracy", "accuracy"), ("mean IU", "mean_iu"))
    }  # fmt: skip
    bars(panels, figures.path(name), materials)
    numbers = {p: sum(r["pipeline"] == p for r in done) for p in PIPELINES}
    counts = " and ".join(f"{n} combinations of the {p} pipeline" for p, n in numbers.items())
    return figures.text(name, f"By the {judge}: means over {counts}")


def claims(rows: Sequence[Row]) -> list[tuple]:
    """Each claim of the slides with the figures of each pipeline and judge."""
    return [line for p in PIPELINES for judge in JUDGES for line in _claims(rows, p, judge)]


def _claims(rows: Sequence[Row], pipeline: str, judge: str) -> Iterator[tuple]:
    score = f"{judge}_mean_iu"
    high, low = (
        mean(group_mean(rows, score, pipeline=pipeline, material=m) for m in group) for group in (HIGH, LOW)
    )
    claim, here = f"{', '.join(HIGH)} above {', '.join(LOW)}", f"{high:.2f} against {low:.2f}"
    yield claim, "-", pipeline, judge, here, _mark(high > low + MARGIN)
    for content, wanted in SLIDES.items():
        got = group_mean(rows, score, pipeline=pipeline, material="fabric", content=content)
        claim, right = f"fabric on {content}", _mark(got >= wanted - MARGIN)
        yield claim, f"{wanted:.2f}", pipeline, judge, f"{got:.2f}", right


def _mark(right: bool) -> str:
    return "yes" if right else "no"
