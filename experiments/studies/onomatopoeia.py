"""Words of texture as a vocabulary: what is mofumofu is restyled as gotsugotsu, by a checkpoint that knows these
words."""

import random
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import torch
from PIL import Image

from experiments.lab import Lab, Progress
from experiments.report import Figures, median, table
from unistyle import Result, UniStyle
from unistyle.data.transfer import Transfer
from unistyle.evaluation.rows import Row
from unistyle.evaluation.scores import style_scores
from unistyle.evaluation.sheets import page
from unistyle.files.folders import list_images
from unistyle.files.photos import read_image
from unistyle.files.tensors import to_pil, to_tensor
from unistyle.files.writing import save_png
from unistyle.maths.resizing import within

FOUND = 0.02  # share of the frame below which the word was not found in a photo
SCORES = ("relative", "moments", "content", "shading")


def check(lab: Lab) -> None:
    """Raises CheckpointError where the checkpoint is not there, and FileNotFoundError for a word without photos."""
    _ = lab.words_version  # which reads the checkpoint
    for word in (lab.config.onomatopoeia.source, lab.config.onomatopoeia.target):
        word_photos(lab, word)


def word_photos(lab: Lab, word: str) -> list[Path]:
    """The photos of a word. Raises FileNotFoundError where there is none."""
    folder = Path(lab.config.onomatopoeia.photos) / word
    if not (found := list_images(folder)):
        raise FileNotFoundError(f"no photos in {folder}: give one folder of photos for each word")
    return sorted(found)


def sources(lab: Lab) -> list[Path]:
    """Photos of the source word, drawn with the seed."""
    photos, count = word_photos(lab, lab.config.onomatopoeia.source), lab.config.onomatopoeia.count
    return random.Random(lab.config.seed).sample(photos, min(count, len(photos)))


def restyled(model: UniStyle, lab: Lab, path: Path) -> tuple[Image.Image, Result]:
    """The photo at the size of the experiments, and its source word restyled as the target."""
    config = lab.config.onomatopoeia
    photo = to_pil(within(to_tensor(read_image(path))[None], lab.config.size)[0])
    return photo, model.restyle(photo, {config.source: config.target})


def study(lab: Lab, progress: Progress) -> Iterator[Row]:
    """One row for each photo of the source word: photo, found (share of the frame), exemplar. Where the word was found,
    `style_scores` inside the mask against that exemplar as well."""
    config, results = lab.config.onomatopoeia, lab.results("onomatopoeia")
    photos = sources(lab)
    for index, path in enumerate(photos):
        key = (path.name, config.source, config.target, lab.config.size, lab.words_version)
        yield {"photo": path.stem} | results.get(key, lambda p=path: scored(lab, p))
        progress("onomatopoeia", index + 1, len(photos))


def scored(lab: Lab, path: Path) -> Row:
    """Scores of one photo."""
    photo, result = restyled(lab.words, lab, path)
    mask = to_tensor(result.mask)[None]
    row: Row = {"found": mask.mean().item()}
    if row["found"] < FOUND:
        return row | {"exemplar": ""}
    (exemplar,) = result.styles.values()
    image = within(to_tensor(read_image(exemplar_photo(lab, exemplar)))[None], lab.config.size)
    everywhere = torch.ones_like(image[:, :1])
    transfer = Transfer(to_tensor(photo)[None], image, (mask > 0.5).float(), everywhere)
    return row | {"exemplar": exemplar} | style_scores(lab.vgg, transfer, to_tensor(result.image)[None])


def exemplar_photo(lab: Lab, exemplar: str) -> Path:
    """The photo of an exemplar, WORD/STEM, of the target word. Raises FileNotFoundError where it is not there."""
    target, stem = lab.config.onomatopoeia.target, exemplar.partition("/")[2]
    for path in word_photos(lab, target):
        if path.stem == stem:
            return path
    raise FileNotFoundError(
        f"no photo {stem} of {target} in {lab.config.onomatopoeia.photos}: give the photos trained on"
    )


def section(lab: Lab, rows: list[Row], figures: Figures) -> str:
    """A sheet of photos, masks and results, and the scores where the word was found."""
    config = lab.config.onomatopoeia
    path = figures.path(f"onomatopoeia-{lab.words_version}")
    if not path.is_file():
        save_png(sheet(lab), path)
    found = [r for r in rows if r["exemplar"]]
    parts = [
        f"## {config.source} as {config.target}",
        "The photos stand in for a labelled set, which does not exist here.",
        figures.text(path.stem, f"found in {len(found)} of {len(rows)} photos"),
        table(("median where found", "value"), [(s, median(r[s] for r in found)) for s in SCORES]),
    ]
    return "\n\n".join(parts)


def sheet(lab: Lab) -> Image.Image:
    """Photo, mask and result of every photo, two photos in a row."""
    config, cells = lab.config.onomatopoeia, []
    for source in sources(lab):
        photo, result = restyled(lab.words, lab, source)
        cells.append([photo, result.mask, result.image])
    half = -(-len(cells) // 2)
    rows = [a + b for a, b in zip_longest(cells[:half], cells[half:], fillvalue=[])]
    return page([config.source, "mask", config.target] * 2, rows, 256)
