"""Settings of the experiments."""

from dataclasses import dataclass, field

from unistyle.checkpoint.shipped import default_checkpoint
from unistyle.network.encoder import EncoderConfig


@dataclass
class GatysSubset:
    """What the Gatys teacher restyles too, where all of it would take hours. Photos are of the same size for every
    method, and the subsets are drawn with the seed."""

    count: int = 40
    """Combinations of content and style in the study of resegmentation. 0 takes all of them."""
    others: int = 20
    """Pairs of photo and style in each of the studies of translation and of quality. 0 takes all of them."""
    iterations: int = 60
    """Steps of the optimisation."""
    cache: str = "cache/gatys"
    """Where finished results are kept."""


@dataclass
class Onomatopoeia:
    """Words of texture in place of names of materials."""

    checkpoint: str = "runs/onomatopoeia/checkpoint.safetensors"
    """A checkpoint that was trained with a vocabulary of onomatopoeia (configs/onomatopoeia.yaml)."""
    photos: str = "cache/words"
    """Folder with one folder of photos for each word."""
    source: str = "mofumofu"
    """The word that is looked for in the photos."""
    target: str = "gotsugotsu"
    """The word whose style it gets."""
    count: int = 12
    """How many photos of the source word are restyled."""


@dataclass
class ExperimentConfig:
    """The study that the project grew out of: what is measured, and on which photos.

    python -m experiments --config configs/experiments.yaml
    """

    data: str
    """Folder with image/MATERIAL/STEM.jpg, mask/MATERIAL/STEM.png, train.txt and val.txt."""
    checkpoint: str = field(default_factory=lambda: str(default_checkpoint()))
    """The checkpoint that is measured: file, folder or hub id."""
    out: str = "runs/experiments"
    """Where the report, its figures and the results are written."""
    studies: list[str] = field(
        default_factory=lambda: ["resegmentation", "saliency", "translation", "onomatopoeia", "quality"]
    )
    """The studies to carry out."""
    contents: list[str] = field(
        default_factory=lambda: ["leather/leather_object_001_new", "leather/leather_object_006_new"]
    )
    """The photos of the slides, as MATERIAL/STEM."""
    styles: int = 20
    """How many style photos of each material the contents are combined with."""
    size: int = 256
    """Long side of photos in pixels."""
    pairs: int = 120
    """Pairs of photo and style in the study of quality."""
    translations: int = 4
    """Photos of every ordered pair of materials in the study of translation."""
    seed: int = 0
    """What all photos are drawn with."""
    gatys: GatysSubset = field(default_factory=GatysSubset)
    """What the Gatys teacher restyles."""
    onomatopoeia: Onomatopoeia = field(default_factory=Onomatopoeia)
    """The study of words of texture."""
    objects: str | None = None
    """Folder of photos with masks of objects for the saliency teacher, as in the settings of training."""
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    """The saliency teacher's encoder. With that of the training, `saliency_cache` may hold its networks already."""
    saliency_cache: str = "cache/saliency"
    """Where the networks of the saliency teacher are kept."""
    vgg: str | None = None
    """Weights of VGG-19. Without it, the hub's."""
    judge: str | None = None
    """Weights of the independent classifier's ResNet-18. Without it, the hub's."""
    device: str = "cpu"
    """cpu, cuda, cuda:1, mps."""
