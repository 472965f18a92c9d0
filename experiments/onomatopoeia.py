"""Words of texture as a vocabulary: what is mofumofu restyled as gotsugotsu, by a checkpoint that knows these words."""

import random
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from PIL import Image

from experiments import onomatopoeia, report
from experiments.lab import Lab
from experiments.report import Figures
from unistyle.data.transfer import Transfer
from unistyle.evaluation.rows import Row
from unistyle.evaluation.scores import style_scores
from unistyle.evaluation.sheets import page
from unistyle.files.digest import file_digest
from unistyle.files.folders import list_images
from unistyle.files.photos import read_image
from unistyle.files.tensors import to_pil, to_tensor
from unistyle.files.writing import save_png
from unistyle.maths.resizing import fit
from unistyle.restyle.pipeline import Result, UniStyle

FOUND = 0.02  # share of the frame below which the word was not found in a photo


def sources(lab: Lab) -> list[Path]:
    """Photos of the source word, drawn with the seed."""
    config = lab.config.onomatopoeia
    photos = sorted(list_images(Path(config.photos) / config.source))
    return random.Random(lab.config.seed).sample(photos, min(config.count, len(photos)))


def restyled(model: UniStyle, lab: Lab, path: Path) -> tuple[Image.Image, Result]:
    """The photo at the size of the experiments, and its source word restyled as the target."""
    config = lab.config.onomatopoeia
    photo = to_pil(fit(to_tensor(read_image(path))[None], lab.config.size)[0])
    return photo, model.restyle(photo, {config.source: config.target})


def study(lab: Lab, progress: Callable[[str, int, int], None]) -> Iterator[Row]:
    """A row for each photo of the source word: photo, found (share of the frame), exemplar, and where it was found
    the scores of `unistyle.scores` against that exemplar inside the mask."""
    config, results = lab.config.onomatopoeia, lab.results("onomatopoeia")
    version, photos = file_digest(config.checkpoint), sources(lab)
    for index, path in enumerate(photos):
        key = (path.name, config.source, config.target, lab.config.size, version)
        yield {"photo": path.stem} | results.get(key, lambda p=path: scored(lab, p))
        progress("onomatopoeia", index + 1, len(photos))


def scored(lab: Lab, path: Path) -> Row:
    """Scores of one photo."""
    config = lab.config.onomatopoeia
    photo, result = restyled(lab.words, lab, path)
    mask = to_tensor(result.mask)[None]
    row: Row = {"found": mask.mean().item()}
    if row["found"] < FOUND:
        return row | {"exemplar": ""}
    (exemplar,) = result.styles.values()
    stem = exemplar.partition("/")[2]
    style = next(p for p in list_images(Path(config.photos) / config.target) if p.stem == stem)
    image = fit(to_tensor(read_image(style))[None], lab.config.size)
    job = Transfer(to_tensor(photo)[None], image, (mask > 0.5).float(), torch.ones_like(image[:, :1]))
    return row | {"exemplar": exemplar} | style_scores(lab.vgg, job, to_tensor(result.image)[None])


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
