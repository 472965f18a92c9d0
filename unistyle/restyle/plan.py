"""What becomes what, settled once for any number of photos."""

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor

from unistyle.errors import UnknownNameError
from unistyle.files.folders import there
from unistyle.files.places import Place, place
from unistyle.network.model import UniStyleNetwork
from unistyle.restyle.stack import WANTED, AnyPhoto, as_photo
from unistyle.styles.bank import StyleBank
from unistyle.styles.codes import nearest
from unistyle.styles.mixing import mix, split_mix
from unistyle.styles.names import meant
from unistyle.styles.samples import swatch_of
from unistyle.styles.swatches import Swatches, together

REST = "*"  # in a mapping: every material that it does not name, as far as the main object is made of it


class Target(NamedTuple):
    """One region, and the styles that it may get."""

    key: str
    """The material, or REST."""

    places: tuple[int, ...]
    """Which of `UniStyleNetwork.places` are in the region."""

    names: tuple[str, ...]
    """The candidate styles, in words."""

    swatches: Swatches
    """The candidate styles."""

    @property
    def codes(self) -> Tensor:
        """The codes `n d` of the candidate styles."""
        return self.swatches.codes


class Plan(tuple[Target, ...]):
    """What becomes what, resolved once and good for any number of photos."""


class Planner:
    """Makes plans: it looks up the names of styles and makes swatches of style photos."""

    def __init__(
        self,
        network: UniStyleNetwork,
        bank: StyleBank,
        precision: Callable[[], AbstractContextManager] = nullcontext,
    ):
        """precision: makes the context in which the network runs."""
        self.network, self.bank, self.precision = network, bank, precision

    def plan(self, to: object, everywhere: bool = False) -> Plan:
        """Resolve `to`, as `UniStyle.restyle` describes it. A Plan is returned as it is.

        Raises UnknownNameError for a style or a material that is not known, ImageError for an unusable style photo,
        ValueError for an empty mapping, a mix with an unusable weight, or something that cannot be a style.
        """
        if isinstance(to, Plan):
            return to
        mapping = dict(to) if isinstance(to, Mapping) else {REST: to}
        if not mapping:
            raise ValueError("an empty mapping restyles nothing; give at least one material and its style")
        materials = self.network.config.materials
        mapping = {
            key if key == REST else meant(str(key), materials) or key: style for key, style in mapping.items()
        }
        if unknown := [key for key in mapping if key != REST and key not in materials]:
            raise UnknownNameError("material", str(unknown[0]), materials)
        count = len(materials)  # of the places of the main object, which come first, and of those elsewhere
        rest = [i for i, name in enumerate(materials) if name not in mapping]

        def places(key: str) -> tuple[int, ...]:
            rows = rest if key == REST else [materials.index(key)]
            return (*rows, *(count + row for row in rows if key != REST or everywhere))

        return Plan(Target(key, places(key), *self._style(style)) for key, style in mapping.items())

    @torch.inference_mode()
    def _style(self, style: object) -> tuple[tuple[str, ...], Swatches]:
        """Names and swatches that a style may stand for."""
        if isinstance(style, str):
            return self._named(style)
        if not isinstance(style, AnyPhoto):
            raise ValueError(
                f"a style is a name of the bank, a mix or a photo; got {type(style).__name__} ({WANTED})"
            )
        return self._encoded(style, str(style) if isinstance(style, os.PathLike | Place) else "photo")

    def _named(self, style: str) -> tuple[tuple[str, ...], Swatches]:
        if not self.bank.rows(style):
            # Before any address is looked up, because a part of a mix may be one. A mix may also be too long for the
            # name of a file, for which `Path.is_file` raises.
            if not os.path.isfile(style) and (parts := split_mix(style)):  # noqa: PTH113
                return mix([self._named(part) for part, _ in parts], [weight for _, weight in parts])
            # An address is a photo and never a name, and reading it says best what is wrong with it.
            if "://" in style or os.path.isfile(there(Path(style))):  # noqa: PTH113
                return self._encoded(place(style), style)
            if meant(style, self.bank.styles) is None and os.path.isdir(style):  # noqa: PTH112
                raise ValueError(
                    f"style {style!r} is a folder; give the path of one photo in it, or add it to a checkpoint "
                    f"of your own with unistyle bank add --styles {style}"
                )
        hint = " A mix is STYLE:WEIGHT,STYLE:WEIGHT." * ("," in style)
        rows = self.bank.find(style, f"{hint} A style photo is given as the path of an existing file.")
        return tuple("/".join(self.bank.names[row]) for row in rows), self.bank.swatches[rows]

    def _encoded(self, photo: AnyPhoto, name: str) -> tuple[tuple[str, ...], Swatches]:
        with self.precision():
            return (name,), swatch_of(self.network, as_photo(photo))


def choose(own: Tensor, plan: Plan, levels: tuple[int, ...]) -> tuple[Swatches, list[list[int]]]:
    """The candidates of each target that are nearest to the photo's own codes.

    own: `b k d`; levels: the channels of each level of a code. Returns swatches `b k` and, for each photo, the row of
    the chosen candidate of each target.
    """
    swatches, chosen = [], []
    for k, target in enumerate(plan):
        row = nearest(own[:, k], target.codes.to(own.device), levels)
        swatches.append(target.swatches[row.cpu()].each(lambda x: x.to(own.device)))
        chosen.append(row)
    return together(swatches, lambda each: torch.stack(each, dim=1)), rearrange(
        torch.stack(chosen), "k b -> b k"
    ).tolist()
