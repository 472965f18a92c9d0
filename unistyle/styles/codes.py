"""Style codes: from a style photo, or by name from the bank that a checkpoint holds."""

import difflib
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from unistyle.files.photos import Photo, photo_from_pil, to_tensor
from unistyle.maths.features import moment_distance
from unistyle.network.model import UniStyleNetwork
from unistyle.network.stylizer import split_code

STYLE_SIZE = 256  # pixels of the longest side at which a style photo is read: as in training
# What a name must not hold: these mean something in `--to` and `--map`, or cannot be typed.
RESERVED = re.compile(r"[/:,=*\x00-\x1f\x7f-\x9f]")


class UnknownName(ValueError):
    """A style or a material that the checkpoint does not know."""

    def __init__(self, kind: str, got: str, known: Iterable[str], hint: str = ""):
        known = sorted(known)
        close = difflib.get_close_matches(got, known, n=1)
        guess = f" Did you mean {close[0]!r}?" if close else ""
        super().__init__(
            f"unknown {kind} {got!r}.{guess} This checkpoint knows: {', '.join(known) or 'none'}.{hint}"
        )


def check_style_name(name: str) -> None:
    """Raises ValueError, which says why, for a name that a new style cannot have."""
    if not name or name != name.strip():
        reason = "it is empty" if not name.strip() else "it starts or ends with a space"
    elif found := RESERVED.search(name):
        reason = f"{found[0]!r} means something else in --to and --map, or cannot be typed"
    elif name in (".", ".."):
        reason = "it is a folder's"
    else:
        return
    raise ValueError(f"{name!r} cannot be the name of a style: {reason}; wanted a name such as 'old brick'")


def exemplar_name(stem: str) -> str:
    """The name of the exemplar that a photo `stem.jpg` becomes: what a name cannot hold is replaced by `-`."""
    return RESERVED.sub("-", stem).strip() or "photo"


@dataclass(frozen=True)
class StyleBank:
    """Named style codes, several exemplars a style.

    names: a (style, exemplar) pair a row, all different; codes: `n d` on the CPU, fp32.
    """

    names: tuple[tuple[str, str], ...]
    codes: Tensor

    def __post_init__(self):
        if self.codes.ndim != 2 or len(self.codes) != len(self.names):
            raise ValueError(
                f"{len(self.names)} names for codes of shape {tuple(self.codes.shape)}; wanted one a row"
            )
        if len(set(self.names)) < len(self.names):
            raise ValueError("two exemplars of the bank have the same name; give each its own")

    @classmethod
    def build(
        cls, network: UniStyleNetwork, exemplars: Iterable[tuple[str, str, Image.Image, Image.Image | None]]
    ) -> "StyleBank":
        """The bank of (style, exemplar name, photo, mask or None) entries, encoded by a network."""
        names, codes = [], [torch.empty(0, network.stylizer.code_size)]
        for style, exemplar, photo, mask in exemplars:
            names.append((style, exemplar))
            codes.append(encode_photo(network, photo, mask)[None])
        return cls(tuple(names), torch.cat(codes))

    @property
    def styles(self) -> list[str]:
        """The names of the styles, in the bank's order."""
        return list(dict.fromkeys(style for style, _ in self.names))

    def rows(self, name: str) -> list[int]:
        """Rows of a style (`stone`), or the row of one exemplar of it (`stone/quarry`); none if it is
        unknown."""
        return [i for i, (style, exemplar) in enumerate(self.names) if name in (style, f"{style}/{exemplar}")]

    def find(self, name: str, hint: str = "") -> list[int]:
        """As `rows`, but an unknown name raises UnknownName, which lists the known ones and ends with a hint."""
        rows = self.rows(name)
        if not rows:
            exemplars = [f"{style}/{exemplar}" for style, exemplar in self.names]
            known = exemplars if name.partition("/")[0] in self.styles else self.styles
            raise UnknownName("style", name, known, hint)
        return rows

    def only(self, rows: Iterable[int]) -> "StyleBank":
        """The bank of some of the rows, in the order given."""
        rows = list(rows)
        return StyleBank(tuple(self.names[row] for row in rows), self.codes[rows])

    def without(self, *names: str) -> "StyleBank":
        """The bank less whole styles (`stone`) and single exemplars (`stone/quarry`). Raises UnknownName."""
        gone = {row for name in names for row in self.find(name)}
        return self.only(row for row in range(len(self.names)) if row not in gone)

    def renamed(self, old: str, new: str) -> "StyleBank":
        """The bank with another name for one style. Raises UnknownName for a style that it does not have, and
        ValueError for a name that a style cannot have, or that another one has."""
        if old not in self.styles:
            raise UnknownName("style", old, self.styles, " Styles are renamed, their exemplars are not.")
        check_style_name(new)
        if new in self.styles:
            raise ValueError(f"style {new!r} is in the bank already; choose another name, or remove it first")
        names = tuple((new if style == old else style, exemplar) for style, exemplar in self.names)
        return StyleBank(names, self.codes)

    def joined(self, other: "StyleBank", replace: bool = False) -> "StyleBank":
        """This bank and, after it, what another one has and it has not.

        Styles of one name are the same style if they have an exemplar in common, and equal codes for all that they
        have in common: of such a style only new exemplars join. Raises ValueError, which names them, for styles of one
        name that are not; and for codes of another length. replace: the other's take the place of all styles of
        their names.
        """
        if self.codes.shape[1] != other.codes.shape[1]:
            lengths = [bank.codes.shape[1] for bank in (other, self)]
            raise ValueError("style codes of {} numbers for a bank whose codes have {}".format(*lengths))
        differing = [style for style in other.styles if style in self.styles and self._differs(other, style)]
        if differing and not replace:
            raise ValueError(
                f"the bank has other styles of the name {', '.join(map(repr, differing))}; "
                "rename them (python -m unistyle.bank rename), or give --replace to lose the bank's own"
            )
        kept = self.without(*(style for style in other.styles if style in self.styles)) if replace else self
        new = other.only(row for row, name in enumerate(other.names) if name not in kept.names)
        return StyleBank(kept.names + new.names, torch.cat([kept.codes, new.codes]))

    def _differs(self, other: "StyleBank", style: str) -> bool:
        """Whether a style that both banks have is another one in each."""
        mine, theirs = (
            {bank.names[row]: bank.codes[row] for row in bank.rows(style)} for bank in (self, other)
        )
        common = mine.keys() & theirs.keys()
        return not common or any(not mine[name].equal(theirs[name]) for name in common)


