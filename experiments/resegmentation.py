"""The protocol of the slides: restyle the segmented region of a photo, then segment the result as the style's
material, and score that against the annotated mask of the photo.

(1) the original, (2) the style transfer of the whole photo, (3) the segmentation of the original, (4) the segmented
region restyled, (5) the segmentation of (4) as the style's material. Two pipelines: `gatys` (mask of the saliency
teacher, then the optimisation inside it) and `network` (both from one pass). Two judges of (5): the saliency teacher
and the network's own segmenter. Annotated masks only score.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from experiments import plots, report, resegmentation
from experiments.lab import HIGH, LOW, Lab, Sized, name_of
from experiments.metrics import mask_scores
from experiments.report import Figures, group_mean, mean
from unistyle.data.labelled import LabelledPhoto
from unistyle.data.transfer import Transfer
from unistyle.evaluation.rows import Row
from unistyle.maths.resizing import resize_regions

PIPELINES = ("network", "gatys")
JUDGES = ("saliency", "segmenter")


class Steps(NamedTuple):
    """The pictures of one combination, `1 3 h w` and masks `1 1 h w`, steps (1), (3) and (4); seconds of the last two,
    not a number where the result was on disk."""

    photo: Tensor
    mask: Tensor
    result: Tensor
    seconds: float


@torch.no_grad()
def with_network(lab: Lab, content: Sized, style: LabelledPhoto) -> Steps:
    """Mask and restyled region from one pass; the style's own region is found by the same network."""
    network = lab.model.network
    code = network.encode_style(lab.sized(style).image)
    start = time.perf_counter()
    output = network(content.image, code)
    return Steps(content.image, output.alpha, output.image, time.perf_counter() - start)


def with_gatys(lab: Lab, content: Sized, style: LabelledPhoto, label: int) -> Steps:
    """The saliency teacher's masks of photo (as its material) and style, and the optimisation inside them."""
    sized = lab.sized(style)
    start = time.perf_counter()
    mask, own = (
        lab.teacher.masks(image, torch.tensor([k], device=image.device))
        for image, k in ((content.image, label), (sized.image, style.label))
    )
    mask, own = ((m > 0.5).float() for m in (mask, own))
    own = own if own.mean() > 0.02 else torch.ones_like(own)
    job = Transfer(content.image, sized.image, mask, own)
    known = lab.gatys.path(job).is_file()
    result = lab.gatys.restyle(job)
    return Steps(content.image, mask, result, float("nan") if known else time.perf_counter() - start)


@torch.no_grad()
def judged(lab: Lab, image: Tensor, label: int) -> dict[str, Tensor]:
    """Boolean masks `1 1 h w` of a material in an image, by each judge."""
    taught = lab.teacher.masks(image, torch.tensor([label], device=image.device))
    network = lab.model.network
    region = network.regions(network.find(image)[1])[:, label : label + 1]
    return {"saliency": taught > 0.5, "segmenter": resize_regions(region, image.shape[-2:]) > 0.5}


def scored(lab: Lab, image: Tensor, label: int, annotated: Tensor) -> Row:
    """Pixel accuracy and mean IU of the mask that each judge finds."""
    row: Row = {}
    for judge, mask in judged(lab, image, label).items():
        row |= {f"{judge}_{name}": x for name, x in mask_scores(mask, annotated > 0.5).items()}
    return row


def subset(combinations: list, count: int, seed: int) -> list:
    """`count` combinations of content and style (0: all), in their order: style photos drawn with the seed, each with
    all of its contents, materials in turn, so that each has its share."""
    if not count or count >= len(combinations):
        return combinations
    rng, by_material = random.Random(seed), {}
    for number, (_, style) in enumerate(combinations):
        by_material.setdefault(style.label, {}).setdefault(style, []).append(number)
    drawn = [rng.sample(list(styles.values()), len(styles)) for styles in by_material.values()]
    turns = [group[i] for i in range(len(combinations)) for group in drawn if i < len(group)]
    return [combinations[i] for i in sorted([number for group in turns for number in group][:count])]


def combinations(lab: Lab) -> dict[str, list[tuple[LabelledPhoto, LabelledPhoto]]]:
    """Content and style photos for each pipeline."""
    contents = [lab.named(name) for name in lab.config.contents]
    everything = [(content, style) for content in contents for style in lab.style_photos()]
    return {"network": everything, "gatys": subset(everything, lab.config.gatys.count, lab.config.seed)}


