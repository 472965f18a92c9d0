"""What the studies share: photos, models, teachers, judges and caches, each made when it is first asked for."""

import random
from collections.abc import Callable
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from experiments.cache import Results
from experiments.config import ExperimentConfig
from unistyle.checkpoint.checkpoint import locate
from unistyle.data.labelled import LabelledPhoto
from unistyle.data.transfer import read_sized
from unistyle.evaluation.judges import RESNET18, Probe
from unistyle.evaluation.pairs import annotated_split, photo_name
from unistyle.files.digest import digest, file_digest
from unistyle.restyle.pipeline import UniStyle
from unistyle.teachers.cache import GatysCache
from unistyle.teachers.gatys import GatysConfig
from unistyle.teachers.masks import SaliencyTeacher
from unistyle.teachers.saliency import Bars, SaliencyConfig, SaliencyData, load_or_train
from unistyle.teachers.vgg import VGG19, read_vgg

Progress = Callable[[str, int, int], None]  # (what is done, how many are, how many there are)
HIGH, LOW = ("foliage", "fabric", "stone"), ("glass", "metal", "plastic")  # mean IU of these on the slides


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
        """The checkpoint that is measured."""
        return UniStyle.from_pretrained(self.config.checkpoint, device=self.config.device)

    @cached_property
    def words(self) -> UniStyle:
        """The model whose vocabulary is onomatopoeia."""
        return UniStyle.from_pretrained(self.config.onomatopoeia.checkpoint, device=self.config.device)

    @cached_property
    def version(self) -> str:
        """A digest of the checkpoint and of what the saliency teacher starts from: a part of the key of their results.

        Raises CheckpointError where there is no such checkpoint.
        """
        config = self.config
        return digest(file_digest(locate(config.checkpoint)), config.objects, asdict(config.encoder))

    @cached_property
    def words_version(self) -> str:
        """The same of the checkpoint whose vocabulary is onomatopoeia."""
        return file_digest(locate(self.config.onomatopoeia.checkpoint))

    @cached_property
    def vgg(self) -> VGG19:
        """The network whose features judge style and content."""
        return read_vgg(self.config.vgg).to(self.config.device)

    @cached_property
    def gatys(self) -> GatysCache:
        """The optimisation, with its finished results on disk."""
        settings = GatysConfig(iterations=self.config.gatys.iterations)
        return GatysCache(self.config.gatys.cache, self.vgg, settings)

    @cached_property
    def teacher(self) -> SaliencyTeacher:
        """The saliency teacher, trained on `train` where its networks are not on disk."""
        config, split = self.config, self.data / "train.txt"
        settings = SaliencyConfig(config.encoder)
        folder, annotated = self.data / "image", self.photos["val"]
        data = SaliencyData(folder, split, config.objects, annotated)
        return load_or_train(data, config.saliency_cache, settings, Bars(), config.device)

    @cached_property
    def judge(self) -> Probe:
        """The independent classifier, fitted on `train`."""
        judge = Probe(RESNET18, (1, 2, 3), self.materials, self.config.judge).to(self.config.device)
        judge.fit([self.sized(p) for p in self.photos["train"]], [p.label for p in self.photos["train"]])
        return judge

    @cached_property
    def photos(self) -> dict[str, list[LabelledPhoto]]:
        """The annotated photos of `train` and of `val`. Raises what `annotated_split` does."""
        return {split: annotated_split(self.data, split) for split in ("train", "val")}

    @property
    def materials(self) -> tuple[str, ...]:
        """The names of the materials, in the order of their labels."""
        return tuple(sorted({p.path.parent.name for p in self.photos["train"]}))

    def sized(self, photo: LabelledPhoto) -> Sized:
        """A photo and its annotated mask, on the device of the run."""
        device = self.config.device
        return Sized(*(x.to(device) for x in read_sized(photo.path, photo.mask, self.config.size)))

    def results(self, study: str) -> Results:
        """The results of a study that are on disk."""
        return Results(Path(self.config.out) / "results" / f"{study}.jsonl")

    def named(self, name: str) -> LabelledPhoto:
        """A photo by MATERIAL/STEM. Raises ValueError where there is none."""
        for photo in (p for part in self.photos.values() for p in part):
            if photo_name(photo) == name:
                return photo
        raise ValueError(f"no photo {name} in train.txt or val.txt of {self.data}: wanted MATERIAL/STEM")

    def style_photos(self) -> list[LabelledPhoto]:
        """As many photos of each material as the settings say, drawn with the seed, without the contents of the
        slides."""
        rng, chosen = random.Random(self.config.seed), []
        for label in range(len(self.materials)):
            own = [p for part in self.photos.values() for p in part if p.label == label]
            own = sorted((p for p in own if photo_name(p) not in self.config.contents), key=photo_name)
            chosen += rng.sample(own, min(self.config.styles, len(own)))
        return chosen
