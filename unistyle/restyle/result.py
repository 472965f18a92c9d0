"""What the caller gets for each photo."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from einops import rearrange, reduce
from PIL import Image
from torch import Tensor

from unistyle.files.photos import Photo
from unistyle.files.tensors import to_pil
from unistyle.restyle.options import Look
from unistyle.restyle.passes import FOUND, Restyled
from unistyle.restyle.plan import Plan


@dataclass(frozen=True)
class Result:
    """A restyled photo.

    >>> from PIL import Image
    >>> from unistyle import UniStyle
    >>> model = UniStyle.from_pretrained("checkpoints/unistyle-materials.safetensors", device="cpu")
    >>> white = Image.new("L", (64, 48), 255)
    >>> result = model.restyle(Image.new("RGB", (64, 48), "brown"), to="stone", mask=white)
    >>> result.image.size, result.mask.mode, list(result.styles)
    ((64, 48), 'L', ['*'])
    """

    image: Image.Image
    """The restyled photo, of the photo's size: RGB, or RGBA where the photo has transparency. It is equal to the
    photo to the bit where the mask is 0. Its values are those of the photo's own profile, which is in its `info`."""

    mask: Image.Image
    """What was restyled: 8-bit grey, of the photo's size; white is restyled."""

    materials: dict[str, float]
    """Material -> its share of the frame, in [0, 1]. Every material of at least 1 % is in it, restyled or not."""

    styles: dict[str, str]
    """Material -> the exemplar, or the mix of exemplars, that was used. It has every region that is not empty; the
    key `"*"` is the materials of the main object that are not named, or the given mask."""


def results(
    photos: Sequence[Photo],
    plan: Plan,
    materials: Sequence[str],
    done: Restyled,
    look: Look,
    image: Tensor,
    mask: Tensor,
) -> Iterator[Result]:
    """One result per photo. materials: the vocabulary; image: uint8 `b 3 h w`, in sRGB; mask: uint8 `b 1 h w`."""
    both = rearrange(reduce(done.found, "b m h w -> b m", "mean"), "b (where m) -> b where m", where=2)
    shares = both.sum(1).tolist()
    # A photo that keeps its colours also keeps those that sRGB cannot hold.
    strength = 0.0 if look.color == "keep" else look.strength
    used = reduce(done.regions, "b k h w -> b k", "mean") >= FOUND
    for i, photo in enumerate(photos):
        found = {name: share for name, share in zip(materials, shares[i], strict=True) if share >= FOUND}
        styles = {t.key: t.names[c] for t, c, u in zip(plan, done.chosen[i], used[i], strict=True) if u}
        where = to_pil(mask[i])
        yield Result(photo.with_srgb(to_pil(image[i]), where, strength), where, found, styles)
