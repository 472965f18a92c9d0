"""Style codes: from a style photo, or by name from the bank that a checkpoint holds."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from unistyle.features import moment_distance
from unistyle.images import Photo, photo_from_pil, to_tensor
from unistyle.network.stylizer import split_code
from unistyle.network.unistyle import UniStyleNetwork

STYLE_SIZE = 256  # pixels of the longest side at which a style photo is read: as in training


class UnknownName(ValueError):
    """A style or a material that the checkpoint does not know."""

    def __init__(self, kind: str, got: str, known: Iterable[str], hint: str = ""):
        known = sorted(known)
        close = difflib.get_close_matches(got, known, n=1)
        guess = f" Did you mean {close[0]!r}?" if close else ""
        super().__init__(
            f"unknown {kind} {got!r}.{guess} This checkpoint knows: {', '.join(known) or 'none'}.{hint}"
        )


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

    def find(self, name: str) -> list[int]:
        """As `rows`, but an unknown name raises UnknownName, which lists the known ones."""
        rows = self.rows(name)
        if not rows:
            exemplars = [f"{style}/{exemplar}" for style, exemplar in self.names]
            known = exemplars if name.partition("/")[0] in self.styles else self.styles
            raise UnknownName(
                "style", name, known, " A style photo is given as the path of an existing file."
            )
        return rows


def nearest(own: Tensor, codes: Tensor, levels: tuple[int, ...]) -> Tensor:
    """For each code of `own` (... d) the index of the nearest of `codes` (n d); `...`.

    The distance is `moment_distance` at the deepest of the `levels` (channels a level of the flat code): the exemplar
    whose statistics are already closest to the photo's own there asks for the smallest change, so the photo's
    structure survives best and texture comes at the scale that the photo has. The levels above would choose
    by colour.
    """
    mine, theirs = (split_code(code.float(), levels)[-1] for code in (own.unsqueeze(-2), codes))
    return moment_distance(mine, theirs).argmin(-1)


@torch.inference_mode()
def encode_photo(
    network: UniStyleNetwork, photo: Photo | Image.Image, mask: Image.Image | None = None
) -> Tensor:
    """The code `d` (fp32, on the CPU) of a style photo, by default inside the region that the segmenter
    finds.

    mask: the style's region, of the photo's size. A photo with transparency is a cut-out, and what is opaque
    is its region. Encoded at STYLE_SIZE at most.
    """
    photo = photo if isinstance(photo, Photo) else photo_from_pil(photo)
    mask = mask if mask is not None else photo.opacity
    if mask is not None and mask.size != photo.size:
        raise ValueError(
            f"style mask of size {mask.size} for a style photo of size {photo.size}; wanted the same"
        )
    device = next(network.parameters()).device
    image, region = (
        None if x is None else fit(to_tensor(x)[None].to(device), STYLE_SIZE) for x in (photo.rgb, mask)
    )
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
