"""The saliency teacher: soft masks of a photo's material, from image-level labels and knowledge of objects.

    python -m unistyle.teachers.saliency --photos PHOTOS --out DIR --objects OBJECTS --masks MASKS

PHOTOS holds a folder a material with photos inside; OBJECTS holds photos and masks of objects in general (`image/`,
`mask/`), as ECSSD does. Writes `DIR/material/stem.png`, 8-bit grey. Annotated masks in MASKS (`material/stem.png`)
are never trained on: with them, the masks' bias is calibrated on the photos held out, and a table gives pixel
accuracy and mean IU of each method on these.
"""

import copy
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from tqdm import tqdm

from unistyle.data.labelled import LabelledPhoto, materials_of, object_photos, split_photos
from unistyle.files.atomic import atomic
from unistyle.files.digest import digest
from unistyle.files.photos import read_mask
from unistyle.files.tensors import to_tensor
from unistyle.maths.masks import best_threshold, has_boundary
from unistyle.maths.resizing import resize_mask
from unistyle.network.encoder import Encoder, EncoderConfig
from unistyle.teachers.classifier import MaterialClassifier, train_classifier
from unistyle.teachers.masks import SaliencyTeacher
from unistyle.teachers.objects import ObjectConfig, ObjectNet, Pair, read_pair, shrunk_pair, train_objects

Progress = Callable[[str, int, int], None]  # (what is being done, steps done, steps in all)
ADAPT = ObjectConfig(steps=200, lr=1e-3, encoder_lr=2e-4, seed=1)


@dataclass(frozen=True)
class SaliencyConfig:
    """How the networks are trained and how their maps become masks.

    objects: training on photos with object masks; adapt: self-training after it, on those and on the own photos
    with the masks found so far (0 steps: none), rounds times, each with the masks of the round before;
    distinct_weight: share of the classifier's map in `combined`. The biases, before and after self-training, put the
    boundary at 0.5 where no annotated photos are given to calibrate them on.
    """

    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    objects: ObjectConfig = field(default_factory=ObjectConfig)
    adapt: ObjectConfig = ADAPT
    rounds: int = 2
    distinct_weight: float = 1.0
    bias: float = 2.4
    adapted_bias: float = 0.8


class _Networks:
    """The teacher's networks: each from the cache, or else trained and put there, named by a hash of its inputs."""

    def __init__(self, cache: str | Path, config: SaliencyConfig, report: Progress, device):
        self.cache, self.config, self.report, self.device = Path(cache), config, report, device

    def encoder(self, pretrained: bool) -> Encoder:
        config = (
            self.config.encoder if pretrained else EncoderConfig(self.config.encoder.name, pretrained=False)
        )
        return Encoder(config).to(self.device)

    def kept(self, name: str, key: list, empty: Callable[[], nn.Module], train: Callable) -> nn.Module:
        """The network kept under `key`, loaded into `empty()`, or else what `train()` gives with notes on it."""
        path = self.cache / f"{name}-{digest(*_identity(self.config.encoder), *key)}.safetensors"
        if path.is_file():
            net = empty()
            net.load_state_dict(load_file(path))
            return net.to(self.device).eval()
        net, notes = train()
        with atomic(path) as temporary:
            state = {k: v.cpu().contiguous() for k, v in net.state_dict().items()}
            save_file(state, temporary, metadata=notes)
        return net

    def classifier(
        self, materials: tuple[str, ...], train: Sequence[LabelledPhoto], held: Sequence[LabelledPhoto]
    ):
        def make() -> tuple[nn.Module, dict[str, str]]:
            step = partial(self.report, "classifier")
            net, accuracy = train_classifier(self.encoder(True), materials, train, held, step)
            return net, dict(materials=json.dumps(materials), accuracy=f"{accuracy:.4f}")

        empty = lambda: MaterialClassifier(self.encoder(False), materials)  # noqa: E731
        return self.kept("classifier", [materials, _contents(train)], empty, make)

    def object_net(self, pairs: Sequence[Pair]) -> nn.Module:
        config = self.config.objects

        def make() -> tuple[nn.Module, dict[str, str]]:
            with torch.random.fork_rng(devices=[]):  # the decoder's first weights
                torch.manual_seed(config.seed)
                net = ObjectNet(self.encoder(True)).to(self.device)
            return train_objects(net, pairs, config, partial(self.report, "object network")), {}

        key = [asdict(config), digest(*(x.numpy().tobytes() for pair in pairs for x in pair))]
        return self.kept("objects", key, lambda: ObjectNet(self.encoder(False)), make)

    def adapted(
        self, teacher: SaliencyTeacher, pairs: Sequence[Pair], photos: Sequence[LabelledPhoto]
    ) -> nn.Module:
        config = self.config.adapt

        def make() -> tuple[nn.Module, dict[str, str]]:
            own = []
            for index, photo in enumerate(photos):
                own.append(shrunk_pair(*teacher.mask_of(photo)))
                self.report("masks to train on", index + 1, len(photos))
            net = copy.deepcopy(teacher.objects).requires_grad_(True)
            return train_objects(net, [*pairs, *own], config, partial(self.report, "self-training")), {}

        key = [asdict(config), teacher.digest(), _contents(photos)]
        return self.kept("adapted", key, lambda: ObjectNet(self.encoder(False)), make)


