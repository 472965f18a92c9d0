"""From trained weights to a checkpoint: the calibrated threshold and the style bank."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from einops import repeat
from scipy.cluster.vq import whiten
from torch import Tensor
from tqdm import tqdm

from unistyle.checkpoint.checkpoint import Checkpoint
from unistyle.data.labelled import LabelledPhoto
from unistyle.data.views import fit
from unistyle.files.photos import read_image, read_mask
from unistyle.files.tensors import as_float
from unistyle.maths.masks import best_threshold
from unistyle.maths.resizing import to_size
from unistyle.network.encoder import Encoder
from unistyle.network.laying import Samples
from unistyle.network.model import UniStyleNetwork
from unistyle.styles.bank import StyleBank
from unistyle.styles.choice import choose, pick
from unistyle.styles.exemplars import bank_of, exemplar_names, read_exemplars
from unistyle.styles.samples import read_style, swatch
from unistyle.styles.swatches import Swatches, together
from unistyle.teachers.classifier import train_classifier
from unistyle.training.preparation import Run
from unistyle.training.targets.recognition import Seen
from unistyle.training.targets.samples import style_samples

SHOWN = 0.2  # share of the frame that a material must cover for the photo to be an exemplar of it
EIGHTH = 8  # of the photos of a material, one in so many may be an exemplar
CONTENTS = 4  # photos that each is tried on
Judge = Callable[[Tensor, Tensor], Tensor]  # pictures `b 3 h w` and regions `b 1 h w` -> `b m`
Sample = Callable[[LabelledPhoto], Tensor | None]  # as of StyleSamples


@torch.inference_mode()
def foreground(network: UniStyleNetwork, image: Tensor) -> Tensor:
    """Probability `h w` that each pixel of a photo `3 h w` belongs to the main object, on the CPU."""
    logits = network.find(image[None].to(_device(network)))[1]
    return to_size(network.main_odds(logits), image.shape[-2:])[0, 0].sigmoid().cpu()


def _device(network: UniStyleNetwork) -> torch.device:
    return next(network.parameters()).device


def calibrate(
    network: UniStyleNetwork, photos: Sequence[LabelledPhoto], size: tuple[int, int]
) -> tuple[float, float]:
    """The threshold on the main object's probability with the highest mean IU on annotated photos, seen at
    (height, width), and that mean IU."""
    pairs = [(image, mask[0] > 0.5) for image, mask in (fit(photo, size) for photo in photos)]
    return best_threshold(*zip(*((foreground(network, image), mask) for image, mask in pairs), strict=True))


@torch.inference_mode()
def shown_photos(
    network: UniStyleNetwork,
    photos: Sequence[LabelledPhoto],
    count: int,
    contents: tuple[Tensor, Tensor],
    judge: Judge,
    label: int,
    sample: Sample,
    seed: int = 0,
) -> tuple[list[LabelledPhoto], list[Swatches]]:
    """`count` photos of a material (a row of the vocabulary, `label`) that stand for its variety, by the moments of
    their style codes, and their swatches.

    Eligible is the eighth in whose results the material shows best. What a photo shows says little about that: the
    segmenter is no surer of those that work than of the others (docs/trials.md).

    contents: pictures `n 3 h w` and the regions `n 1 h w` of them that are restyled. judge: see `two_judges`. sample:
    of a style photo.
    """
    swatches = [_swatch(network, photo, sample) for photo in tqdm(photos, desc="exemplars")]
    if len(photos) <= count:
        return list(photos), swatches
    regions = contents[1]
    answers = [judge(_restyled(network, each, *contents), regions) for each in tqdm(swatches, desc="tried")]
    shown = [answer[:, label].mean().item() for answer in answers]
    moments = [each.codes[0, : network.stylizer.code_sizes[0]].double().numpy() for each in swatches]
    points = whiten(np.stack(moments) + 1e-6 * np.arange(len(photos))[:, None])  # no column is constant
    best = (-np.array(shown)).argsort(kind="stable")[: max(count, len(photos) // EIGHTH)]
    rows = choose(points, best, count, seed)
    return [photos[row] for row in rows], [swatches[row] for row in rows]


def _restyled(network: UniStyleNetwork, style: Swatches, images: Tensor, regions: Tensor) -> Tensor:
    """Regions of pictures in a style, `n 3 h w`."""
    device = _device(network)
    codes, tiles, structure = (
        repeat(part.to(device), "1 ... -> n 1 ...", n=len(images))
        for part in (style.codes, as_float(style.tiles), style.structure)
    )
    samples = Samples(tiles, structure)
    return network(images.to(device), codes, regions.to(device), samples=samples).image


def other_photos(photos: Sequence[LabelledPhoto], label: int, seed: int = 0) -> list[LabelledPhoto]:
    """CONTENTS photos of other materials to try the styles of a material on, of as many materials as there are."""
    rng = np.random.default_rng([seed, label])
    others = rng.permutation(sorted({photo.label for photo in photos} - {label})).tolist()
    groups = [[photo for photo in photos if photo.label == other] for other in others]
    drawn = [[group[row] for row in rng.permutation(len(group))[:CONTENTS]] for group in groups]
    turns = [group[turn] for turn in range(CONTENTS) for group in drawn if turn < len(group)]
    return turns[:CONTENTS]


def build_bank(network: UniStyleNetwork, run: Run) -> StyleBank:
    """Exemplars of every material, from the photos of the training and the teacher's masks."""
    photos, config = run.photos.own, run.config
    size, seed, sample = config.data.style_size, config.seed, style_samples(config.data).of
    judge = two_judges(run, network.config.materials)
    names, swatches = [], []
    for label, name in enumerate(network.config.materials):
        own = [photo for photo in photos if photo.label == label]
        large = [photo for photo in own if fit(photo, size)[1].mean() >= SHOWN] or own
        tried = [fit(photo, size) for photo in other_photos(photos, label, seed)]
        images, regions = (torch.stack(part) for part in zip(*tried, strict=True))
        chosen, found = shown_photos(
            network, large, config.exemplars, (images, regions), judge, label, sample, seed
        )
        names += [(name, photo.path) for photo in chosen]
        swatches += found
    return StyleBank.of(exemplar_names(names), together(swatches))


