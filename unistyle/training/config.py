"""Every setting of the trainings. `unistyle train` reads them from YAML and flags, and the docstring under each is its
help; the resolved form of the joint training is saved beside the run."""

from dataclasses import dataclass, field

from unistyle.network.encoder import EncoderConfig
from unistyle.teachers.objects import ObjectConfig
from unistyle.teachers.saliency import ADAPT


@dataclass
class DataConfig:
    """Where the photos are, and how they are cut."""

    photos: str
    """Folder with one folder per material, photos inside."""
    split: str | None = None
    """File with one line MATERIAL/STEM for each photo to train on. Without it, all are."""
    masks: str | None = "cache/masks"
    """Folder of soft masks of the photos, MATERIAL/STEM.png, and of the main objects of `contents`. The saliency
    teacher makes those that are missing. null takes photos whole."""
    contents: list[str] = field(default_factory=list)
    """Further folders of photos to restyle, whole where there are no `objects`."""
    styles: list[str] = field(default_factory=list)
    """Further folders of style photos."""
    objects: str | None = None
    """Folder with photos and masks of salient objects, image/ and mask/, as in ECSSD."""
    own_styles: float = 0.7
    """Share of pairs whose style is one of the materials, from 0 to 1."""
    annotated: str | None = None
    """Folder of annotated masks, MATERIAL/STEM.png. They are never trained on."""
    calibrate: str | None = None
    """File with one line MATERIAL/STEM for each photo whose annotated mask sets the thresholds. Without it, that of the
    main object is 0.5."""
    samples: str = "cache/samples"
    """Folder where the samples of style photos are kept."""
    laid: tuple[float, float] = (0.3, 0.85)
    """How often the sample of a style of the materials is laid, from 0 to 1, in the opening (`small`) and after it.
    Otherwise the stylizer is by itself, and has to show the material without one."""
    crops: list[int] = field(default_factory=lambda: [192, 192, 288])
    """Sides of the square crops that are restyled, in pixels; batches take turns."""
    small: float = 0.5
    """Share of the steps, the first ones, that are the opening: its crops have two thirds of these sides and cost less
    than half, samples are laid more seldom, and its objective is `opening`."""
    reliefs: str | None = None
    """Folder of normal maps that repeat: the grain of rendered pairs. Without it their relief is smooth."""
    style_size: tuple[int, int] = (192, 256)
    """Height and width of style photos for the first of these sides, in pixels. They grow with the crops."""
    photo_sizes: list[tuple[int, int]] = field(default_factory=lambda: [(192, 256), (288, 384)])
    """Heights and widths of the photos in which materials are looked for, in pixels. The network reduces those that are
    larger than it looks at."""
    crops_per_photo: int = 1
    """Different crops of each photo. With few, what VGG-19 says of them is computed once."""
    workers: int = 0
    """Further processes that read photos. 0 reads them in the training's own."""


@dataclass
class TeacherConfig:
    """The two teachers: the Gatys optimisation and class saliency."""

    vgg: str | None = None
    """Weights of VGG-19 as safetensors. Without it they come from the hub."""
    gatys_pairs: int = 48
    """Pairs that the Gatys teacher restyles, each in a few seconds. 0 does without it."""
    gatys_share: float = 0.1
    """How often one of these pairs is drawn, from 0 to 1."""
    gatys_iterations: int = 60
    """Steps of its optimisation."""
    gatys_cache: str = "cache/gatys"
    """Folder where its results are kept."""
    recogniser: EncoderConfig = field(default_factory=EncoderConfig)
    """The classifier of ImageNet's objects that recognises the photo in its result."""
    objects: ObjectConfig = field(default_factory=ObjectConfig)
    """Training of the saliency teacher's object network."""
    adapt: ObjectConfig = field(default_factory=lambda: ADAPT)
    """Its self-training."""
    rounds: int = 2
    """Rounds of self-training."""
    saliency_cache: str = "cache/saliency"
    """Folder where its networks are kept."""


@dataclass
class LossWeights:
    """Weights of the terms of the joint objective (unistyle/training/losses.py). 0 leaves a term out of the sum."""

    style: float = 10.0
    """Distance of Gram matrices to the style."""
    deep: float = 12.0
    """The same for deep layers of pictures at half size: larger structure."""
    named: float = 0.12
    """The result is recognised as the style's material."""
    object: float = 2.5
    """The result is recognised as what the photo shows."""
    content: float = 0.5
    """Content distance to the photo."""
    content_margin: float = 0.92
    """Content distance below which the content term is 0, so that it does not hold back the style."""
    gatys: float = 0.5
    """Distance to the Gatys teacher's result."""
    identity: float = 0.5
    """A photo as its own style gives the photo back."""
    shading: float = 0.25
    """The photo's light and shade stay."""
    smooth: float = 0.06
    """Total variation."""
    grain: float = 0.1
    """Patterns of 2 and 4 pixels beyond those of the style."""
    palette: float = 8.0
    """Colours that the style does not have."""
    colors: float = 2.5
    """Colours in other shares than the style's."""
    rendered: float = 3.0
    """Distance to what a rendered relief looks like when it is made of the style."""
    segmentation: float = 0.5
    """Masks and materials of photos."""


OPENING = LossWeights(style=5, deep=4, named=0.8, object=3.5, shading=0.15, rendered=1)


