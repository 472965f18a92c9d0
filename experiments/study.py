"""All studies of a run, one after another, and their report."""

import json
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

from experiments import (
    findings,
    onomatopoeia,
    pictures,
    plots,
    quality,
    report,
    resegmentation,
    saliency,
    translation,
)
from experiments.cache import file_digest
from experiments.config import ExperimentConfig
from experiments.findings import HIGH, LOW
from experiments.lab import Lab
from experiments.report import Figures, group_mean, mean
from unistyle.evaluation.rows import Row
from unistyle.evaluation.sheets import page
from unistyle.files.atomic import atomic
from unistyle.files.writing import save_png
from unistyle.teachers.saliency import Bars

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


def saliency_section(lab: Lab, rows: list[Row], figures: Figures) -> str:
    """Accuracy and mean IU a material of every method."""
    panels = {
        title: {m: {k: group_mean(rows, score, method=m, material=k) for k in lab.materials}
                for m in saliency.METHODS}
        for title, score in (("pixel accuracy", "accuracy"), ("mean IU", "mean_iu"))
    }  # fmt: skip
    plots.bars(panels, figures.path("saliency"), lab.materials)
    lines = [
        (m, *(group_mean(rows, s, method=m) for s in ("threshold", "accuracy", "mean_iu")))
        for m in saliency.METHODS
    ]
    caption = f"{len({r['photo'] for r in rows})} photos with a boundary, each method at its best threshold"
    return "\n\n".join(
        ["## Where the material is", figures.text("saliency", caption),
         report.table(("masks", "threshold", "pixel accuracy", "mean IU"), lines)]
    )  # fmt: skip


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


def quality_section(lab: Lab, rows: list[Row], figures: Figures) -> str:
    """Distances to style and photo of every method, with their spread."""
    lines = []
    for method in quality.METHODS:
        own = [r for r in rows if r["method"] == method]
        middle = lambda score, own=own: statistics.median(r[score] for r in own)  # noqa: E731
        lines.append((method, str(len(own)), middle("relative"), middle("moments"), middle("content"),
                      middle("shading"), mean(r["seconds"] for r in own)))  # fmt: skip
    for score, label in (
        ("relative", "Gram distance, untouched photo = 1"),
        ("moments", "moment distance"),
        ("content", "content distance"),
    ):
        groups = {m: [r[score] for r in rows if r["method"] == m] for m in quality.METHODS}
        plots.spread(groups, label, figures.path(f"quality-{score}"))
    heads = ("method", "pairs", "Gram", "moments", "content", "shading", "seconds a photo")
    captions = [
        figures.text(f"quality-{s}", f"{s}: spread over pairs") for s in ("relative", "moments", "content")
    ]
    return "\n\n".join(["## Style and content", "Medians.", report.table(heads, lines), *captions])


def onomatopoeia_section(lab: Lab, rows: list[Row], figures: Figures) -> str:
    """A sheet of photos, masks and results, and the scores where the word was found."""
    config = lab.config.onomatopoeia
    path = figures.path(f"onomatopoeia-{file_digest(config.checkpoint)}")
    if not path.is_file():
        cells = []
        for source in onomatopoeia.sources(lab):
            photo, result = onomatopoeia.restyled(lab.words, lab, source)
            cells.append([photo, result.mask, result.image])
        titles = [config.source, "mask", config.target]
        half = -(-len(cells) // 2)
        pairs = [a + b for a, b in zip(cells[:half], cells[half:] or cells[:half], strict=False)]
        save_png(page(titles * 2, pairs, 256), path)
    found = [r for r in rows if r["exemplar"]]
    lines = [
        (s, statistics.median(r[s] for r in found)) for s in ("relative", "moments", "content", "shading")
    ]
    return "\n\n".join(
        [f"## {config.source} as {config.target}", "The photos stand in for a labelled set, which does not exist here.",
         figures.text(path.stem, f"found in {len(found)} of {len(rows)} photos"),
         report.table(("median where found", "value"), lines)]
    )  # fmt: skip


SECTIONS: dict[str, tuple[Callable, Callable]] = {
    "resegmentation": (resegmentation.study, resegmentation_section),
    "saliency": (saliency.study, saliency_section),
    "translation": (translation.study, translation_section),
    "onomatopoeia": (onomatopoeia.study, onomatopoeia_section),
    "quality": (quality.study, quality_section),
}


def run(config: ExperimentConfig) -> tuple[Path, Path]:
    """Every study that is asked for, then the report; returns its HTML page and its Markdown twin."""
    if unknown := set(config.studies) - set(SECTIONS):
        raise ValueError(f"no study {', '.join(sorted(unknown))}: choose from {', '.join(SECTIONS)}")
    lab, out = Lab(config), Path(config.out)
    figures, parts, rows = Figures(out), ["# Experiments"], {}
    for name in config.studies:
        study, section = SECTIONS[name]
        rows[name] = list(study(lab, Bars()))
        with atomic(out / f"{name}.json") as temporary:
            temporary.write_text(json.dumps(rows[name], indent=1))
        parts.append(section(lab, rows[name], figures))
    parts += [findings.findings(lab, rows), pictures.pictures(lab, figures)]
    return report.write("\n\n".join(parts), "UniStyle: experiments", out)
