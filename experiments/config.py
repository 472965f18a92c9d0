"""Settings of the experiments."""

from dataclasses import dataclass, field


@dataclass
class GatysSubset:
    """What the Gatys teacher restyles too, where all of it would take hours. count: combinations of the resegmentation,
    0 for all of them; others: pairs of the studies of translation and of quality, each, 0 for all. Drawn with the seed;
    photos are of the same size for every method."""

    count: int = 40
    others: int = 20
    iterations: int = 60
    cache: str = "cache/gatys"


@dataclass
class Onomatopoeia:
    """checkpoint: trained by `train.py` with a vocabulary of onomatopoeia; source and target: `--map source=target`;
    photos: a folder a word."""

    checkpoint: str = "runs/onomatopoeia/checkpoint.safetensors"
    photos: str = "cache/words"
    source: str = "mofumofu"
    target: str = "gotsugotsu"
    count: int = 12


@dataclass
class ExperimentConfig:
    """What is measured, on which photos.

    data: folder of image/MATERIAL, mask/MATERIAL, train.txt and val.txt. contents: the photos of the slides,
    MATERIAL/STEM. styles: style photos a material. size: long side of photos in pixels. pairs: of the study of quality.
    translations: photos of every ordered pair of materials. objects, encoder, saliency_cache: of the saliency teacher,
    as in the config of training. vgg, judge: weights of VGG-19 and of the independent classifier's ResNet-18, None for
    the hub's.
    """

    data: str
    checkpoint: str = "checkpoints/unistyle-materials.safetensors"
    out: str = "runs/experiments"
    studies: list[str] = field(
        default_factory=lambda: ["resegmentation", "saliency", "translation", "onomatopoeia", "quality"]
    )
    contents: list[str] = field(
        default_factory=lambda: ["leather/leather_object_001_new", "leather/leather_object_006_new"]
    )
    styles: int = 20
    size: int = 256
    pairs: int = 120
    translations: int = 4
    seed: int = 0
    gatys: GatysSubset = field(default_factory=GatysSubset)
    onomatopoeia: Onomatopoeia = field(default_factory=Onomatopoeia)
    objects: str | None = None
    encoder: str | None = None
    saliency_cache: str = "cache/saliency"
    vgg: str | None = None
    judge: str | None = None
    device: str = "cpu"
