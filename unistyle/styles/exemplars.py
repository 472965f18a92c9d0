"""Exemplars of new styles, from folders of photos: found, read, checked, encoded, and the ones that stand for the rest.

A folder a style with photos inside, or photos alone, whose style is then named after the folder. Beside a photo
`STEM.jpg` a mask `STEM.mask.png` (white = the material) may say where the style is; otherwise the network finds it.
"""

import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.cluster.vq import kmeans2, whiten
from torch import Tensor

from unistyle.data.labelled import LabelledPhoto
from unistyle.data.views import fit
from unistyle.devices import cores
from unistyle.errors import ImageError, StyleError
from unistyle.files.folders import SUFFIXES, list_images
from unistyle.files.photos import read_mask, read_photo
from unistyle.maths.resizing import resize_regions
from unistyle.network.model import SMALLEST, UniStyleNetwork
from unistyle.styles.bank import StyleBank
from unistyle.styles.codes import style_view
from unistyle.styles.names import check_style_name, exemplar_name

SMALLEST_SIDE = 64  # pixels of a style photo's short side: a few periods of a texture and their variety
COVERED = 0.02  # share of the photo that a mask must cover
SHOWN = 0.2  # share of the frame that a material must cover for the photo to be an exemplar of it
TYPICAL = 0.75  # share of a folder's photos that may be exemplars: the ones nearest to its median


@dataclass(frozen=True)
class Exemplar:
    """A style photo as the network reads it: image `1 3 h w` in [0, 1], region `1 1 h w`, code `d`; on the CPU."""

    style: str
    path: Path
    image: Tensor
    region: Tensor
    code: Tensor


def style_folders(folder: str | Path) -> dict[str, list[Path]]:
    """Style -> its photos: one style a folder inside `folder`, or one named after `folder` where the photos lie in it.
    Raises StyleError where there is none, and for a name that no style can have."""
    root = Path(folder)
    if not root.is_dir():
        raise StyleError(f"no folder {root}; give one with a folder a style, photos inside")
    styles: dict[str, list[Path]] = {}
    for path in list_images(root):
        if path.stem.endswith(".mask"):
            continue
        inside = path.relative_to(root).parts
        styles.setdefault(inside[0] if len(inside) > 1 else "", []).append(path)
    if not styles:
        raise StyleError(f"{root} holds no photos; give a folder with a folder a style, photos inside")
    unread = [
        p.name for p in sorted(root.iterdir()) if p.is_dir() and p.name[0] != "." and p.name not in styles
    ]
    if unread:
        raise StyleError(
            f"no photos that can be read in {', '.join(str(root / name) for name in unread)}: put photos there ("
            f"{', '.join(sorted(SUFFIXES))}), or take the folder away"
        )
    if loose := styles.pop("", []):
        if styles:
            raise StyleError(
                f"{root} holds photos ({loose[0].name}) beside folders ({', '.join(styles)}): move the photos into a "
                "folder of their own, named as the style is to be called"
            )
        styles = {root.resolve().name: loose}
    for name in styles:
        try:
            check_style_name(name)
            name.encode()
        except ValueError as error:  # a UnicodeError is one too
            reason = "its name is not UTF-8; rename it" if isinstance(error, UnicodeError) else error
            raise StyleError(f"{root if loose else root / name}: {reason}") from error
    return styles


def own_mask(path: Path) -> Path | None:
    """The mask beside a photo, if there is one."""
    mask = path.with_name(f"{path.stem}.mask.png")
    # By `os.path`: a `Path` would raise where the name, longer than the photo's, is too long for a file.
    return mask if os.path.isfile(mask) else None


@torch.no_grad()
def read_exemplar(network: UniStyleNetwork, style: str, path: Path, whole: bool = False) -> Exemplar:
    """A style photo with its region and code. whole: the region is the photo, whatever the network finds in it.
    Raises ImageError for a photo or mask that cannot be used."""
    photo, mask = read_photo(path), None
    if min(photo.size) < SMALLEST_SIDE:
        size = "x".join(map(str, photo.size))
        raise ImageError(f"{path}: {size} pixels; wanted {SMALLEST_SIDE} a side or more to show a texture")
    if beside := own_mask(path):
        mask = read_mask(beside)
        if mask.size != photo.size:
            raise ImageError(f"{beside}: size {mask.size} for a photo of {photo.size}; wanted the same")
    image, region = style_view(photo, mask)
    if min(image.shape[-2:]) < SMALLEST:
        seen = "x".join(map(str, reversed(image.shape[-2:])))
        raise ImageError(f"{path}: too long and thin, it is read at {seen} pixels; cut it to 8:1 or less")
    if region is None and whole:
        region = torch.ones_like(image[:, :1])
    device = next(network.parameters()).device
    image = image.to(device)
    if region is None:
        features, logits = network.find(image)
        region = network.style_region(logits)
    elif region.mean() < COVERED:
        raise ImageError(
            f"{path}: its mask or what is opaque covers {100 * region.mean():.1f} % of it; wanted 2 % or more"
        )
    else:
        features = network.encoder(image)
    code = network.stylizer.encode(features, region.to(device))[0, 0].float()
    region = resize_regions(region.float(), image.shape[-2:])
    return Exemplar(style, path, image.cpu(), region.cpu(), code.cpu())


