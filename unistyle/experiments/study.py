"""All studies of a run, one after another, and their report."""

import json
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from PIL import Image

from unistyle.data import Photo
from unistyle.experiments import onomatopoeia, plots, quality, report, resegmentation, saliency, translation
from unistyle.experiments.cache import file_digest
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


def pictures(lab: Lab, figures: Figures) -> str:
    """Sheets of the photos of the slides with one style photo a material, of those that both pipelines have: results
    of each pipeline, and the steps of the protocol for each content."""
    styles: dict[str, Photo] = {}
    for _, style in resegmentation.combinations(lab)["gatys"]:
        styles.setdefault(style.path.parent.name, style)
    contents, parts = [lab.named(name) for name in lab.config.contents], ["## Pictures"]
    for pipeline in resegmentation.PIPELINES:
        path = figures.path(f"sheet-{pipeline}-{lab.version}")
        if not path.is_file():
            save_png(results_sheet(lab, contents, styles, pipeline), path)
        parts.append(figures.text(path.stem, f"{pipeline}: style photos above, contents on the left"))
    for content in contents:
        path = figures.path(f"steps-{content.path.stem}-{lab.version}")
        if not path.is_file():
            save_png(steps_sheet(lab, content, styles), path)
        caption = (
            "Steps of the protocol: (2) whole photo restyled, (3) material found, (4) region restyled, (5) the "
            "style's material found by the saliency teacher"
        )
        parts.append(figures.text(path.stem, caption))
    return "\n\n".join(parts)


def results_sheet(
    lab: Lab, contents: Sequence[Photo], styles: Mapping[str, Photo], pipeline: str
) -> Image.Image:
    """Style photos above, contents on the left."""
    heads = [to_pil(lab.sized(p).image[0]) for p in styles.values()]
    rows = [[Image.new("RGB", (4, 3), "white"), *heads]]
    for content in contents:
        done = [resegmentation.steps(lab, content, s, pipeline) for s in styles.values()]
        rows.append([to_pil(done[0].photo[0]), *(to_pil(d.result[0]) for d in done)])
    return page(["photo", *styles], rows, 192)


def steps_sheet(lab: Lab, content: Photo, styles: Mapping[str, Photo]) -> Image.Image:
    """A style photo a row, the steps of each pipeline beside it."""
    rows = []
    for style in styles.values():
        row = [to_pil(lab.sized(style).image[0])]
        for pipeline in resegmentation.PIPELINES:
            done = resegmentation.steps(lab, content, style, pipeline)
            again = resegmentation.judged(lab, done.result, style.label)["saliency"]
            whole = resegmentation.whole(lab, content, style, pipeline)
            row += [to_pil(x[0].float()) for x in (whole, done.mask, done.result, again)]
        rows.append(row)
    titles = [f"{pipeline} ({step})" for pipeline in resegmentation.PIPELINES for step in (2, 3, 4, 5)]
    return page(["style", *titles], rows, 176)


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
            lines.append((material, *values, values[0] / values[1]))
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
    parts += [findings(lab, rows), pictures(lab, figures)]
    return report.write("\n\n".join(parts), "UniStyle: experiments", out)
