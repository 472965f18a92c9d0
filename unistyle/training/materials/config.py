"""Settings of what teaches the segmenter: new materials, and what each place is made of."""

from dataclasses import dataclass, field


@dataclass
class VocabularyConfig:
    """Teach the segmenter new materials, from photos with their material as the only label, in minutes.

    unistyle train vocabulary --photos mine/ --out mine.safetensors \\
      --checkpoint checkpoints/unistyle-materials.safetensors

    The checkpoint is written with a preview beside it.
    """

    photos: str
    """Folder with one folder per material, photos inside."""
    checkpoint: str
    """The checkpoint to start from, whose materials and styles are kept."""
    out: str
    """The checkpoint to write."""
    masks: str | None = None
    """Folder of masks, MATERIAL/STEM.png, for photos that have none beside them (STEM.mask.png). Class saliency makes
    those that are missing. Without it, a folder beside `out`."""
    contents: list[str] | str | None = None
    """Folders of photos of anything, on which what is found is held where it was. Without them, scikit-image's sample
    photos."""
    exemplars: int = 3
    """Photos of each material that join the bank as its style."""
    steps: int = 300
    """Steps of the optimizer."""
    batch: int = 4
    """Photos of the new materials, and photos of anything, in each step."""
    lr: float = 1e-3
    """Highest learning rate."""
    held: float = 0.5
    """Weight of what holds the old materials."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1 or mps."""
    seed: int = 0
    """Of everything that is drawn."""


@dataclass
class SegmenterConfig:
    """Teach the segmenter of a checkpoint what each place is made of, from weak labels, in half an hour.

    unistyle train segmenter --config configs/segmenter.yaml

    Encoder, stylizer and bank stay as they are.
    """

    photos: str
    """Folder with one folder per material of the checkpoint, photos inside."""
    checkpoint: str
    """The checkpoint to start from."""
    out: str
    """The checkpoint to write."""
    split: str | None = None
    """A file with one line MATERIAL/STEM for each of these photos to train on. Without it, all."""
    things: list[str] = field(default_factory=list)
    """Further folders with one folder per material, of things on plain ground."""
    same_as: dict[str, str] = field(default_factory=dict)
    """Folders of `things` that stand for a material, such as cardboard: paper. Others that are no material are left
    out."""
    named: list[str] = field(default_factory=list)
    """Folders of photos whose names say what they show (n02676566_acoustic_guitar.jpg)."""
    table: str | None = None
    """What is made of what, by such names: configs/concepts.yaml."""
    unlabelled: list[str] = field(default_factory=list)
    """Folders of photos of anything, for the rounds of self-training."""
    steps: int = 4000
    """Steps of the optimizer in each round."""
    rounds: int = 3
    """The first round learns from labels; each further one also from what the network is surest of. The mean of the
    weights of these further rounds is what is kept."""
    believed: float = 0.5
    """Share of the places of each material, and of other, that are believed in self-training."""
    batch: int = 8
    """Composed photos in each step."""
    lr: float = 1.5e-3
    """Highest learning rate."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1 or mps."""
    seed: int = 0
    """Of everything that is drawn."""
