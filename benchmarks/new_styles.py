"""New styles from folders of texture: added without training, fitted, and fitted together with the decoder.

    python -m benchmarks.new_styles --checkpoint runs/held-out/checkpoint.safetensors --data DATA/fmd \\
        --styles DATA/textures/dtd/cracked DATA/textures/dtd/braided \\
        --contents DATA/content --vgg-weights WEIGHTS/vgg19_features.safetensors \\
        --out runs/new_styles

Annotated photos that nothing was fitted to are restyled inside their masks, with each exemplar in turn. The results are
scored against the exemplar (`unistyle.evaluation.scores`), and those of old styles against theirs. Medians and means
of each style are printed, and written to `--out` together with a contact sheet.
"""

import json
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from unistyle.checkpoint.checkpoint import Checkpoint, load_checkpoint
from unistyle.commands.arguments import argument, parser_of, read, run, whole_number
from unistyle.data.labelled import LabelledPhoto
from unistyle.data.transfer import Transfer, read_sized
from unistyle.evaluation.measures import evaluate_bank
from unistyle.evaluation.pairs import SIZE, annotated_split, make_pairs, photo_name
from unistyle.evaluation.rows import summary
from unistyle.evaluation.scores import style_scores
from unistyle.evaluation.sheets import page
from unistyle.files.atomic import atomic
from unistyle.files.folders import list_images
from unistyle.files.samples import content_photos
from unistyle.files.tensors import to_pil
from unistyle.files.writing import save_png
from unistyle.maths.masks import AREA
from unistyle.restyle.pipeline import UniStyle
from unistyle.styles.choice import typical_exemplars
from unistyle.styles.exemplars import Exemplar, bank_of, read_exemplars
from unistyle.teachers.vgg import VGG19, read_vgg
from unistyle.training.config import StyleConfig
from unistyle.training.fitting import old_moved, prepare_fitting
from unistyle.training.new_styles import StyleTrainer

NAME = "python -m benchmarks.new_styles"
KEPT = ("gram", "relative", "luminance", "content", "shading", "period2", "period4")
EXEMPLARS = 3  # of each style
WAYS = ("added", "fitted", "decoder")


@dataclass(kw_only=True)
class Settings:
    """Measure new styles that are added without training, fitted, and fitted together with the decoder.

    python -m benchmarks.new_styles --checkpoint held-out.safetensors --data DATA/fmd --styles cracked/ --out runs/new
    """

    checkpoint: str = argument(metavar="PATH")
    """File, folder or hub id."""
    styles: list[Path] = argument(nargs="+", metavar="FOLDER")
    """Folders of style photos."""
    data: Path = argument(metavar="FOLDER")
    """Folder with image/MATERIAL/STEM.jpg, mask/MATERIAL/STEM.png, train.txt and val.txt."""
    contents: list[Path] | None = argument(None, nargs="+", metavar="FOLDER")
    """Photos that are restyled while fitting. Without it, the sample photos."""
    vgg_weights: Path | None = argument(None, metavar="FILE")
    """Weights of VGG-19 as safetensors. Without it they come from the hub."""
    out: Path = argument(metavar="FOLDER")
    """Where scores and sheets are written."""
    photos: int = argument(60, type=whole_number(1))
    """How many photos results are measured on."""
    exemplar_photos: int = argument(20, type=whole_number(1))
    """How many photos of each folder are taken."""
    pairs: int = argument(40, type=whole_number(1))
    """How many pairs of photo and old style are measured."""
    rows: int = argument(9, type=whole_number(1))
    """How many rows the contact sheet has."""
    old: list[str] = argument(["added", "decoder"], nargs="*", choices=WAYS)
    """For which ways old styles are measured too."""
    settings: str = "{}"
    """Settings of `unistyle train style`, as JSON."""


Photos = list[tuple[Tensor, Tensor]]


def contents(data: Path, count: int) -> Photos:
    """Photos `1 3 h w` of `val` with annotated regions `1 1 h w` of a tenth of the frame or more."""
    photos = annotated_split(data, "val")
    random.Random(0).shuffle(photos)
    sized = (read_sized(photo.path, photo.mask, SIZE) for photo in photos)
    return [pair for pair in sized if pair[1].mean() >= AREA][:count]


@torch.no_grad()
def restyled(
    checkpoint: Checkpoint, exemplars: Sequence[Exemplar], codes: Tensor, photos: Photos
) -> list[Tensor]:
    """Each photo with the next exemplar in turn, `1 3 h w`."""
    turns = ((photo, region, codes[i % len(exemplars)]) for i, (photo, region) in enumerate(photos))
    return [checkpoint.network(photo, code[None, None], region).image for photo, region, code in turns]


def scores(
    vgg: VGG19, exemplars: Sequence[Exemplar], photos: Photos, results: Sequence[Tensor]
) -> list[dict]:
    """Scores of each result against its exemplar."""
    rows = []
    for i, ((photo, region), result) in enumerate(zip(photos, results, strict=True)):
        exemplar = exemplars[i % len(exemplars)]
        found = style_scores(vgg, Transfer(photo, exemplar.image, region, exemplar.region), result)
        rows.append({key: found[key] for key in KEPT})
    return rows