def read_exemplars(
    network: UniStyleNetwork,
    styles: dict[str, list[Path]],
    whole: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[dict[str, list[Exemplar]], list[str]]:
    """The usable photos of each style, and a message for each other one. Raises StyleError, which has these messages,
    where a style has no usable photo: nothing is added by half."""
    asked = [(style, path) for style, paths in styles.items() for path in paths]

    def read(style: str, path: Path) -> Exemplar | str:
        try:
            return read_exemplar(network, style, path, whole)
        except ImageError as error:
            return str(error)

    found: dict[str, list[Exemplar]] = {style: [] for style in styles}
    problems = []
    # A single photo too has a thread to itself: several would give it a code that differs in the last bits from the
    # one that it has among others, and to the bank it would be another style.
    with ThreadPoolExecutor(cores(), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for index, answer in enumerate(pool.map(read, *zip(*asked, strict=True))):
            if isinstance(answer, str):
                problems.append(answer)
            else:
                found[answer.style].append(answer)
            if progress:
                progress(index + 1, len(asked))
    if empty := [style for style, exemplars in found.items() if not exemplars]:
        reasons = "".join(f"\n  {problem}" for problem in problems)
        raise StyleError(
            f"no usable photo for {', '.join(empty)}; give one at least, better twenty:{reasons}"
        )
    return found, problems


def choose(exemplars: Sequence[Exemplar], count: int, moments: int, seed: int = 0) -> list[Exemplar]:
    """`count` photos of one style that stand for its variety, by the first `moments` numbers of their codes: among
    the three quarters nearest to the median, because a folder often holds a photo or two of something else. All, if
    there are no more."""
    if len(exemplars) <= count:
        return list(exemplars)
    points = _scaled(np.stack([e.code[:moments].double().numpy() for e in exemplars]))
    distance = ((points - np.median(points, axis=0)) ** 2).sum(1)
    typical = distance.argsort(kind="stable")[: max(count, round(TYPICAL * len(points)))]
    return [exemplars[typical[i]] for i in medoids(points[typical], count, seed)]


def pick(network: UniStyleNetwork, found: dict[str, list[Exemplar]], count: int) -> list[Exemplar]:
    """The exemplars of every style, `count` of each."""
    moments = network.stylizer.code_sizes[0]
    return [e for exemplars in found.values() for e in choose(exemplars, count, moments)]


def _scaled(points: np.ndarray) -> np.ndarray:
    """Points `n d` with every column at mean 0 and standard deviation 1; a constant one is 0."""
    return (points - points.mean(0)) / np.maximum(points.std(0), 1e-6)


def medoids(points: np.ndarray, count: int, seed: int = 0) -> list[int]:
    """Rows of `points` (n d) that are nearest to the centres of k-means; `count`, or fewer where rows are equal or
    one is nearest to two centres."""
    count = min(count, len(np.unique(points, axis=0)))  # which k-means++ takes for granted
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "One of the clusters is empty")  # its centre stays where it was
        centres, _ = kmeans2(points, count, minit="++", seed=np.random.default_rng(seed))
    return list({int(((points - centre) ** 2).sum(1).argmin()): None for centre in centres})


def bank_of(exemplars: Sequence[Exemplar]) -> StyleBank:
    """A bank of the exemplars, each named after its file; a name that is taken gets a number."""
    names: dict[tuple[str, str], None] = {}
    for e in exemplars:
        stem, number = exemplar_name(e.path.stem.encode(errors="replace").decode()), 1
        while (e.style, name := stem if number == 1 else f"{stem}-{number}") in names:
            number += 1
        names[e.style, name] = None
    return StyleBank(tuple(names), torch.stack([e.code for e in exemplars]))


@torch.inference_mode()
def choose_exemplars(
    network: UniStyleNetwork,
    photos: Sequence[LabelledPhoto],
    count: int,
    size: tuple[int, int],
    seed: int = 0,
) -> list[LabelledPhoto]:
    """`count` photos of one material that stand for its variety: the photos nearest to the centres of k-means over
    the moments of their style codes, among the quarter that the segmenter is surest of. All, if there are no more.

    Where it is not sure, stone under a rainbow or a painted fence, nobody would see the material in the style either:
    an independent classifier names the restyled region as its new material twice as often as with six exemplars
    taken from the half nearest to the median code (docs/trials.md).
    """
    regions = [(photo, *fit(photo, size)) for photo in photos]
    large = [entry for entry in regions if entry[2].mean() >= SHOWN] or regions
    if len(large) <= count:
        return [photo for photo, _, _ in large]
    described = [_describe(network, image[None], mask[None], photo.label) for photo, image, mask in large]
    moments, sureness = (np.stack(part) for part in zip(*described, strict=True))
    points = whiten(moments + 1e-6 * np.arange(len(moments))[:, None])  # no column is constant
    sure = (-sureness).argsort(kind="stable")[: max(count, len(points) // 4)]
    return [large[sure[i]][0] for i in medoids(points[sure], count, seed)]


def _describe(
    network: UniStyleNetwork, image: Tensor, region: Tensor, label: int
) -> tuple[np.ndarray, float]:
    """Moments `d` of the style inside the region, and the mean probability there of the material `label`."""
    features, logits = network.find(image)
    code = network.stylizer.encode(features, region)[0, 0, : network.stylizer.code_sizes[0]]
    share = resize_regions(region, logits.shape[-2:])[0, 0]
    probability = logits[0, 1:].softmax(0)[label]
    sureness = (probability * share).sum() / share.sum().clamp_min(1e-6)
    return code.double().numpy(), sureness.item()