def study(lab: Lab, progress: Callable[[str, int, int], None]) -> Iterator[Row]:
    """A row for each combination and pipeline: content, style, material, pipeline, scores of (5) by each judge, of the
    mask (3), seconds; rows of the pipeline `photo` judge the untouched photo as its own material."""
    config, results = lab.config, lab.results("resegmentation")
    for content in map(lab.named, config.contents):
        sized = lab.sized(content)
        key = ("photo", name_of(content), config.size, lab.version)
        yield {"content": name_of(content), "pipeline": "photo", "style": "", "material": ""} | results.get(
            key, lambda c=content, s=sized: scored(lab, s.image, c.label, s.annotated)
        )
    for pipeline, chosen in combinations(lab).items():
        for index, (content, style) in enumerate(chosen):
            names = {"content": name_of(content), "pipeline": pipeline, "style": name_of(style)}
            settings = config.gatys.iterations if pipeline == "gatys" else 0
            key = (*names.values(), config.size, settings, lab.version)
            row = results.get(key, lambda c=content, s=style, p=pipeline: combination(lab, c, s, p))
            yield names | {"material": style.path.parent.name} | row
            progress(pipeline, index + 1, len(chosen))


def steps(lab: Lab, content: LabelledPhoto, style: LabelledPhoto, pipeline: str) -> Steps:
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
    network = lab.model.network
    with torch.no_grad():
        return network(photo, network.encode_style(image, own), everywhere).image


def combination(lab: Lab, content: LabelledPhoto, style: LabelledPhoto, pipeline: str) -> Row:
    """Scores of one content, style and pipeline."""
    annotated = lab.sized(content).annotated
    done = steps(lab, content, style, pipeline)
    own = {f"mask_{name}": x for name, x in mask_scores(done.mask > 0.5, annotated > 0.5).items()}
    return scored(lab, done.result, style.label, annotated) | own | {"seconds": done.seconds}


SLIDES = {"leather/leather_object_006_new": 0.77, "leather/leather_object_001_new": 0.61}  # fabric, mean IU
MARGIN = 0.05  # of mean IU, within which a difference is none


def resegmentation_section(lab: Lab, rows: list[Row], figures: Figures) -> str:
    """Bars a material for each pipeline and judge, and the claims of the slides."""
    done, materials = [r for r in rows if r["material"]], lab.materials
    parts = ["## Restyled, then segmented as the style's material"]
    numbers = [sum(r["pipeline"] == p for r in done) for p in resegmentation.PIPELINES]
    counts = " and ".join(
        f"{n} combinations of the {p} pipeline"
        for n, p in zip(numbers, resegmentation.PIPELINES, strict=True)
    )
    for judge in resegmentation.JUDGES:
        panels = {
            title: {p: {m: group_mean(done, f"{judge}_{score}", pipeline=p, material=m) for m in materials}
                    for p in resegmentation.PIPELINES}
            for title, score in (("pixel accuracy", "accuracy"), ("mean IU", "mean_iu"))
        }  # fmt: skip
        plots.bars(panels, figures.path(f"resegmentation-{judge}"), materials)
        parts.append(figures.text(f"resegmentation-{judge}", f"By the {judge}: means over {counts}"))
    bounds = [
        mean(r[f"{judge}_mean_iu"] for r in rows if r["pipeline"] == "photo")
        for judge in resegmentation.JUDGES
    ]
    own = " and ".join(
        f"{x:.2f} by the {judge}" for x, judge in zip(bounds, resegmentation.JUDGES, strict=True)
    )
    parts.append(f"The untouched photos, found as their own material: mean IU {own}.")
    parts += ["### Claims of the slides", report.table(("claim", "slides", "pipeline", "judge", "here", "reproduced"),
                                                       claims(done))]  # fmt: skip
    return "\n\n".join(parts)


def claims(rows: Sequence[Row]) -> list[tuple]:
    """Each claim of the slides with the figures of each pipeline and judge."""
    lines = []
    for pipeline in resegmentation.PIPELINES:
        for judge in resegmentation.JUDGES:
            score = f"{judge}_mean_iu"
            high, low = (mean(group_mean(rows, score, pipeline=pipeline, material=m) for m in group)
                         for group in (HIGH, LOW))  # fmt: skip
            claim = f"{', '.join(HIGH)} above {', '.join(LOW)}"
            lines.append(
                (claim, "-", pipeline, judge, f"{high:.2f} against {low:.2f}", _mark(high > low + MARGIN))
            )
            for content, wanted in SLIDES.items():
                got = group_mean(rows, score, pipeline=pipeline, material="fabric", content=content)
                claim = f"fabric on {content}"
                lines.append(
                    (claim, f"{wanted:.2f}", pipeline, judge, f"{got:.2f}", _mark(got >= wanted - MARGIN))
                )
    return lines


def _mark(right: bool) -> str:
    return "yes" if right else "no"
