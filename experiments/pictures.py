"""Sheets of the report: the photos of the slides restyled by each pipeline, and the steps of the protocol."""

from collections.abc import Mapping, Sequence

from PIL import Image

from experiments.lab import Lab
from experiments.report import Figures
from experiments.studies import resegmentation
from unistyle.data.labelled import LabelledPhoto
from unistyle.evaluation.sheets import page
from unistyle.files.tensors import to_pil
from unistyle.files.writing import save_png

STEPS = (
    "Steps of the protocol: (2) whole photo restyled, (3) material found, (4) region restyled, (5) the style's "
    "material found by the saliency teacher"
)


def pictures(lab: Lab, figures: Figures) -> str:
    """Sheets of the photos of the slides with one style photo of each material, of those that both pipelines have:
    the results of each pipeline, and the steps of the protocol for each content."""
    styles: dict[str, LabelledPhoto] = {}
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
        parts.append(figures.text(path.stem, STEPS))
    return "\n\n".join(parts)


def results_sheet(
    lab: Lab, contents: Sequence[LabelledPhoto], styles: Mapping[str, LabelledPhoto], pipeline: str
) -> Image.Image:
    """Style photos above, contents on the left, results of a pipeline between."""
    heads = [to_pil(lab.sized(p).image[0]) for p in styles.values()]
    rows = [[Image.new("RGB", (4, 3), "white"), *heads]]
    for content in contents:
        done = [resegmentation.steps(lab, content, s, pipeline) for s in styles.values()]
        rows.append([to_pil(done[0].photo[0]), *(to_pil(d.result[0]) for d in done)])
    return page(["photo", *styles], rows, 192)


def steps_sheet(lab: Lab, content: LabelledPhoto, styles: Mapping[str, LabelledPhoto]) -> Image.Image:
    """One row for each style photo, with the steps of each pipeline beside it."""
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
