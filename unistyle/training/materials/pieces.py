"""The photos that the segmenter learns from: weak labels, and main objects as a checkpoint finds them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from unistyle.data.composing import UNKNOWN, Piece
from unistyle.data.concepts import Concept
from unistyle.data.labelled import LabelledPhoto, list_materials
from unistyle.data.views import load
from unistyle.errors import ImageError
from unistyle.files.photos import read_image
from unistyle.files.tensors import to_tensor
from unistyle.maths.resizing import short_side, to_size, within
from unistyle.network.model import SIGHT, UniStyleNetwork

LONGEST = 480  # pixels of a photo's longer side
AWAY = 26  # of 255: below it a place surely does not belong to the main object
SIDES = (192, 288)  # short sides, in pixels, at which photos without labels are looked at
AROUND = 300  # photos of anything to compose new materials with, at most
LOWEST, HIGHEST = 0.35, 0.9  # probability from which a place is believed, at least and at most


def photo_of(path: Path) -> Tensor:
    """A photo `1 3 h w` in [0, 1] as it is kept: the short side at most SIGHT, the longer one LONGEST pixels."""
    image = to_tensor(read_image(path))[None]
    return within(short_side(image, SIGHT) if min(image.shape[-2:]) > SIGHT else image, LONGEST)


@torch.inference_mode()
def piece_of(network: UniStyleNetwork, path: Path, label: int = UNKNOWN, kind: str = "") -> Piece:
    """A photo with its main object as the network finds it. Raises ImageError."""
    image = photo_of(path)
    device = next(network.parameters()).device
    main = network.main_logit(network.find(image.to(device))[1]).sigmoid()
    main = to_size(main, image.shape[-2:])[0, 0].cpu()
    return Piece((image[0] * 255).round().byte(), (main * 255).round().byte(), label, kind=kind)


def thing_photos(
    folders: Sequence[str | Path], materials: Sequence[str], same_as: Mapping[str, str]
) -> list[LabelledPhoto]:
    """Photos of folders with one folder for each material. same_as: names of folders that stand for a material. Folders
    of neither are left out. Raises ValueError where a name stands for something unknown, and what `list_materials`
    does."""
    if unknown := [name for name in same_as.values() if name not in materials]:
        raise ValueError(f"same_as names {unknown[0]!r}; wanted a material: {', '.join(materials)}")
    return [
        LabelledPhoto(path, label=materials.index(same_as.get(name, name)))
        for folder in folders
        for name, paths in list_materials(folder).images.items()
        if same_as.get(name, name) in materials
        for path in paths
    ]


def hinted(piece: Piece, concept: Concept) -> Piece:
    """The piece with what its concept says of the places around the main object."""
    if not concept.sky_above and concept.water_below is None and concept.foliage_around is None:
        return piece
    known, third, away = piece.labels().byte(), piece.main.shape[0] // 3, piece.main < AWAY
    rows = torch.arange(len(known))[:, None]
    if concept.foliage_around is not None:
        known[away & is_green(piece.image)] = concept.foliage_around
    if concept.sky_above:
        known[(rows < third) & away] = 0
    if concept.water_below is not None:
        known[(rows >= len(known) - third) & away] = concept.water_below
    return replace(piece, known=known)


def is_green(image: Tensor) -> Tensor:
    """Where a photo, uint8 `3 h w`, is green over an area, neither dark nor bright; `h w`."""
    red, green, blue = F.avg_pool2d(image.float(), 5, 1, 2, count_include_pad=False)
    return (green > torch.maximum(red * 1.03, blue * 1.08) + 4) & (green > 35) & (green < 235)


class Shown(NamedTuple):
    """A photo to learn from."""

    path: Path
    concept: Concept
    """What is known of it."""
    kind: str = ""
    """Where it comes from."""


def pieces_of(
    network: UniStyleNetwork, photos: Sequence[Shown]
) -> tuple[list[Shown], list[Piece], list[str]]:
    """The photos that can be read, as pieces with their main objects as the network finds them and with what is known
    of them, and why the others cannot be. Raises ImageError where none can."""
    shown, pieces, problems = [], [], []
    for photo in tqdm(photos, desc="main objects"):
        sure = photo.concept.material is not None and not photo.concept.worn
        try:
            piece = piece_of(network, photo.path, photo.concept.material if sure else UNKNOWN, photo.kind)
        except ImageError as error:
            problems.append(str(error))
        else:
            shown.append(photo)
            pieces.append(hinted(piece, photo.concept))
    if not pieces:
        raise ImageError("no photo can be used:" + "".join(f"\n  {problem}" for problem in problems))
    return shown, pieces, problems


@torch.inference_mode()
def probabilities(network: UniStyleNetwork, piece: Piece) -> Tensor:
    """Of other and the materials, `1+m h/4 w/4`: the mean over SIDES and reflections."""
    device = next(network.parameters()).device
    image = piece.image[None].to(device).float() / 255
    size = [-(-side // 4) for side in image.shape[-2:]]
    total = torch.zeros(())
    for side in SIDES:
        for flip in (False, True):
            small = short_side(image, side)
            logits = network.segmenter(network.encoder(small.flip(-1) if flip else small))[:, :-1]
            found = to_size(logits.softmax(1), size)[0].cpu()
            total = total + (found.flip(-1) if flip else found)
    return total / (2 * len(SIDES))


def believed(
    network: UniStyleNetwork, pieces: Sequence[Piece], concepts: Sequence[Concept], share: float
) -> Iterator[Piece]:
    """The pieces with the labels that the network itself is surest of: of the places that it gives to a material, or to
    other, the `share` with the highest probability. Where the main object is, only what the concept says is believed.

    Source: class-balanced self-training, Zou et al., "Unsupervised Domain Adaptation for Semantic Segmentation via
    Class-Balanced Self-Training", section 4.
    """
    answers = [
        _answer(network, *each) for each in zip(tqdm(pieces, desc="self-training"), concepts, strict=True)
    ]
    rows = 1 + len(network.config.materials)
    limits = torch.tensor([_limit([p[label == row] for label, p in answers], share) for row in range(rows)])
    for piece, (label, p) in zip(pieces, answers, strict=True):
        sure = torch.where(p >= limits[label.long()], label, UNKNOWN).float()
        known = F.interpolate(sure[None, None], piece.main.shape, mode="nearest")[0, 0].byte()
        if piece.known is not None:  # what the name says of the surroundings
            known = torch.where((piece.known != UNKNOWN) & (piece.main < AWAY), piece.known, known)
        yield replace(piece, known=known)


def _answer(network: UniStyleNetwork, piece: Piece, concept: Concept) -> tuple[Tensor, Tensor]:
    """The likeliest label of each place, uint8 `h w`, and its probability."""
    p = probabilities(network, piece)
    probability, label = p.max(0)
    if concept.material is not None:
        main = F.interpolate(piece.main[None, None].float(), p.shape[1:], mode="area")[0, 0]
        allowed = [0, concept.material] if concept.worn else [concept.material]
        own, row = p[allowed].max(0)
        inside = main > 0.6 * 255
        label = torch.where(inside, torch.tensor(allowed)[row], label)
        # What the name says counts as much as what the network sees.
        probability = torch.where(inside, (own / p[allowed].sum(0) + p[allowed].sum(0)) / 2, probability)
    return label.byte(), probability


def _limit(values: Sequence[Tensor], share: float) -> float:
    every = torch.cat([x[:: max(1, len(x) // 80)] for x in values])
    return float(every.quantile(1 - share).clamp(LOWEST, HIGHEST)) if len(every) else HIGHEST


def own_piece(photo: LabelledPhoto) -> Piece:
    """A photo of a new material with its mask, to compose with."""
    image, mask = (to_tensor(x) for x in load(photo))
    sized = [(short_side(x[None], SIGHT)[0] * 255).round().byte() for x in (image, mask)]
    return Piece(sized[0], sized[1][0], 1 + photo.label)


def surroundings(network: UniStyleNetwork, photos: Sequence[LabelledPhoto]) -> list[Piece]:
    """Some of the photos of anything, with what the network finds in them, as far as it is sure."""
    step = -(-len(photos) // AROUND)
    pieces = [piece_of(network, photo.path) for photo in photos[::step]]
    return list(believed(network, pieces, [Concept()] * len(pieces), 0.5))
