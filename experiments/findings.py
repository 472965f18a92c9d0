"""What the studies say together: irregular texture against gloss, the network against the optimisation."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from experiments.lab import HIGH, LOW, Lab
from experiments.report import group_mean, mean, table
from experiments.studies import quality, resegmentation, translation
from unistyle.evaluation.rows import Row


class Measure(NamedTuple):
    """One score that a study gives for every method."""

    study: str
    label: str
    methods: Sequence[str]
    score: Callable[[Row], float]


MEASURES = (
    Measure("resegmentation", "mean IU of (5), saliency", resegmentation.PIPELINES,
            lambda r: r["saliency_mean_iu"]),
    Measure("resegmentation", "mean IU of (5), distinct maps", resegmentation.PIPELINES,
            lambda r: r["distinct_mean_iu"]),
    Measure("resegmentation", "mean IU of (5), segmenter", resegmentation.PIPELINES,
            lambda r: r["segmenter_mean_iu"]),
    Measure("translation", "named as the target", translation.METHODS,
            lambda r: float(r["named"] == r["target"])),
    Measure("quality", "Gram distance", quality.METHODS, lambda r: r["relative"]),
)  # fmt: skip


def findings(lab: Lab, rows: Mapping[str, list[Row]]) -> str:
    """Irregular texture against gloss, and the network against the optimisation, by every study that was run."""
    lines = [line for measure in MEASURES if measure.study in rows for line in by_group(measure, rows)]
    parts = [
        "## Irregular texture and gloss",
        f"Irregular: {', '.join(HIGH)}. Gloss: {', '.join(LOW)}. Materials are those of the style.",
        table(("measure", "method", "irregular", "gloss"), lines),
    ]
    if "resegmentation" in rows:
        parts += ["## The network against the optimisation", *against(lab, rows["resegmentation"])]
    return "\n\n".join(parts)


def by_group(measure: Measure, rows: Mapping[str, list[Row]]) -> Iterator[tuple]:
    """One line for each method: the mean over styles of irregular texture, and over those with gloss."""
    for method in measure.methods:
        own = [r for r in rows[measure.study] if r.get("pipeline", r.get("method")) == method]
        groups = (mean(measure.score(r) for r in own if style_material(r) in group) for group in (HIGH, LOW))
        yield (measure.label, method, *groups)


def style_material(row: Row) -> str:
    """The material of the row's style photo."""
    return row["style"].partition("/")[0]


def against(lab: Lab, rows: Sequence[Row]) -> list[str]:
    """Mean IU of both pipelines on the combinations that both have, and their ratio, over all materials and for each
    of them."""
    common, names = shared(rows), resegmentation.PIPELINES
    parts = []
    for judge in resegmentation.JUDGES:
        lines = [against_line(common, judge, material) for material in (*lab.materials, "all")]
        parts += [
            f"Mean IU by the {judge}, {len(common) // len(names)} combinations:",
            table(("style", *names, "network / gatys"), lines),
        ]
    network, gatys = (group_mean(common, "seconds", pipeline=p) for p in names)
    speed = f"Seconds for one photo: {network:.3f} against {gatys:.1f}, a ratio of {gatys / network:.0f}."
    return [*parts, speed]


def against_line(common: Sequence[Row], judge: str, material: str) -> tuple:
    """The material (or "all"), the mean IU of each pipeline, and their ratio."""
    own = [r for r in common if material in (r["material"], "all")]
    network, gatys = (group_mean(own, f"{judge}_mean_iu", pipeline=p) for p in resegmentation.PIPELINES)
    return material, network, gatys, network / gatys if gatys else float("nan")


def shared(rows: Sequence[Row]) -> list[Row]:
    """Rows of the combinations that both pipelines have."""
    pairs = {(r["content"], r["style"]) for r in rows if r["pipeline"] == "gatys"}
    return [r for r in rows if (r["content"], r["style"]) in pairs]
