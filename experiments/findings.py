"""What the studies say together: irregular texture against gloss, the network against the optimisation."""

from collections.abc import Mapping, Sequence

from experiments import quality, report, resegmentation, translation
from experiments.lab import HIGH, LOW, Lab
from experiments.report import group_mean, mean
from unistyle.evaluation.rows import Row


def findings(lab: Lab, rows: Mapping[str, list[Row]]) -> str:
    """Irregular texture against gloss, and the network against the optimisation, by every study that was run."""
    lines = []
    for name, label, pipelines, score in MEASURES:
        for pipeline in pipelines if name in rows else ():
            own = [r for r in rows[name] if r.get("pipeline", r.get("method")) == pipeline]
            groups = (mean(score(r) for r in own if style_material(r) in group) for group in (HIGH, LOW))
            lines.append((label, pipeline, *groups))
    parts = ["## Irregular texture and gloss",
             f"Irregular: {', '.join(HIGH)}. Gloss: {', '.join(LOW)}. Materials are those of the style.",
             report.table(("measure", "method", "irregular", "gloss"), lines)]  # fmt: skip
    if "resegmentation" in rows:
        parts += ["## The network against the optimisation", *against(lab, rows["resegmentation"])]
    return "\n\n".join(parts)


MEASURES = (
    ("resegmentation", "mean IU of (5), saliency", resegmentation.PIPELINES, lambda r: r["saliency_mean_iu"]),
    (
        "resegmentation",
        "mean IU of (5), segmenter",
        resegmentation.PIPELINES,
        lambda r: r["segmenter_mean_iu"],
    ),
    ("translation", "named as the target", translation.METHODS, lambda r: float(r["named"] == r["target"])),
    ("quality", "Gram distance", quality.METHODS, lambda r: r["relative"]),
)  # study, what is measured, its methods, the score of a row


def style_material(row: Row) -> str:
    return row["style"].partition("/")[0]


def against(lab: Lab, rows: Sequence[Row]) -> list[str]:
    """Mean IU of both pipelines on the combinations that both have, their ratio, and the same a material."""
    common = shared(rows)
    parts, names = [], resegmentation.PIPELINES
    for judge in resegmentation.JUDGES:
        lines = []
        for material in (*lab.materials, "all"):
            own = [r for r in common if material in (r["material"], "all")]
            values = [group_mean(own, f"{judge}_mean_iu", pipeline=p) for p in names]
            lines.append((material, *values, values[0] / values[1] if values[1] else float("nan")))
        parts += [f"Mean IU by the {judge}, {len(common) // len(names)} combinations:",
                  report.table(("style", *names, "network / gatys"), lines)]  # fmt: skip
    seconds = [group_mean(common, "seconds", pipeline=p) for p in names]
    ratio = seconds[1] / seconds[0]
    parts.append(f"Seconds a photo: {seconds[0]:.3f} against {seconds[1]:.1f}, a ratio of {ratio:.0f}.")
    return parts


def shared(rows: Sequence[Row]) -> list[Row]:
    """Rows of the combinations that both pipelines have."""
    pairs = {(r["content"], r["style"]) for r in rows if r["pipeline"] == "gatys"}
    return [r for r in rows if (r["content"], r["style"]) in pairs]
