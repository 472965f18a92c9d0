"""Is it taken for the other material? Material A restyled as B, named by a classifier that took no part in it."""

import random
from collections.abc import Callable, Iterator

import torch

from experiments.lab import Lab, name_of
from experiments.quality import method_of
from unistyle.data.labelled import Photo
from unistyle.evaluation import measures as evaluation
from unistyle.evaluation.rows import Row
from unistyle.maths.masks import AREA, has_boundary
from unistyle.teachers.gatys import Job

METHODS = ("photo", "gatys", "network")


def combinations(lab: Lab) -> list[evaluation.Pair]:
    """For every ordered pair of materials A, B, so many contents of A in `val` with a large enough region
    (`translations`, or all there are), each with a style photo of B in `train`."""
    rng, materials = random.Random(lab.config.seed), range(len(lab.materials))
    contents = {k: [p for p in lab.photos["val"] if p.label == k and _usable(lab, p)] for k in materials}
    styles = {k: [p for p in lab.photos["train"] if p.label == k] for k in materials}
    return [
        evaluation.Pair(content, rng.choice(styles[b]))
        for a in materials for b in materials if a != b
        for content in rng.sample(contents[a], min(lab.config.translations, len(contents[a])))
    ]  # fmt: skip


def _usable(lab: Lab, photo: Photo) -> bool:
    annotated = lab.sized(photo).annotated
    return has_boundary(annotated > 0.5) and annotated.mean().item() >= AREA


def accuracy(lab: Lab) -> float:
    """Share of the photos of `val` whose material the judge names, inside the annotated masks."""
    right = [lab.judge(*lab.sized(p)).argmax(1).item() == p.label for p in lab.photos["val"]]
    return sum(right) / len(right)


def study(lab: Lab, progress: Callable[[str, int, int], None]) -> Iterator[Row]:
    """A row for each combination and method: photo, style, method, source, target and the material named; and one row
    with the judge's accuracy on `val`."""
    results, config = lab.results("translation"), lab.config
    judge = results.get(
        ("judge", config.size, config.data, config.judge), lambda: {"accuracy": accuracy(lab)}
    )
    yield {"method": "judge"} | judge
    pairs = combinations(lab)
    chosen = {m: pairs for m in METHODS}
    if config.gatys.others:
        chosen["gatys"] = random.Random(config.seed).sample(pairs, min(config.gatys.others, len(pairs)))
    for method, group in chosen.items():
        for index, pair in enumerate(group):
            names = {"photo": name_of(pair.content), "style": name_of(pair.style), "method": method}
            settings = config.gatys.iterations if method == "gatys" else lab.version
            row = results.get(
                (*names.values(), config.size, settings, config.judge),
                lambda p=pair, m=method: named(lab, p, m),
            )
            materials = {"source": pair.content.path.parent.name, "target": pair.style.path.parent.name}
            yield names | materials | row
            progress(method, index + 1, len(group))


def named(lab: Lab, pair: evaluation.Pair, method: str) -> Row:
    """The material that the judge names inside the restyled region."""
    (photo, region), (style, style_region) = (lab.sized(p) for p in pair)
    job = Job(photo, style, region, style_region)
    result = method_of(lab, method)(job.photo, job.region, job.style, job.style_region)
    with torch.no_grad():
        return {"named": lab.materials[lab.judge(result.clone(), region).argmax(1).item()]}
