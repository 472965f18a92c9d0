"""From trained weights to a checkpoint: the calibrated threshold and the style bank."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy.cluster.vq import whiten
from torch import Tensor

from unistyle.checkpoint.checkpoint import Checkpoint
from unistyle.data.labelled import LabelledPhoto
from unistyle.data.views import fit
from unistyle.files.photos import read_image, read_mask
from unistyle.maths.masks import best_threshold
from unistyle.maths.resizing import resize_regions, to_size
from unistyle.network.model import UniStyleNetwork
from unistyle.styles.bank import StyleBank
from unistyle.styles.choice import choose, pick
from unistyle.styles.exemplars import bank_of, exemplar_names, read_exemplars
from unistyle.styles.samples import swatch_of
from unistyle.styles.swatches import Swatches, together
from unistyle.training.config import TrainConfig

SHOWN = 0.2  # share of the frame that a material must cover for the photo to be an exemplar of it


@torch.inference_mode()
def foreground(network: UniStyleNetwork, image: Tensor) -> Tensor:
    """Probability `h w` that each pixel of a photo `3 h w` belongs to the main object."""
    return to_size(network.find(image[None])[1][:, -1:], image.shape[-2:])[0, 0].sigmoid()


def calibrate(
    network: UniStyleNetwork, photos: Sequence[LabelledPhoto], size: tuple[int, int]
) -> tuple[float, float]:
    """The threshold on the main object's probability with the highest mean IU on annotated photos, seen at
    (height, width), and that mean IU."""
    pairs = [(image, mask[0] > 0.5) for image, mask in (fit(photo, size) for photo in photos)]
    return best_threshold(*zip(*((foreground(network, image), mask) for image, mask in pairs), strict=True))


@torch.inference_mode()
def sure_photos(
    network: UniStyleNetwork,
    photos: Sequence[LabelledPhoto],
    count: int,
    size: tuple[int, int],
    seed: int = 0,
) -> list[LabelledPhoto]:
    """`count` photos of one material that stand for its variety, by the moments of their style codes.

    Eligible is the quarter that the segmenter is surest of. Where there are no more than `count`, it is all of them.
    Where the segmenter is not sure, at stone under a rainbow or at a painted fence, nobody would see the material in
    the style either: an independent classifier names the restyled region as its new material twice as often as with
    six exemplars taken from the half nearest to the median code (docs/trials.md).
    """
    regions = [(photo, *fit(photo, size)) for photo in photos]
    large = [entry for entry in regions if entry[2].mean() >= SHOWN] or regions
    if len(large) <= count:
        return [photo for photo, _, _ in large]
    described = [_describe(network, image[None], mask[None], photo.label) for photo, image, mask in large]
    moments, sureness = (np.stack(part) for part in zip(*described, strict=True))
    points = whiten(moments + 1e-6 * np.arange(len(moments))[:, None])  # no column is constant
    sure = (-sureness).argsort(kind="stable")[: max(count, len(points) // 4)]
    return [large[row][0] for row in choose(points, sure, count, seed)]


def _describe(
    network: UniStyleNetwork, image: Tensor, region: Tensor, label: int
) -> tuple[np.ndarray, float]:
    """Moments `d` of the style inside the region, and the mean probability there of the material `label`."""
    features, logits = network.find(image)
    code = network.stylizer.encode(features, region)[0, 0, : network.stylizer.code_sizes[0]]
    share = resize_regions(region, logits.shape[-2:])[0, 0]
    probability = logits[0, 1:-1].softmax(0)[label]
    sureness = (probability * share).sum() / share.sum().clamp_min(1e-6)
    return code.double().numpy(), sureness.item()


def build_bank(network: UniStyleNetwork, config: TrainConfig, photos: Sequence[LabelledPhoto]) -> StyleBank:
    """Exemplars of every material, from the photos of the training and the teacher's masks."""
    chosen = []
    for label, name in enumerate(network.config.materials):
        own = [photo for photo in photos if photo.label == label]
        sure = sure_photos(network, own, config.exemplars, config.data.style_size, config.seed)
        chosen += [(name, photo) for photo in sure]
    names = exemplar_names([(name, photo.path) for name, photo in chosen])
    return StyleBank.of(names, together([_swatch(network, photo) for _, photo in chosen]))


def _swatch(network: UniStyleNetwork, photo: LabelledPhoto) -> Swatches:
    """The swatch of a photo in its mask, from their files; a mask may have been kept smaller than its photo."""
    image = read_image(photo.path)
    return swatch_of(network, image, read_mask(photo.mask).resize(image.size) if photo.mask else None)


def release(
    network: UniStyleNetwork,
    config: TrainConfig,
    photos: Sequence[LabelledPhoto],
    annotated: Sequence[LabelledPhoto] = (),
) -> Checkpoint:
    """The finished checkpoint of a run: its bank built from the photos of the materials, and its threshold calibrated
    on annotated photos, where there are any."""
    network.cpu().eval()
    notes: dict = {"steps": config.optimizer.steps} | ({"terms": config.terms} if config.terms else {})
    if annotated:
        threshold, score = calibrate(network, annotated, config.data.photo_sizes[-1])
        network.config = replace(network.config, threshold=threshold)
        notes |= {"calibration mean IU": round(score, 4)}
    return Checkpoint(network, build_bank(network, config, photos), notes)


def join_styles(
    network: UniStyleNetwork, bank: StyleBank, photos: Sequence[LabelledPhoto], count: int
) -> StyleBank:
    """The bank, and after it the materials that are no styles yet: `count` exemplars of each from the photos, of the
    regions that the network finds in them."""
    new: dict[str, list[Path]] = {}
    for photo in photos:
        if (name := network.config.materials[photo.label]) not in bank.styles:
            new.setdefault(name, []).append(photo.path)
    if not new:
        return bank
    found, _ = read_exemplars(network, new)
    return bank.joined(bank_of(pick(network, found, count)))
