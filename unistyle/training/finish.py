"""From trained weights to a checkpoint: the calibrated threshold and the style bank."""

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from unistyle.checkpoint.checkpoint import Checkpoint
from unistyle.data.labelled import LabelledPhoto, material_photos
from unistyle.data.views import fit
from unistyle.files.photos import read_image, read_mask
from unistyle.maths.masks import best_threshold, has_boundary
from unistyle.network.model import UniStyleNetwork
from unistyle.network.segmenter import foreground_logit
from unistyle.styles.bank import StyleBank
from unistyle.styles.exemplars import choose_exemplars
from unistyle.training.config import TrainConfig


@torch.inference_mode()
def foreground(network: UniStyleNetwork, image: Tensor) -> Tensor:
    """Probability `h w` that each pixel of a photo `3 h w` belongs to any material of the vocabulary."""
    logit = foreground_logit(network.find(image[None])[1])
    return F.interpolate(logit, size=image.shape[-2:], mode="bilinear")[0, 0].sigmoid()


def calibrate(
    network: UniStyleNetwork, photos: Sequence[LabelledPhoto], size: tuple[int, int]
) -> tuple[float, float]:
    """The threshold on the foreground's probability with the highest mean IU on annotated photos, and that mean
    IU."""
    pairs = [(image, mask[0] > 0.5) for image, mask in (fit(photo, size) for photo in photos)]
    return best_threshold(*zip(*((foreground(network, image), mask) for image, mask in pairs), strict=True))


def _with_mask(photo: LabelledPhoto) -> tuple[Image.Image, Image.Image | None]:
    """Photo and mask from their files; a mask may have been kept smaller than its photo."""
    image = read_image(photo.path)
    return image, read_mask(photo.mask).resize(image.size) if photo.mask else None


def build_bank(network: UniStyleNetwork, config: TrainConfig) -> StyleBank:
    """Exemplars of every material, from the photos of the training and the teacher's masks."""
    data = config.data
    photos = material_photos(data.photos, data.split, data.masks)
    chosen = []
    for label, name in enumerate(network.config.materials):
        own = [photo for photo in photos if photo.label == label]
        for photo in choose_exemplars(network, own, config.exemplars, data.style_size, config.seed):
            chosen.append((name, photo))
    entries = ((name, photo.path.stem, *_with_mask(photo)) for name, photo in chosen)
    return StyleBank.build(network, entries)


def annotated_photos(config: TrainConfig) -> list[LabelledPhoto]:
    """The photos that the threshold is calibrated on, those whose masks have a boundary to find; none where the
    settings name none. Raises what `material_photos` and `fit` do, and ValueError where no mask has a boundary, so
    a run asks before it starts."""
    data = config.data
    if not (data.annotated and data.calibrate):
        return []
    photos = material_photos(data.photos, data.calibrate, data.annotated)
    bounded = [photo for photo in photos if has_boundary(fit(photo, data.photo_sizes[-1])[1] > 0.5)]
    if not bounded:
        raise ValueError(
            f"the masks of {data.calibrate} in {data.annotated} fill their photos ({len(photos)} of them): the "
            "threshold is calibrated on masks that cover less than 95 %; give such, or leave data.calibrate out"
        )
    return bounded


def release(network: UniStyleNetwork, config: TrainConfig) -> Checkpoint:
    """The finished checkpoint of a run: threshold calibrated (where annotated masks are given), bank built."""
    network.cpu().eval()
    notes = {"steps": config.optimizer.steps} | ({"terms": config.terms} if config.terms else {})
    if photos := annotated_photos(config):
        threshold, score = calibrate(network, photos, config.data.photo_sizes[-1])
        network.config = replace(network.config, threshold=threshold)
        notes |= {"calibration mean IU": round(score, 4)}
    return Checkpoint(network, build_bank(network, config), notes)
