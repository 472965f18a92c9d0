"""All studies of a run, one after another, and their report."""

import json
import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from unistyle.experiments import onomatopoeia, plots, quality, report, resegmentation, saliency, translation
from unistyle.experiments.config import ExperimentConfig
from unistyle.experiments.lab import Lab
from unistyle.files import atomic
from unistyle.images import save_png, to_pil
from unistyle.report import Row
from unistyle.sheets import page
from unistyle.teachers.saliency import Bars

HIGH, LOW = ("foliage", "fabric", "stone"), ("glass", "metal", "plastic")  # mean IU of these on the slides
SLIDES = {"leather/leather_object_006_new": 0.77, "leather/leather_object_001_new": 0.61}  # fabric, mean IU


def mean(values: Iterable[float]) -> float:
    """Mean of what is a number; not a number where nothing is."""
    known = [x for x in values if x == x]
    return statistics.fmean(known) if known else float("nan")


def group_mean(rows: Sequence[Row], score: str, **where: str) -> float:
    return mean(r[score] for r in rows if all(r[k] == v for k, v in where.items()))


class Figures:
    """Where the figures of the report are written."""

    def __init__(self, root: Path):
        self.root = root

    def path(self, name: str) -> Path:
        return self.root / "figures" / f"{name}.png"

    def text(self, name: str, caption: str) -> str:
        return report.figure(self.path(name), caption, self.root)


def resegmentation_section(lab: Lab, rows: list[Row], figures: Figures) -> str:
    """Bars a material for each pipeline and judge, and the claims of the slides."""
    done, materials = [r for r in rows if r["material"]], lab.materials
    parts = ["## Restyled, then segmented as the style's material"]
    for judge in resegmentation.JUDGES:
        panels = {
            title: {p: {m: group_mean(done, f"{judge}_{score}", pipeline=p, material=m) for m in materials}
                    for p in resegmentation.PIPELINES}
            for title, score in (("pixel accuracy", "accuracy"), ("mean IU", "mean_iu"))
        }  # fmt: skip
        plots.bars(panels, figures.path(f"resegmentation-{judge}"), materials)
        parts.append(
            figures.text(f"resegmentation-{judge}", f"By the {judge}: means over content and style photos")
        )
    pairs = {(r["content"], r["style"]) for r in done if r["pipeline"] == "gatys"}
    common = [r for r in done if (r["content"], r["style"]) in pairs]
    heads = ("judge", "pipeline", "pixel accuracy", "mean IU", "seconds a photo")
    lines = [
        (judge, pipeline, *(group_mean(common, f"{judge}_{s}", pipeline=pipeline) for s in ("accuracy", "mean_iu")),
         group_mean(common, "seconds", pipeline=pipeline))
        for judge in resegmentation.JUDGES for pipeline in resegmentation.PIPELINES
    ]  # fmt: skip
    parts += [f"On the {len(pairs)} combinations that both pipelines have:", report.table(heads, lines)]
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
            lines.append((claim, "-", pipeline, judge, f"{high:.2f} against {low:.2f}", _mark(high > low)))
            for content, wanted in SLIDES.items():
                got = group_mean(rows, score, pipeline=pipeline, material="fabric", content=content)
                claim = f"fabric on {content}"
                lines.append(
                    (claim, f"{wanted:.2f}", pipeline, judge, f"{got:.2f}", _mark(got >= wanted - 0.05))
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
    config, path = lab.config.onomatopoeia, figures.path("onomatopoeia")
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
         figures.text("onomatopoeia", f"found in {len(found)} of {len(rows)} photos"),
         report.table(("median where found", "value"), lines)]
    )  # fmt: skip


def contact_sheets(lab: Lab, figures: Figures) -> str:
    """The photos of the slides (rows) in a style photo of each material (columns), by each pipeline."""
    styles, parts = {}, ["## Pictures"]
    for photo in lab.style_photos():
        styles.setdefault(photo.path.parent.name, photo)
    heads = [to_pil(lab.sized(p).image[0]) for p in styles.values()]
    for pipeline in resegmentation.PIPELINES:
        path = figures.path(f"sheet-{pipeline}")
        if not path.is_file():
            blank = heads[0].copy()
            blank.paste("white", (0, 0, *blank.size))
            rows = [[blank, *heads]]
            for name in lab.config.contents:
                content = lab.named(name)
                done = [resegmentation.steps(lab, content, s, pipeline) for s in styles.values()]
                rows.append([to_pil(done[0].photo[0]), *(to_pil(d.result[0]) for d in done)])
            save_png(page(["photo", *styles], rows, 192), path)
        parts.append(
            figures.text(f"sheet-{pipeline}", f"{pipeline}: style photos above, contents on the left")
        )
    return "\n\n".join(parts)


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
    figures, parts = Figures(out), ["# Experiments"]
    for name in config.studies:
        study, section = SECTIONS[name]
        rows = list(study(lab, Bars()))
        with atomic(out / f"{name}.json") as temporary:
            temporary.write_text(json.dumps(rows, indent=1))
        parts.append(section(lab, rows, figures))
    parts.append(contact_sheets(lab, figures))
    return report.write("\n\n".join(parts), "UniStyle: experiments", out)
