"""The saliency teacher: soft masks of a photo's material, from image-level labels and knowledge of objects.

A classifier of materials, trained on folders of photos, says where it looks; an object network, trained on photos with
masks of objects in general (as in ECSSD), says what the subject of a photo is. Annotated masks of materials are never
trained on: with them, the masks' bias is calibrated.
"""

import copy
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from tqdm import tqdm

from unistyle.data.labelled import LabelledPhoto, MaterialFolder, materials_of, object_photos, split_photos
from unistyle.devices import map_on_cores
from unistyle.files.atomic import kept
from unistyle.files.digest import digest
from unistyle.files.photos import read_mask
from unistyle.files.tensors import to_tensor
from unistyle.maths.masks import best_threshold, has_boundary
from unistyle.maths.resizing import to_size
from unistyle.network.encoder import Encoder, EncoderConfig
from unistyle.teachers.classifier import MaterialClassifier, train_classifier
from unistyle.teachers.masks import SaliencyTeacher
from unistyle.teachers.objects import ObjectConfig, ObjectNet, Pair, read_pair, shrunk_pair, train_objects

Progress = Callable[[str, int, int], None]  # (what is being done, steps done, steps in all)
Trained = tuple[nn.Module, dict[str, str]]  # a network, and notes for the header of its file
ADAPT = ObjectConfig(steps=200, lr=1e-3, encoder_lr=2e-4, seed=1)


@dataclass(frozen=True)
class SaliencyConfig:
    """How the networks are trained, and how their maps become masks."""

    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    """The encoder of the classifier and of the object network."""
    objects: ObjectConfig = field(default_factory=ObjectConfig)
    """Training on photos with masks of objects."""
    adapt: ObjectConfig = ADAPT
    """Self-training after it, on those photos and on the own ones with the masks found so far. With 0 steps there is
    none."""
    rounds: int = 2
    """How often self-training is done, each time with the masks of the round before."""
    distinct_weight: float = 1.0
    """Share of the classifier's map in `combined`."""
    # Calibration moves these two, and in steps of 0.01 of the threshold; without annotated photos they stay, which is
    # the case of anybody's own vocabulary (configs/onomatopoeia.yaml).
    bias: float = 2.4
    """Added to the object network's logits before self-training: it puts the boundary at 0.5, as measured on FMD. Where
    annotated photos are given, calibration starts from here."""
    adapted_bias: float = 0.8
    """The same, after self-training."""


@dataclass(frozen=True)
class SaliencyData:
    """The photos that the saliency teacher learns from."""

    photos: str | Path | MaterialFolder
    """A folder with one folder per material, photos inside."""
    split: str | Path | None = None
    """A file with one line `MATERIAL/STEM` for each photo to train on; the rest is held out. None holds out an eighth
    of each material."""
    objects: str | Path | Sequence[LabelledPhoto] | None = None
    """Photos with masks of objects in general, or a folder of them, with `image/` and `mask/`. None does without an
    object network."""
    annotated: Sequence[LabelledPhoto] = ()
    """Photos with annotated masks, on which the bias is calibrated before and after self-training."""

    def object_photos(self) -> list[LabelledPhoto]:
        """The photos with masks of objects. Raises ValueError for a folder without any."""
        if isinstance(self.objects, (str, Path)):
            return object_photos(self.objects)
        return list(self.objects or ())


