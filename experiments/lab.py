"""What the studies share: photos, models, teachers, judges and caches, each made when it is first asked for."""

import random
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from experiments.cache import Results
from experiments.config import ExperimentConfig
from experiments.judges import MaterialJudge
from unistyle.data.labelled import LabelledPhoto
from unistyle.data.transfer import read_sized
from unistyle.evaluation.pairs import split_photos
from unistyle.files.digest import digest, file_digest
from unistyle.network.encoder import EncoderConfig
from unistyle.restyle.pipeline import UniStyle
from unistyle.teachers.cache import GatysCache
from unistyle.teachers.gatys import GatysConfig
from unistyle.teachers.masks import SaliencyTeacher
from unistyle.teachers.saliency import Bars, SaliencyConfig, load_or_train
from unistyle.teachers.vgg import VGG19


class Sized(NamedTuple):
    """A photo `1 3 h w` and its annotated mask `1 1 h w`, at the size of the experiments."""

    image: Tensor
    annotated: Tensor


class Lab:
    """Models and photos of one run."""

    def __init__(self, config: ExperimentConfig):
        self.config, self.data = config, Path(config.data)

    @cached_property
    def model(self) -> UniStyle:
        return UniStyle.from_pretrained(self.config.checkpoint, device=self.config.device)

    @cached_property
    def words(self) -> UniStyle:
        """The model whose vocabulary is onomatopoeia."""
        return UniStyle.from_pretrained(self.config.onomatopoeia.checkpoint, device=self.config.device)

    @cached_property
    def version(self) -> str:
        """Of the checkpoint and of what the saliency teacher starts from: a part of the key of their results."""
        return digest(file_digest(self.config.checkpoint), self.config.objects, self.config.encoder)

    @cached_property
    def vgg(self) -> VGG19:
        return VGG19(self.config.vgg).to(self.config.device)

    @cached_property
    def gatys(self) -> GatysCache:
        settings = GatysConfig(iterations=self.config.gatys.iterations)
        return GatysCache(self.config.gatys.cache, self.vgg, settings)

    @cached_property
    def teacher(self) -> SaliencyTeacher:
        config, split = self.config, self.data / "train.txt"
        settings = SaliencyConfig(EncoderConfig(weights=config.encoder))
        folder, annotated = self.data / "image", self.photos["val"]
        return load_or_train(
            folder, config.saliency_cache, settings, split, config.objects, annotated, Bars(), config.device
        )

    @cached_property
    def judge(self) -> MaterialJudge:
        judge = MaterialJudge(self.config.judge, self.materials).to(self.config.device)
        judge.fit([self.sized(p) for p in self.photos["train"]], [p.label for p in self.photos["train"]])
        return judge

    @cached_property
    def photos(self) -> dict[str, list[LabelledPhoto]]:
        return {split: split_photos(self.data, split) for split in ("train", "val")}

    @property
    def materials(self) -> tuple[str, ...]:
        return tuple(sorted({p.path.parent.name for p in self.photos["train"]}))

    def sized(self, photo: LabelledPhoto) -> Sized:
        device = self.config.device
        return Sized(*(x.to(device) for x in read_sized(photo.path, photo.mask, self.config.size)))

    def results(self, study: str) -> Results:
        return Results(Path(self.config.out) / "results" / f"{study}.jsonl")

    def named(self, name: str) -> LabelledPhoto:
        """A photo by MATERIAL/STEM. Raises KeyError, with the name."""
        return {name_of(p): p for part in self.photos.values() for p in part}[name]

    def style_photos(self) -> list[LabelledPhoto]:
        """So many photos of each material, drawn with the seed, without the contents of the slides."""
        rng, chosen = random.Random(self.config.seed), []
        for label in range(len(self.materials)):
            own = [p for part in self.photos.values() for p in part if p.label == label]
            own = sorted((p for p in own if name_of(p) not in self.config.contents), key=name_of)
            chosen += rng.sample(own, min(self.config.styles, len(own)))
        return chosen


def name_of(photo: LabelledPhoto) -> str:
    return f"{photo.path.parent.name}/{photo.path.stem}"


HIGH, LOW = ("foliage", "fabric", "stone"), ("glass", "metal", "plastic")  # mean IU of these on the slides