def code_space(network: UniStyleNetwork) -> str:
    """12 hex digits that stand for what gives style codes their meaning: equal where the encoder and the stylizer's
    adapters and projections are, as fp16, in which checkpoints store them. The codes of one network mean nothing to
    a network of another code space."""
    digest = hashlib.sha256()
    for part in (network.encoder, network.stylizer.adapters, network.stylizer.projections):
        for name, value in part.state_dict().items():
            digest.update(f"{name} {tuple(value.shape)}".encode())
            digest.update(value.half().cpu().contiguous().numpy())
    return digest.hexdigest()[:12]


def nearest(own: Tensor, codes: Tensor, levels: tuple[int, ...]) -> Tensor:
    """For each code of `own` (... d) the index of the nearest of `codes` (n d); `...`.

    The distance is `moment_distance` at the deepest of the `levels` (channels a level of the flat code): the exemplar
    whose statistics are already closest to the photo's own there asks for the smallest change, so the photo's
    structure survives best and texture comes at the scale that the photo has. The levels above would choose
    by colour.
    """
    mine, theirs = (split_code(code.float(), levels)[-1] for code in (own.unsqueeze(-2), codes))
    return moment_distance(mine, theirs).argmin(-1)


def style_view(photo: Photo | Image.Image, mask: Image.Image | None = None) -> tuple[Tensor, Tensor | None]:
    """A style photo as the network reads it, `1 3 h w` with a longer side of STYLE_SIZE at most, and the style's
    region `1 1 h w`; None where it is to be found.

    mask: the style's region, of the photo's size. A photo with transparency is a cut-out, and what is opaque
    is its region.
    """
    photo = photo if isinstance(photo, Photo) else photo_from_pil(photo)
    mask = mask if mask is not None else photo.opacity
    if mask is not None and mask.size != photo.size:
        raise ValueError(
            f"style mask of size {mask.size} for a style photo of size {photo.size}; wanted the same"
        )
    image, region = (None if x is None else fit(to_tensor(x)[None], STYLE_SIZE) for x in (photo.rgb, mask))
    return image, region


@torch.inference_mode()
def encode_photo(
    network: UniStyleNetwork, photo: Photo | Image.Image, mask: Image.Image | None = None
) -> Tensor:
    """The code `d` (fp32, on the CPU) of a style photo, seen as in `style_view`, by default inside the region that
    the segmenter finds."""
    device = next(network.parameters()).device
    image, region = (x if x is None else x.to(device) for x in style_view(photo, mask))
    return network.encode_style(image, region)[0, 0].float().cpu().clone()


def fit(image: Tensor, longest: int | None) -> Tensor:
    """Shrink `b c h w`, float in [0, 1] or uint8, so that its longer side is at most `longest`; smaller
    images, and None, leave it as it is."""
    height, width = image.shape[-2:]
    if longest is None or max(height, width) <= longest:
        return image
    scale = longest / max(height, width)
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    small = F.interpolate(image, size=size, mode="bilinear", antialias=True)
    return small.clamp(0, 1) if small.is_floating_point() else small
