"""The segmenter of a checkpoint, taught what each place is made of, from weak labels (`unistyle train segmenter`).

Image-level labels and names of photos say what a main object is made of; the checkpoint says where that is. Photos are
composed of them, in which labels are exact (`unistyle.data.composing`), and in later rounds the network's own surest
answers on whole photos, those of the materials too, join them. Annotated masks of materials are never trained on.
Encoder and stylizer stay as they are, and with them every style; where the main object is stays where the checkpoint
finds it.
"""

import copy
from collections.abc import Sequence
from dataclasses import asdict, replace

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from unistyle.checkpoint.checkpoint import checkpoint_file, load_checkpoint, save_checkpoint
from unistyle.data.composing import PHOTOS, Composer, Piece
from unistyle.data.concepts import Concept, Concepts, read_concepts
from unistyle.data.labelled import folder_photos, material_photos, materials_of
from unistyle.devices import pick_device
from unistyle.errors import UsageError
from unistyle.maths.schedules import warm_cosine
from unistyle.network.model import UniStyleNetwork
from unistyle.network.vocabulary import with_main_object
from unistyle.training.config import check_counts
from unistyle.training.loop import Means
from unistyle.training.losses import finite, label_term
from unistyle.training.materials.config import SegmenterConfig
from unistyle.training.materials.pieces import Shown, believed, pieces_of, thing_photos

WARMUP = 10  # one in so many steps, the first ones, in which the rate rises
CLIP = 5.0  # norm of the gradient at most
THINGS = "things"  # the kind of photos of things on plain ground
PRIOR = 0.6  # of the logit of other, which scenes show more of than composed photos (docs/trials.md)
MAIN = 1.0  # weight of what holds the main object


