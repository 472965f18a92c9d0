"""Is it taken for the other material? Material A restyled as B, named by a classifier that took no part in it."""

import random
from collections.abc import Callable, Iterator

import torch

from experiments import plots, report, translation
from experiments.lab import Lab, name_of
from experiments.quality import method_of
from experiments.report import Figures, mean
from unistyle.data.labelled import LabelledPhoto
from unistyle.data.transfer import Transfer
from unistyle.evaluation.pairs import Pair
from unistyle.evaluation.rows import Row
from unistyle.maths.masks import AREA, has_boundary

METHODS = ("photo", "gatys", "network")


def combinations(lab: Lab) -> list[Pair]:
    """For every ordered pair of materials A, B, so many contents of A in `val` with a large enough region
    (`translations`, or all there are), each with a style photo of B in `train`."""
    rng, materials = random.Random(lab.config.seed), range(len(lab.materials))
    contents = {k: [p for p in lab.photos["val"] if p.label == k and _usable(lab, p)] for k in materials}
    styles = {k: [p for p in lab.photos["train"] if p.label == k] for k in materials}
    return [
        Pair(content, rng.choice(styles[b]))
        for a in materials for b in materials if a != b
        for content in rng.sample(contents[a], min(lab.config.translations, len(contents[a])))
    ]  # fmt: skip


def _usable(lab: Lab, photo: LabelledPhoto) -> bool:
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


def named(lab: Lab, pair: Pair, method: str) -> Row:
    """The material that the judge names inside the restyled region."""
    (photo, region), (style, style_region) = (lab.sized(p) for p in pair)
    job = Transfer(photo, style, region, style_region)
    result = method_of(lab, method)(job.photo, job.region, job.style, job.style_region)
    with torch.no_grad():
        return {"named": lab.materials[lab.judge(result.clone(), region).argmax(1).item()]}


def translation_section(lab: Lab, rows: list[Row], figures: Figures) -> str:
    """How often the judge names the target, a heat map a method."""
    judge = next(r["accuracy"] for r in rows if r["method"] == "judge")
    parts = [
        "## Taken for the other material",
        f"The judge names {judge:.2f} of the photos of val correctly.",
    ]
    lines = []
    for method in translation.METHODS:
        own = [r for r in rows if r["method"] == method]
        values = {(a, b): mean(float(r["named"] == b) for r in own if (r["source"], r["target"]) == (a, b))
                  for a in lab.materials for b in lab.materials if a != b}  # fmt: skip
        title = f"{method}: share named as the target"
        plots.heat_map(values, lab.materials, title, figures.path(f"translation-{method}"))
        parts.append(figures.text(f"translation-{method}", f"{title}, {len(own)} photos"))
        shares = (mean(float(r["named"] == r[k]) for r in own) for k in ("target", "source"))
        lines.append((method, str(len(own)), *shares))
    return "\n\n".join(
        [*parts, report.table(("method", "photos", "named as target", "named as source"), lines)]
    )
