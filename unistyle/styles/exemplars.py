"""Exemplars of new styles, from folders of photos: found, read, checked, encoded and named.

A folder has one folder per style with photos inside, or photos alone, whose style is then named after the folder.
Beside a photo `STEM.jpg` a mask `STEM.mask.png` (white = the material; other formats too) may say where the style is;
otherwise the network finds it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from unistyle.devices import cores, one_core_each
from unistyle.errors import ImageError, StyleError
from unistyle.files.folders import MASK, SUFFIXES, folders_in, list_images, own_mask, same
from unistyle.files.masks import usable_mask
from unistyle.files.photos import read_photo
from unistyle.maths.resizing import resize_regions
from unistyle.network.model import SMALLEST, UniStyleNetwork
from unistyle.styles.bank import StyleBank
from unistyle.styles.codes import style_view
from unistyle.styles.names import check_style_name, exemplar_name
from unistyle.styles.samples import sample_of, swatch
from unistyle.styles.swatches import Swatches, together

SMALLEST_SIDE = 64  # pixels of a style photo's short side: a few periods of a texture and their variety
COVERED = 0.02  # share of the photo that a mask must cover


@dataclass(frozen=True)
class Exemplar:
    """A style photo as the network reads it; tensors on the CPU."""

    style: str
    """The name of its style."""
    path: Path
    """Its file."""
    image: Tensor
    """`1 3 h w` in [0, 1]."""
    region: Tensor
    """Where the style is: `1 1 h w` in [0, 1]."""
    code: Tensor
    """Its style code `d`."""

    @property
    def swatch(self) -> Swatches:
        """Its one swatch; the sample is made anew each time."""
        return swatch(self.code[None], sample_of(self.image, self.region))


def style_folders(folder: str | Path) -> dict[str, list[Path]]:
    """Style -> its photos: one style for each folder inside `folder`, or a single one, named after `folder`, where the
    photos lie in it. Raises StyleError where there is no style, and for a name that no style can have."""
    root = Path(folder)
    styles = _found(root)
    _refuse_unread(root, styles)
    loose = styles.pop("", [])
    _refuse_mixed(root, loose, styles)
    if loose:
        styles = {same(root.resolve().name): loose}
    for name in styles:
        _refuse_name(name, root if loose else root / name)
    return styles


def _found(root: Path) -> dict[str, list[Path]]:
    """The photos by the folder of the first level that they are in; those in none are under the empty name."""
    if not root.is_dir():
        raise StyleError(f"no folder {root}; give one with one folder per style, photos inside")
    styles: dict[str, list[Path]] = {}
    for path in list_images(root):
        if not path.stem.endswith(MASK):
            inside = path.relative_to(root).parts
            styles.setdefault(same(inside[0]) if len(inside) > 1 else "", []).append(path)
    if not styles:
        raise StyleError(f"{root} holds no photos; give a folder with one folder per style, photos inside")
    return styles


def _refuse_unread(root: Path, styles: dict[str, list[Path]]) -> None:
    """A folder without a photo is a mistake: nobody makes one to have no style."""
    if unread := [str(path) for path in folders_in(root) if same(path.name) not in styles]:
        raise StyleError(
            f"no photos that can be read in {', '.join(unread)}: put photos there ({', '.join(sorted(SUFFIXES))}), or "
            "take the folder away"
        )


def _refuse_mixed(root: Path, loose: list[Path], styles: dict[str, list[Path]]) -> None:
    """Photos beside folders: nobody can say which style they are of."""
    if loose and styles:
        raise StyleError(
            f"{root} holds photos ({loose[0].name}) beside folders ({', '.join(styles)}): move the photos into a "
            "folder of their own, named as the style is to be called"
        )


def _refuse_name(name: str, path: Path) -> None:
    """A name that no style can have; path: the folder that has it."""
    try:
        check_style_name(name)
        name.encode()
    except ValueError as error:  # a UnicodeError is one too
        reason = "its name is not UTF-8; rename it" if isinstance(error, UnicodeError) else error
        raise StyleError(f"{path}: {reason}") from error


@torch.no_grad()
def read_exemplar(network: UniStyleNetwork, style: str, path: Path, whole: bool = False) -> Exemplar:
    """A style photo with its region and code. whole: the region is the photo, whatever the network finds in it.
    Raises ImageError for a photo or mask that cannot be used."""
    image, region = _seen(path)
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


def _seen(path: Path) -> tuple[Tensor, Tensor | None]:
    """A style photo `1 3 h w` as the network reads it, and its region `1 1 h w`; None where it is to be found."""
    photo, mask = read_photo(path), None
    if min(photo.size) < SMALLEST_SIDE:
        size = "x".join(map(str, photo.size))
        raise ImageError(
            f"{path}: {size} pixels; wanted {SMALLEST_SIDE} or more on each side, to show a texture"
        )
    if beside := own_mask(path):
        mask = usable_mask(beside)
        if mask.size != photo.size:
            raise ImageError(f"{beside}: size {mask.size} for a photo of {photo.size}; wanted the same")
    image, region = style_view(photo, mask)
    if min(image.shape[-2:]) < SMALLEST:
        seen = "x".join(map(str, reversed(image.shape[-2:])))
        raise ImageError(f"{path}: too long and thin, it is read at {seen} pixels; cut it to 8:1 or less")
    return image, region


def read_exemplars(
    network: UniStyleNetwork,
    styles: dict[str, list[Path]],
    whole: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[dict[str, list[Exemplar]], list[str]]:
    """The usable photos of each style, and a message for each of the others.

    progress: called with how many photos are read, and of how many. Raises StyleError, which has these messages, where
    a style has no usable photo, so that nothing is added by half.
    """
    found: dict[str, list[Exemplar]] = {style: [] for style in styles}
    problems = []
    count = sum(map(len, styles.values()))
    for index, answer in enumerate(_read_all(network, styles, whole)):
        if isinstance(answer, str):
            problems.append(answer)
        else:
            found[answer.style].append(answer)
        if progress:
            progress(index + 1, count)
    _refuse_empty(found, problems)
    return found, problems


def _read_all(
    network: UniStyleNetwork, styles: dict[str, list[Path]], whole: bool
) -> Iterator[Exemplar | str]:
    """The exemplar of each photo, or why there is none, in their order and as soon as each is read."""

    def read(style: str, path: Path) -> Exemplar | str:
        try:
            return read_exemplar(network, style, path, whole)
        except ImageError as error:
            return str(error)

    asked = [(style, path) for style, paths in styles.items() for path in paths]
    # A single photo too has a thread to itself: several would give it a code that differs in the last bits from the
    # one that it has among others, and to the bank it would be another style.
    with one_core_each(cores()) as pool:
        yield from pool.map(read, *zip(*asked, strict=True))


def _refuse_empty(found: dict[str, list[Exemplar]], problems: list[str]) -> None:
    if empty := [style for style, exemplars in found.items() if not exemplars]:
        reasons = "".join(f"\n  {problem}" for problem in problems)
        raise StyleError(
            f"no usable photo for {', '.join(empty)}; give at least one, better twenty:{reasons}"
        )


def exemplar_names(photos: Sequence[tuple[str, Path]]) -> tuple[tuple[str, str], ...]:
    """The name (style, exemplar) of each photo (style, path), after its file. A name that is taken gets a
    number."""
    names: dict[tuple[str, str], None] = {}
    for style, path in photos:
        stem, number = exemplar_name(path.stem.encode(errors="replace").decode()), 1
        while (style, name := stem if number == 1 else f"{stem}-{number}") in names:
            number += 1
        names[style, name] = None
    return tuple(names)


def bank_of(exemplars: Sequence[Exemplar]) -> StyleBank:
    """A bank of the exemplars and their samples, named as in `exemplar_names`."""
    names = exemplar_names([(e.style, e.path) for e in exemplars])
    return StyleBank.of(names, together([e.swatch for e in exemplars]))
