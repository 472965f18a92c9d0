"""Every setting of a training run. `train.py` reads it from YAML; the resolved form is saved beside the run."""

from dataclasses import dataclass, field

from unistyle.network.encoder import EncoderConfig
from unistyle.teachers.objects import ObjectConfig
from unistyle.teachers.saliency import ADAPT


@dataclass
class DataConfig:
    """Where the photos are.

    photos: a folder a material, photos inside. split: file with a `material/stem` a line, the photos to train on;
    None takes all. masks: soft masks of the photos from the saliency teacher, `material/stem.png`; made there when
    missing; None takes photos whole. contents, styles: further folders of photos to restyle and of style photos.
    objects: folder with `image/` and `mask/` of salient objects, as in ECSSD. own_styles: share of pairs whose style
    is one of the materials.
    calibrate: file with the photos whose masks in `annotated` set the threshold of the foreground; None leaves 0.5.
    crop: side of the restyled crops; style_size, photo_sizes: (height, width) of style photos and of segmented ones,
    which the network reduces where they are larger than it looks for materials at.
    """

    photos: str
    split: str | None = None
    masks: str | None = "cache/masks"
    contents: list[str] = field(default_factory=list)
    styles: list[str] = field(default_factory=list)
    objects: str | None = None
    own_styles: float = 0.7
    annotated: str | None = None
    calibrate: str | None = None
    crop: int = 128
    style_size: tuple[int, int] = (192, 256)
    photo_sizes: list[tuple[int, int]] = field(default_factory=lambda: [(192, 256), (288, 384)])
    crops_per_photo: int = 1
    workers: int = 0


@dataclass
class TeacherConfig:
    """vgg: weights of VGG-19 as safetensors, None for the hub's. gatys_pairs: how many results of the Gatys
    optimisation to train against, gatys_share how often they are drawn, gatys_cache where they are kept. objects,
    adapt: training of the saliency teacher's object network, and its self-training in so many rounds; saliency_cache
    keeps both."""

    vgg: str | None = None
    gatys_pairs: int = 48
    gatys_share: float = 0.1
    gatys_iterations: int = 60
    gatys_cache: str = "cache/gatys"
    objects: ObjectConfig = field(default_factory=ObjectConfig)
    adapt: ObjectConfig = field(default_factory=lambda: ADAPT)
    rounds: int = 2
    saliency_cache: str = "cache/saliency"


@dataclass
class LossWeights:
    """Weights of the terms of the joint objective (unistyle/losses.py); 0 leaves a term out of the sum.
    content_margin: content distance below which the content term is 0."""

    style: float = 2.0
    content: float = 1.0
    content_margin: float = 0.7
    gatys: float = 0.5
    identity: float = 0.5
    shading: float = 0.05
    smooth: float = 0.06
    grain: float = 0.1
    segmentation: float = 0.5


@dataclass
class OptimizerConfig:
    """steps: optimizer steps in all. batch: pairs a process and step. segment_every: steps between two batches of
    masks. encoder_lr multiplies lr for the pretrained encoder."""

    steps: int = 6000
    batch: int = 4
    lr: float = 1e-3
    encoder_lr: float = 0.1
    warmup: int = 100
    clip: float = 1.0
    accumulate: int = 1
    precision: str = "no"
    ema: float = 0.998
    segment_every: int = 2


@dataclass
class TrainConfig:
    """A training run. out: folder of state, logs, previews and the resolved config; checkpoint: the file it ends in.
    start: a checkpoint to start from, its vocabulary may be another. exemplars: style codes a material in the bank.
    terms: of the photos, for the checkpoint's notes and its model card."""

    data: DataConfig
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    teachers: TeacherConfig = field(default_factory=TeacherConfig)
    loss: LossWeights = field(default_factory=LossWeights)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    out: str = "runs/materials"
    checkpoint: str = "checkpoints/unistyle-materials.safetensors"
    start: str | None = None
    exemplars: int = 3
    terms: str | None = None
    save_minutes: float = 5
    preview_every: int = 200
    cache_gb: float = 8
    seed: int = 0


@dataclass
class StyleConfig:
    """New styles fitted to their photos, in minutes.

    styles: a folder a style, photos inside (see unistyle.exemplars). checkpoint: the one to start from; out: the file
    to write, with a preview beside it. vgg: weights of VGG-19 as safetensors, None for the hub's. contents: folders of
    photos that are restyled meanwhile, None for scikit-image's samples. whole: a style is its whole photos, whatever
    the network finds in them. exemplars: photos a style that stand for it. replace: take the place of styles of the
    same name. decoder: fit the decoder too, which all styles share. steps: for each exemplar. lr: in units of a code's
    spread over photos. held: weight of what holds old styles where they were.
    """

    styles: str
    checkpoint: str
    out: str
    vgg: str | None = None
    contents: list[str] | str | None = None
    whole: bool = False
    exemplars: int = 3
    replace: bool = False
    decoder: bool = False
    steps: int = 120
    batch: int = 4
    lr: float = 0.3
    decoder_lr: float = 3e-4
    held: float = 20.0
    loss: LossWeights = field(default_factory=lambda: LossWeights(content_margin=0.92))
    device: str = "auto"
    seed: int = 0


@dataclass
class VocabularyConfig:
    """New materials for the segmenter to find, from photos with their material as the only label, in minutes.

    photos: a folder a material, photos inside. checkpoint: the one to start from, whose materials and styles are kept;
    out: the file to write, with a preview beside it. masks: a folder of masks, `material/stem.png`, for the photos that
    have none beside them (`stem.mask.png`); those that are missing are made there by class saliency; None for a folder
    beside `out`. contents: folders of photos of
    anything, on which what is found is held where it was, None for scikit-image's samples. exemplars: photos a
    material that join the bank as its style. held: weight of what holds the old materials.
    """

    photos: str
    checkpoint: str
    out: str
    masks: str | None = None
    contents: list[str] | str | None = None
    exemplars: int = 3
    steps: int = 300
    batch: int = 4
    lr: float = 1e-3
    held: float = 0.5
    device: str = "auto"
    seed: int = 0


def check_counts(settings: StyleConfig | VocabularyConfig, *names: str) -> None:
    """Raises ValueError for a setting that is less than 1."""
    for name in names:
        if getattr(settings, name) < 1:
            raise ValueError(f"{name} is {getattr(settings, name)}; wanted a whole number from 1 up")
