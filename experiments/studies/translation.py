"""Is it taken for the other material? Material A is restyled as B, and a classifier that took no part in it names the
result."""

import random
from collections.abc import Iterator

import torch

from experiments.lab import Lab, Progress
from experiments.plots import heat_map
from experiments.report import Figures, mean, table
from experiments.studies.quality import method_of
from unistyle.data.labelled import LabelledPhoto
from unistyle.data.transfer import Transfer
from unistyle.evaluation.pairs import Pair, photo_name
from unistyle.evaluation.rows import Row
from unistyle.maths.masks import AREA, has_boundary

METHODS = ("photo", "gatys", "network")


def combinations(lab: Lab) -> list[Pair]:
    """For every ordered pair of materials A and B: contents of A in `val` with a large enough region, each with a
    style photo of B in `train`. There are `translations` contents of A, or all where there are fewer."""
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


def pairs_by_method(lab: Lab) -> dict[str, list[Pair]]:
    """The combinations for each method; for the optimisation only as many as the settings say."""
    pairs, others = combinations(lab), lab.config.gatys.others
    chosen = {method: pairs for method in METHODS}
    if others:
        chosen["gatys"] = random.Random(lab.config.seed).sample(pairs, min(others, len(pairs)))
    return chosen


def accuracy(lab: Lab) -> float:
    """Share of the photos of `val` whose material the judge names, inside the annotated masks."""
    right = [lab.judge(*lab.sized(p)).argmax(1).item() == p.label for p in lab.photos["val"]]
    return sum(right) / len(right)


def study(lab: Lab, progress: Progress) -> Iterator[Row]:
    """One row for each combination and method: photo, style, method, source, target and the material named. One more
    row holds the judge's accuracy on `val`."""
    results, config = lab.results("translation"), lab.config
    key = ("judge", config.size, config.data, config.judge)
    yield {"method": "judge"} | results.get(key, lambda: {"accuracy": accuracy(lab)})
    for method, pairs in pairs_by_method(lab).items():
        for index, pair in enumerate(pairs):
            names = {"photo": photo_name(pair.content), "style": photo_name(pair.style), "method": method}
            settings = config.gatys.iterations if method == "gatys" else lab.version
            key = (*names.values(), config.size, settings, config.judge)
            row = results.get(key, lambda p=pair, m=method: named(lab, p, m))
            materials = {"source": pair.content.path.parent.name, "target": pair.style.path.parent.name}
            yield names | materials | row
            progress(method, index + 1, len(pairs))


def named(lab: Lab, pair: Pair, method: str) -> Row:
    """The material that the judge names inside the restyled region."""
    (photo, region), (style, style_region) = (lab.sized(p) for p in pair)
    result = method_of(lab, method)(Transfer(photo, style, region, style_region))
    with torch.no_grad():
        # The copy is an ordinary tensor; what was made in inference mode is none.
        return {"named": lab.materials[lab.judge(result.clone(), region).argmax(1).item()]}


def section(lab: Lab, rows: list[Row], figures: Figures) -> str:
    """How often the judge names the target, with one heat map for each method."""
    judge = next(r["accuracy"] for r in rows if r["method"] == "judge")
    maps, lines = [], []
    for method in METHODS:
        own = [r for r in rows if r["method"] == method]
        maps.append(_heat_map(lab, method, own, figures))
        shares = (mean(float(r["named"] == r[k]) for r in own) for k in ("target", "source"))
        lines.append((method, str(len(own)), *shares))
    heads = ("method", "photos", "named as target", "named as source")
    about = f"The judge names {judge:.2f} of the photos of val correctly."
    return "\n\n".join(["## Taken for the other material", about, *maps, table(heads, lines)])


def _heat_map(lab: Lab, method: str, own: list[Row], figures: Figures) -> str:
    shares = {
        (a, b): mean(float(r["named"] == b) for r in own if (r["source"], r["target"]) == (a, b))
        for a in lab.materials for b in lab.materials if a != b
    }  # fmt: skip
    title = f"{method}: share named as the target"
    heat_map(shares, lab.materials, title, figures.path(f"translation-{method}"))
    return figures.text(f"translation-{method}", f"{title}, {len(own)} photos")
