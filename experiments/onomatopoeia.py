"""Words of texture as a vocabulary: what is mofumofu restyled as gotsugotsu, by a checkpoint that knows these words."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from PIL import Image

from experiments.cache import file_digest
from experiments.lab import Lab
from unistyle.evaluation.rows import Row
from unistyle.evaluation.scores import style_scores
from unistyle.files.photos import list_images, read_image, to_pil, to_tensor
from unistyle.restyle.pipeline import Result, UniStyle
from unistyle.styles.codes import fit
from unistyle.teachers.gatys import Job

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
    job = Job(to_tensor(photo)[None], image, (mask > 0.5).float(), torch.ones_like(image[:, :1]))
    return row | {"exemplar": exemplar} | style_scores(lab.vgg, job, to_tensor(result.image)[None])
