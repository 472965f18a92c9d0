"""Style codes: from a style photo, or by name from the bank that a checkpoint holds."""

import hashlib

import torch
from PIL import Image
from torch import Tensor

from unistyle.files.photos import Photo, photo_from_pil
from unistyle.files.tensors import to_tensor
from unistyle.maths.features import moment_distance
from unistyle.maths.resizing import fit
from unistyle.network.model import UniStyleNetwork
from unistyle.network.stylizer import split_code

STYLE_SIZE = 256  # pixels of the longest side at which a style photo is read: as in training


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