def old_styles(checkpoint: Checkpoint, data: Path, vgg: VGG19, count: int) -> list[dict]:
    """The styles of the bank that a checkpoint came with, against their own exemplars."""
    held, train = annotated_split(data, "val"), annotated_split(data, "train")
    exemplars = {photo_name(photo): photo for photo in held + train}
    pairs = make_pairs(held, held + train, count, seed=0)
    return list(evaluate_bank(UniStyle(checkpoint, "cpu"), tqdm(pairs, desc="old styles"), exemplars, vgg))


def line(name: str, rows: Sequence[dict], before: Sequence[dict]) -> str:
    """Medians, and by how much the Gram distance changed."""
    now, then = summary(rows), summary(before)
    change = {kind: 100 * (now["relative"][kind] / then["relative"][kind] - 1) for kind in ("median", "mean")}
    values = "  ".join(f"{key} {now[key]['median']:.3f}" for key in KEPT)
    return f"{name:24} {values}  Gram distance {change['median']:+.0f} % (means {change['mean']:+.0f} %)"


def fitted(
    checkpoint: Checkpoint,
    exemplars: Sequence[Exemplar],
    vgg: VGG19,
    config: StyleConfig,
    contents: list[Path],
) -> Tensor:
    """Codes `n d` of the exemplars, fitted; the checkpoint's decoder is fitted with them where the config says so."""
    others = [LabelledPhoto(path) for path in contents]
    fitting = prepare_fitting(checkpoint, exemplars, others, vgg, config)
    codes = StyleTrainer(fitting, config).run()
    if config.decoder:
        print(f"old styles moved by {100 * old_moved(fitting):.2f} % (Gram distance of results)")
    return codes


class Study:
    """One folder of a new style: `run` measures every way, and keeps rows, seconds and pictures."""

    def __init__(self, settings: Settings, folder: Path, vgg: VGG19):
        self.settings, self.folder, self.vgg = settings, folder, vgg
        self.photos = contents(settings.data, settings.photos)
        self.paths = random.Random(0).sample(list_images(folder), settings.exemplar_photos)
        self.rows: dict[str, list[dict]] = {}
        self.seconds: dict[str, float] = {}
        self.pictures: dict[str, list[Tensor]] = {}

    def config(self, way: str) -> StyleConfig:
        """The settings of `unistyle train style` for one way."""
        settings = self.settings
        own = json.loads(settings.settings)
        return StyleConfig(str(self.folder), settings.checkpoint, "", decoder=way == "decoder", **own)

    def run(self) -> dict[str, dict]:
        """Every way; writes the sheet, and returns rows and seconds."""
        for way in WAYS:
            self.measure(way)
        save_png(self.sheet(), self.settings.out / f"{self.folder.name}.png")
        return {"rows": self.rows, "seconds": self.seconds}

    def measure(self, way: str) -> None:
        """Restyle the photos in one way, and score the results."""
        start = time.perf_counter()
        checkpoint = load_checkpoint(self.settings.checkpoint)
        self.exemplars = self.chosen(checkpoint)
        codes = torch.stack([e.code for e in self.exemplars])
        if way != "added":
            others = content_photos(self.settings.contents)
            codes = fitted(checkpoint, self.exemplars, self.vgg, self.config(way), others)
        self.seconds[way] = time.perf_counter() - start
        self.pictures[way] = restyled(checkpoint, self.exemplars, codes, self.photos)
        self.rows[way] = scores(self.vgg, self.exemplars, self.photos, self.pictures[way])
        told = line(f"{self.folder.name} {way}", self.rows[way], self.rows["added"])
        print(told, f" {self.seconds[way]:.0f} s", flush=True)
        if way in self.settings.old:
            self.measure_old(way, checkpoint, codes)

    def chosen(self, checkpoint: Checkpoint) -> list[Exemplar]:
        """The exemplars that stand for the style."""
        name, network = self.folder.name, checkpoint.network
        found = read_exemplars(network, {name: self.paths}, whole=True)[0][name]
        return typical_exemplars(found, EXEMPLARS, network.stylizer.code_sizes[0])

    def measure_old(self, way: str, checkpoint: Checkpoint, codes: Tensor) -> None:
        """Score the old styles of a checkpoint that the new one was added to."""
        new = [replace(e, code=code) for e, code in zip(self.exemplars, codes, strict=True)]
        checkpoint = replace(checkpoint, bank=checkpoint.bank.joined(bank_of(new)))
        name, settings = f"old styles, {way}", self.settings
        self.rows[name] = old_styles(checkpoint, settings.data, self.vgg, settings.pairs)
        print(line(name, self.rows[name], self.rows.get("old styles, added", self.rows[name])), flush=True)

    def sheet(self):
        """One row for each photo: the photo, its exemplar, and the result of each way."""
        cells = [
            [
                to_pil(self.photos[i][0][0]),
                to_pil(self.exemplars[i % EXEMPLARS].image[0]),
                *(to_pil(pictures[i][0]) for pictures in self.pictures.values()),
            ]
            for i in range(self.settings.rows)
        ]
        return page(["photo", f"style: {self.folder.name}", *self.pictures], cells, 256)


def measure(settings: Settings) -> None:
    vgg = read_vgg(settings.vgg_weights)
    results = {folder.name: Study(settings, folder, vgg).run() for folder in settings.styles}
    with atomic(settings.out / "scores.json") as temporary:
        temporary.write_text(json.dumps(results))


def main(argv: list[str] | None = None) -> int:
    return run(NAME, lambda: measure(read(parser_of(NAME, Settings), Settings, argv)))


if __name__ == "__main__":
    sys.exit(main())
