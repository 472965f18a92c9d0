"""Style codes: from a style photo, or by name from the bank that a checkpoint holds."""

from PIL import Image
from torch import Tensor

from unistyle.files.digest import digest, raw
from unistyle.files.photos import Photo, photo_from_pil
from unistyle.files.tensors import to_tensor
from unistyle.maths.features import moment_distance
from unistyle.maths.resizing import within
from unistyle.network.model import UniStyleNetwork
from unistyle.network.stylizer import split_code

STYLE_SIZE = 256  # pixels of the longest side at which a style photo is read: as in training


def code_space(network: UniStyleNetwork) -> str:
    """12 hex digits that stand for what gives style codes their meaning: equal where the encoder and the stylizer's
    adapters and projections are, as fp16, in which checkpoints store them. The codes of one network mean nothing to
    a network of another code space."""
    parts = (network.encoder, network.stylizer.adapters, network.stylizer.projections)
    state = (pair for part in parts for pair in part.state_dict().items())
    # One part of bytes, as when the first style files were written: theirs still have to fit.
    return digest(b"".join(f"{name} {tuple(x.shape)}".encode() + raw(x.half()) for name, x in state))[:12]


def nearest(own: Tensor, codes: Tensor, levels: tuple[int, ...]) -> Tensor:
    """For each code of `own` (... d) the index of the nearest of `codes` (n d); `...`.

    The distance is `moment_distance` at the deepest of the `levels` (how many channels each level of the flat code
    has). The exemplar whose statistics are closest to the photo's own at that level asks for the smallest change, so
    the photo's structure survives best and texture comes at the scale that the photo has. The other levels would
    choose by colour.
    """
    mine, theirs = (split_code(code.float(), levels)[-1] for code in (own.unsqueeze(-2), codes))
    return moment_distance(mine, theirs).argmin(-1)


def style_view(photo: Photo | Image.Image, mask: Image.Image | None = None) -> tuple[Tensor, Tensor | None]:
    """A style photo as the network reads it, `1 3 h w` with a longer side of at most STYLE_SIZE, and the style's
    region `1 1 h w`. The region is None where the network has to find it.

    mask: the style's region, of the photo's size. Without one, a photo with transparency is a cut-out: what is opaque
    is its region. Raises ValueError for a mask of another size.
    """
    photo = photo if isinstance(photo, Photo) else photo_from_pil(photo)
    mask = mask if mask is not None else photo.opacity
    if mask is not None and mask.size != photo.size:
        raise ValueError(
            f"style mask of size {mask.size} for a style photo of size {photo.size}; wanted the same"
        )
    image = within(to_tensor(photo.srgb)[None], STYLE_SIZE)
    return image, None if mask is None else within(to_tensor(mask)[None], STYLE_SIZE)
