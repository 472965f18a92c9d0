"""The saliency teacher that a checkpoint can be: its segmenter knows what an object is."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from unistyle.data.labelled import LabelledPhoto
from unistyle.maths.resizing import to_size
from unistyle.network.model import UniStyleNetwork
from unistyle.teachers.classifier import MaterialClassifier, train_classifier
from unistyle.teachers.masks import SaliencyTeacher, write_masks


class Foreground(nn.Module):
    """RGB `b 3 h w` in [0, 1] -> logits `b 1 h w` of the main object: what a trained segmenter knows."""

    def __init__(self, network: UniStyleNetwork):
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        return to_size(self.network.main_logit(self.network.find(image)[1]), image.shape[-2:])


def write_missing_masks(
    network: UniStyleNetwork,
    photos: Sequence[LabelledPhoto],
    materials: Sequence[str],
    masks: Path,
    device: torch.device,
) -> None:
    """Have the saliency teacher write the masks that are missing: `combined` maps of a classifier on the network's own
    encoder and its foreground. A single material has nothing to be distinct from, so that its mask is the foreground.

    network: on the CPU, on which the classifier is trained; it is moved to the device with the teacher.
    """
    missing = [photo for photo in photos if photo.mask and not photo.mask.is_file()]
    if not missing:
        return
    if len(materials) > 1:
        with tqdm(total=len(photos), desc="classifier") as bar:
            classifier, _ = train_classifier(network.encoder, materials, photos, (), lambda *_: bar.update())
    else:
        classifier = MaterialClassifier(network.encoder, materials)
    teacher = SaliencyTeacher(classifier, Foreground(network)).to(device)
    with tqdm(total=len(missing), desc="masks") as bar:
        method = "combined" if len(materials) > 1 else "objects"
        write_masks(teacher, missing, masks, method, lambda *_: bar.update())