class _Networks:
    """The teacher's networks: each from the cache, or else trained and put there, named by a digest of its inputs."""

    def __init__(
        self, cache: str | Path, config: SaliencyConfig, report: Progress, device: str | torch.device
    ):
        self.cache, self.config, self.report, self.device = Path(cache), config, report, device

    def encoder(self, pretrained: bool) -> Encoder:
        config = self.config.encoder
        return Encoder(config if pretrained else EncoderConfig(config.name, pretrained=False)).to(self.device)

    def kept(self, name: str, key: list, empty: Callable[[], nn.Module], train: Callable[[], Trained]) -> Any:
        """The network kept under `key`, loaded into `empty()`, or else what `train()` gives."""
        path = self.cache / f"{name}-{digest(*_identity(self.config.encoder), *key)}.safetensors"

        def read(file: Path) -> Trained:
            net = empty()
            net.load_state_dict(load_file(file))
            return net.to(self.device).eval(), {}

        return kept(path, train, _write, read)[0]

    def classifier(
        self, materials: tuple[str, ...], train: Sequence[LabelledPhoto], held: Sequence[LabelledPhoto]
    ) -> MaterialClassifier:
        def make() -> Trained:
            step = partial(self.report, "classifier")
            net, accuracy = train_classifier(self.encoder(True), materials, train, held, step)
            return net, dict(materials=json.dumps(materials), accuracy=f"{accuracy:.4f}")

        empty = lambda: MaterialClassifier(self.encoder(False), materials)  # noqa: E731
        return self.kept("classifier", [materials, _contents(train)], empty, make)

    def object_net(self, pairs: Sequence[Pair]) -> nn.Module:
        config = self.config.objects

        def make() -> Trained:
            with torch.random.fork_rng(devices=[]):  # the decoder's first weights
                torch.manual_seed(config.seed)
                net = ObjectNet(self.encoder(True)).to(self.device)
            return train_objects(net, pairs, config, partial(self.report, "object network")), {}

        key = [asdict(config), digest(*(x for pair in pairs for x in pair))]
        return self.kept("objects", key, lambda: ObjectNet(self.encoder(False)), make)

    def adapted(
        self, teacher: SaliencyTeacher, pairs: Sequence[Pair], photos: Sequence[LabelledPhoto]
    ) -> nn.Module:
        config = self.config.adapt

        def make() -> Trained:
            own = []
            for pair in map_on_cores(lambda photo: shrunk_pair(*teacher.mask_of(photo)), photos):
                own.append(pair)
                self.report("masks to train on", len(own), len(photos))
            net: Any = copy.deepcopy(teacher.objects)
            return train_objects(
                net.requires_grad_(True), [*pairs, *own], config, partial(self.report, "self-training")
            ), {}

        key = [asdict(config), teacher.digest(), _contents(photos)]
        return self.kept("adapted", key, lambda: ObjectNet(self.encoder(False)), make)


def _write(trained: Trained, path: Path) -> None:
    net, notes = trained
    save_file({k: v.cpu().contiguous() for k, v in net.state_dict().items()}, path, metadata=notes)


def _identity(encoder: EncoderConfig) -> tuple[str, bool, bytes]:
    """What a backbone starts from, wherever its file lies."""
    return encoder.name, encoder.pretrained, Path(encoder.weights).read_bytes() if encoder.weights else b""


def _contents(photos: Sequence[LabelledPhoto]) -> str:
    return digest(*(part for p in photos for part in (p.label, p.path.read_bytes())))


def load_or_train(
    data: SaliencyData,
    cache: str | Path,
    config: SaliencyConfig = SaliencyConfig(),
    progress: Progress | None = None,
    device: str | torch.device = "cpu",
) -> SaliencyTeacher:
    """The teacher of a folder's materials, trained as far as `cache` does not hold its networks.

    The header of the classifier's file holds its accuracy on the photos held out. Raises ValueError or OSError for
    folders that it cannot be trained on, and ImageError for a photo that cannot be read.
    """
    materials = materials_of(data.photos)
    train, held = split_photos(data.photos, data.split)
    pairs = [read_pair(photo) for photo in data.object_photos()]
    networks = _Networks(cache, config, progress or (lambda what, done, total: None), device)
    classifier = networks.classifier(materials, train, held)
    if not pairs:
        return SaliencyTeacher(classifier).to(device)
    weight = config.distinct_weight
    teacher = SaliencyTeacher(classifier, networks.object_net(pairs), weight, config.bias).to(device)
    calibrate(teacher, data.annotated)
    for _ in range(config.rounds if config.adapt.steps else 0):
        adapted = networks.adapted(teacher, pairs, train)
        teacher = SaliencyTeacher(classifier, adapted, weight, config.adapted_bias).to(device)
        calibrate(teacher, data.annotated)
    return teacher


def calibrate(teacher: SaliencyTeacher, annotated: Sequence[LabelledPhoto]) -> None:
    """Move the teacher's bias so that the best threshold on its masks of annotated photos (those with a boundary) is
    a half; without such photos it stays. Self-training needs it: masks that are too small teach smaller ones."""
    masks = [to_tensor(read_mask(photo.mask_path)) > 0.5 for photo in annotated]
    pairs = [(p, m) for p, m in zip(annotated, masks, strict=True) if has_boundary(m)]
    if pairs:
        sized = lambda photo, mask: to_size(teacher.mask_of(photo)[1][None], mask.shape[-2:], antialias=True)  # noqa: E731
        found = [mask[0].cpu() for mask in map_on_cores(sized, *zip(*pairs, strict=True))]
        threshold, _ = best_threshold(found, [mask for _, mask in pairs])
        teacher.bias -= math.log(threshold / (1 - threshold))


class Bars:
    """Progress of named jobs, with one bar for each."""

    def __init__(self):
        self.bars: dict[str, tqdm] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        bar = self.bars.setdefault(what, tqdm(total=total, desc=what))
        bar.update(done - bar.n)
        if done == total:
            bar.close()