@dataclass
class OptimizerConfig:
    """How the network learns."""

    steps: int = 6000
    """Steps of the optimizer in all."""
    begin: int = 0
    """How many of them are done already. A run whose state is lost goes on, with `start`, from what it kept."""
    batch: int = 4
    """Pairs for each process and step."""
    lr: float = 1e-3
    """Learning rate, reached after the warm-up; it falls to a twentieth in the end."""
    encoder_lr: float = 0.1
    """Learning rate of the pretrained encoder, as a share of `lr`. 0 holds it, and steps take less time."""
    settle: float = 0.2
    """Share of the steps, the last ones, in which the encoder is held half-way between its weights and those that it
    began with. What it knew of materials comes back, and the rest settles on it."""
    warmup: int = 100
    """Steps until the learning rate is reached."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    accumulate: int = 1
    """Batches for each step."""
    precision: str = "no"
    """Mixed precision of Accelerate: no, bf16 or fp16."""
    ema: float = 0.998
    """Decay of the moving average of the weights in which a run ends."""
    segment_every: int = 2
    """Batches of pairs from one batch of masks to the next, because masks are learned sooner."""
    render_every: int = 2
    """Batches of pairs from one batch of rendered pairs to the next."""


@dataclass
class TrainConfig:
    """Train a network, its teachers and its bank from scratch: photos -> a checkpoint.

    unistyle train --config configs/materials.yaml
    unistyle train --config configs/materials.yaml --optimizer.steps 600 --out runs/short
    accelerate launch -m unistyle train --config configs/materials.yaml

    An interrupted run goes on from its last state when it is started again. Others:
    unistyle train style --help       new styles for a checkpoint, fitted to their photos in minutes
    unistyle train vocabulary --help  new materials to find, from photos with their names, in minutes
    """

    data: DataConfig
    """The photos."""
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    """The pretrained backbone."""
    teachers: TeacherConfig = field(default_factory=TeacherConfig)
    """The teachers."""
    loss: LossWeights = field(default_factory=LossWeights)
    """The objective."""
    opening: LossWeights = field(default_factory=lambda: OPENING)
    """The objective of the opening: first that a result is recognised, and only then the likeness of its style."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    """The optimizer."""
    out: str = "runs/materials"
    """Folder of the run: its state, logs, previews and the resolved settings."""
    checkpoint: str = "checkpoints/unistyle-materials.safetensors"
    """The file that the run ends in."""
    start: str | None = None
    """A checkpoint to start from. Its vocabulary may be another."""
    exemplars: int = 3
    """Style codes of each material in the bank."""
    segmenter: str | None = None
    """Settings of what the segmenter learns afterwards, a file of `unistyle train segmenter`. The photos with one
    folder per material, and the checkpoint, are those of this run."""
    synthesise: bool = False
    """Synthesise the samples of the bank at the end, from statistics of their photos: no pixel of a photo is in the
    checkpoint then. Two minutes for each exemplar."""
    terms: str | None = None
    """Terms of the photos, for the checkpoint's notes and its model card."""
    save_minutes: float = 5
    """Minutes between two states that are saved."""
    preview_every: int = 200
    """Steps between two previews."""
    keep_every: int = 2000
    """Steps between two checkpoints, without styles, that are kept in the run's folder, to find the best of them or to
    go on from one elsewhere (`start` and `optimizer.begin`)."""
    cache_gb: float = 8
    """GiB of memory for what VGG-19 says of crops and styles, which on a CPU is most of a step's cost. 0 keeps
    nothing, for a GPU."""
    seed: int = 0
    """Of everything that is drawn."""

    def objective(self, step: int) -> LossWeights:
        """The weights at a step, in the opening or after it."""
        return self.opening if step < self.data.small * self.optimizer.steps else self.loss


@dataclass
class StyleConfig:
    """Fit new styles to their photos, in minutes.

    unistyle train style --styles rust/ --checkpoint checkpoints/unistyle-materials.safetensors --out rust.safetensors

    The checkpoint is written with a preview beside it.
    """

    styles: str
    """Folder with one folder per style, photos inside, or with the photos of a single style. A mask STEM.mask.png
    beside a photo says where the style is."""
    checkpoint: str
    """The checkpoint to start from."""
    out: str
    """The checkpoint to write."""
    vgg: str | None = None
    """Weights of VGG-19 as safetensors. Without it they come from the hub."""
    contents: list[str] | str | None = None
    """Folders of photos that are restyled meanwhile. Without them, scikit-image's sample photos are."""
    whole: bool = False
    """A style is its whole photos, whatever the network finds in them."""
    exemplars: int = 3
    """Photos that stand for each style."""
    replace: bool = False
    """Take the place of the bank's styles of the same name."""
    decoder: bool = False
    """Fit the decoder too, which all styles share."""
    steps: int = 120
    """Steps of the optimizer for each exemplar."""
    batch: int = 4
    """Crops in each step."""
    lr: float = 0.3
    """Learning rate of codes, in units of a code's spread over photos."""
    decoder_lr: float = 3e-4
    """Learning rate of the decoder."""
    held: float = 20.0
    """Weight of what holds old styles where they were, while the decoder is fitted."""
    loss: LossWeights = field(
        default_factory=lambda: LossWeights(style=2.0, deep=0.0, content=1.0, shading=0.05, palette=0.0)
    )
    """The objective."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1 or mps."""
    seed: int = 0
    """Of everything that is drawn."""


def check_counts(settings: object, *names: str) -> None:
    """Raises ValueError for a setting that is less than 1."""
    for name in names:
        if (got := getattr(settings, name)) < 1:
            raise ValueError(f"{name} is {got}; wanted a whole number from 1 up")