class SegmenterTrainer:
    """The segmenter of a network, trained on composed photos; where the main object is, it is held where another
    network with the same encoder finds it."""

    def __init__(self, network: UniStyleNetwork, before: UniStyleNetwork, config: SegmenterConfig):
        self.network, self.before, self.config = network.requires_grad_(False).eval(), before.eval(), config
        network.segmenter.requires_grad_(True)
        self.device = next(network.parameters()).device
        self.optimizer = torch.optim.AdamW(
            network.segmenter.parameters(), lr=config.lr, betas=(0.9, 0.99), weight_decay=0.01
        )

    def terms(self, photo: Tensor, label: Tensor) -> dict[str, Tensor]:
        """`materials`: cross entropy where a label is known, photos `b 3 h w` with label maps `b h w`. `main`: cross
        entropy with the main object of before."""
        with torch.no_grad():
            features = self.network.encoder(photo)
            wanted = self.before.main_places(self.before.segmenter(features)).sigmoid()
        logits = self.network.segmenter(features)
        return {
            "materials": label_term(torch.cat([logits[:, :1] - PRIOR, logits[:, 1:]], 1), label),
            "main": F.binary_cross_entropy_with_logits(logits[:, -1:], wanted),
        }

    def run(self, composed: Dataset, name: str) -> None:
        """Train in place, on every item once."""
        loader = DataLoader(composed, self.config.batch)
        schedule = warm_cosine(self.optimizer, len(loader), len(loader) // WARMUP)
        with tqdm(total=len(loader), desc=name) as bar:
            means = Means(bar)
            for number, batch in enumerate(loader):
                terms = self.terms(*(x.to(self.device) for x in batch))
                finite(terms, number)
                self.optimizer.zero_grad()
                (terms["materials"] + MAIN * terms["main"]).backward()
                torch.nn.utils.clip_grad_norm_(self.network.segmenter.parameters(), CLIP)
                self.optimizer.step()
                schedule.step()
                means.add(terms)
                means.step()


def labelled(config: SegmenterConfig, materials: Sequence[str]) -> list[Shown]:
    """The photos with labels, of the checkpoint's materials. Raises UsageError for folders of other materials."""
    own = materials_of(config.photos)
    if unknown := [name for name in own if name not in materials]:
        raise UsageError(
            f"{config.photos} has the material {unknown[0]!r}, which the checkpoint does not know: "
            "unistyle train vocabulary adds materials"
        )
    photos = [
        Shown(photo.path, Concept(1 + materials.index(own[photo.label])), PHOTOS)
        for photo in material_photos(config.photos, config.split)
    ]
    things = thing_photos(config.things, materials, config.same_as)
    return photos + [Shown(photo.path, Concept(1 + photo.label), THINGS) for photo in things]


def weakly_labelled(config: SegmenterConfig, materials: Sequence[str]) -> list[Shown]:
    """Photos whose names say what they show, and photos of anything: those for self-training. Raises ValueError for a
    folder without photos."""
    concepts = read_concepts(config.table, materials) if config.table else Concepts({}, materials)
    named, rest = ([photo.path for photo in folder_photos(f)] for f in (config.named, config.unlabelled))
    return [Shown(p, concepts.of(p), "named") for p in named] + [Shown(p, Concept(), "") for p in rest]


def check_photos(config: SegmenterConfig) -> None:
    """For a checkpoint that is yet to come, of the materials of the photos. Raises ValueError or OSError where the
    settings name photos or materials that are not there."""
    materials = materials_of(config.photos)
    labelled(config, materials)
    weakly_labelled(config, materials)


def train_segmenter(config: SegmenterConfig) -> list[str]:
    """Train the segmenter and write the checkpoint; returns why photos were left out. Raises CheckpointError,
    ImageError, ValueError or OSError before anything is written."""
    check_counts(config, "steps", "batch", "rounds")
    checkpoint_file(config.out)
    device = pick_device(config.device)
    checkpoint = load_checkpoint(config.checkpoint)
    before = checkpoint.network.to(device)
    network = copy.deepcopy(with_main_object(before)).to(device)
    asked = [photo for of in (labelled, weakly_labelled) for photo in of(config, network.config.materials)]
    photos, pieces, problems = pieces_of(before, asked)
    materials, length = len(network.config.materials), config.steps * config.batch
    learned: list[dict[str, Tensor]] = []
    for number in range(config.rounds):
        known = pieces if number == 0 else _believing(network, pieces, photos, config.believed)
        trainer = SegmenterTrainer(network, before, config)
        composed = Composer(known, materials, length, config.seed + number)
        trainer.run(composed, f"round {number + 1} of {config.rounds}")
        learned.append({name: value.clone() for name, value in network.segmenter.state_dict().items()})
    network.segmenter.load_state_dict(_mean(learned[1:] or learned))
    network.requires_grad_(False).cpu()
    network.config = replace(
        network.config, threshold=0.5
    )  # the main object was held where it began for `before`
    notes = checkpoint.notes | {"segmenter": _note(config, pieces)}
    made = replace(checkpoint, network=network, notes=notes)
    print(f"{', '.join(network.config.materials)} in {save_checkpoint(config.out, made)}")
    return problems


def _mean(states: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Mean of the weights of several states of a part. Source: Wortsman et al., "Model soups"."""
    return {name: torch.stack([state[name] for state in states]).mean(0) for name in states[0]}


def _believing(
    network: UniStyleNetwork, pieces: Sequence[Piece], photos: Sequence[Shown], share: float
) -> list[Piece]:
    """The pieces, of which whole photos have the labels that the network is surest of; things on plain ground stay as
    they are."""
    whole = [index for index, photo in enumerate(photos) if photo.kind != THINGS]
    labels = believed(network, [pieces[i] for i in whole], [photos[i].concept for i in whole], share)
    known = list(pieces)
    for index, piece in zip(whole, labels, strict=True):
        known[index] = piece
    return known


def _note(config: SegmenterConfig, pieces: Sequence[Piece]) -> str:
    about = {
        key: value
        for key, value in asdict(config).items()
        if key in ("steps", "batch", "lr", "rounds", "seed")
    }
    return f"{config.rounds} rounds on composed photos of {len(pieces)}: {about}"