def two_judges(run: Run, materials: Sequence[str]) -> Judge:
    """What regions of pictures show: logarithms `b m` of the probabilities of the materials, the mean of what two say.
    One is the teacher that results were trained to please; the other was never asked about materials. By itself, either
    takes nearly any result for some material."""
    device = next(run.vgg.parameters()).device
    teacher = run.teachers.material.eval()
    encoder = Encoder(run.config.teachers.recogniser)
    classifier, _ = train_classifier(encoder.to(device), materials, run.photos.own, [])

    def judge(images: Tensor, regions: Tensor) -> Tensor:
        images, regions = images.to(device), regions.to(device)
        taught = torch.stack(teacher(Seen(run.vgg, images), regions)).log_softmax(-1).mean(0)
        return (taught + classifier(images, regions).log_softmax(-1)).cpu() / 2

    return judge


def _swatch(network: UniStyleNetwork, photo: LabelledPhoto, sample: Sample) -> Swatches:
    """The swatch of a photo in its mask, from their files; a mask may have been kept smaller than its photo. The sample
    is the one that was laid in training, because it takes longer to make than all else here."""
    image = read_image(photo.path)
    mask = read_mask(photo.mask).resize(image.size) if photo.mask else None
    return swatch(read_style(network, image, mask)[0], sample(photo))


def release(network: UniStyleNetwork, run: Run) -> Checkpoint:
    """The finished checkpoint of a run, of its weights: the bank built from the photos of the materials, and the
    threshold calibrated on annotated photos, where there are any."""
    config, annotated = run.config, run.photos.annotated
    network.eval()
    notes: dict = {"steps": config.optimizer.steps} | ({"terms": config.terms} if config.terms else {})
    if annotated:
        threshold, score = calibrate(network, annotated, config.data.photo_sizes[-1])
        network.config = replace(network.config, threshold=threshold)
        notes |= {"calibration mean IU": round(score, 4)}
    bank = build_bank(network, run)
    return Checkpoint(network.cpu(), bank, notes)


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