def _identity(encoder: EncoderConfig) -> tuple[str, bool, bytes]:
    """What a backbone starts from, wherever its file lies."""
    return encoder.name, encoder.pretrained, Path(encoder.weights).read_bytes() if encoder.weights else b""


def _contents(photos: Sequence[LabelledPhoto]) -> str:
    return digest(*(part for p in photos for part in (p.label, p.path.read_bytes())))


def load_or_train(
    photos: str | Path,
    cache: str | Path,
    config: SaliencyConfig = SaliencyConfig(),
    split: str | Path | None = None,
    objects: str | Path | None = None,
    annotated: Sequence[LabelledPhoto] = (),
    progress: Progress | None = None,
    device: str | torch.device = "cpu",
) -> SaliencyTeacher:
    """The teacher for a folder with a folder a material, trained as far as `cache` does not hold its networks.

    split: file with the photos to train on, a `material/stem` a line, the rest being held out; without it an eighth
    of each material is. objects: folder with `image/` and `mask/`; None does without an object network. annotated:
    photos with annotated masks that the bias of the masks is calibrated on, before and after self-training. The
    header of the classifier's file holds its accuracy on the photos held out.
    """
    materials = materials_of(photos)
    train, held = split_photos(photos, split)
    networks = _Networks(cache, config, progress or (lambda what, done, total: None), device)
    classifier = networks.classifier(materials, train, held)
    if objects is None:
        return SaliencyTeacher(classifier).to(device)
    pairs = [read_pair(p) for p in object_photos(objects)]
    weight = config.distinct_weight
    teacher = SaliencyTeacher(classifier, networks.object_net(pairs), weight, config.bias).to(device)
    calibrate(teacher, annotated)
    for _ in range(config.rounds if config.adapt.steps else 0):
        adapted = networks.adapted(teacher, pairs, train)
        teacher = SaliencyTeacher(classifier, adapted, weight, config.adapted_bias).to(device)
        calibrate(teacher, annotated)
    return teacher


def calibrate(teacher: SaliencyTeacher, annotated: Sequence[LabelledPhoto]) -> None:
    """Move the teacher's bias so that the best threshold on its masks of annotated photos (those with a boundary) is
    a half; without such photos it stays. Self-training needs it: masks that are too small teach smaller ones."""
    masks = [to_tensor(read_mask(photo.mask)) > 0.5 for photo in annotated]
    pairs = [(p, m) for p, m in zip(annotated, masks, strict=True) if has_boundary(m)]
    if pairs:
        found = [resize_mask(teacher.mask_of(photo)[1], mask.shape[-2:])[None].cpu() for photo, mask in pairs]
        threshold, _ = best_threshold(found, [mask for _, mask in pairs])
        teacher.bias -= math.log(threshold / (1 - threshold))


class Bars:
    """Progress of named jobs, a bar each."""

    def __init__(self):
        self.bars: dict[str, tqdm] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        bar = self.bars.setdefault(what, tqdm(total=total, desc=what))
        bar.update(done - bar.n)
        if done == total:
            bar.close()
