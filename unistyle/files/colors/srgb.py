"""Values of a profile as sRGB, and back."""

import io
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms

from unistyle.files.colors.icc import grey_as_rgb

STRIP = 2**20  # pixels that are brought back at a time
INTENT = ImageCms.Intent.PERCEPTUAL  # which for profiles of primaries and curves is the only one
BROKEN = (ImageCms.PyCMSError, OSError, ValueError)
WHITE, BLACK = 128, 127  # a profile is broken whose white is darker than this, or its black lighter


class _Space(NamedTuple):
    """How values of a profile and those of sRGB become each other."""

    to: ImageCms.ImageCmsTransform
    back: ImageCms.ImageCmsTransform | None
    """None where a profile tells of one direction alone, as those of cameras and scanners may."""

    same: bool
    """Whether they are sRGB, however the profile says it."""


def to_srgb(rgb: Image.Image, profile: bytes | None) -> Image.Image:
    """RGB values of a profile as sRGB; the same image where they are sRGB already, or the profile is broken."""
    space = _space(profile) if profile else None
    return rgb if space is None or space.same else _apply(rgb, space.to)


def brought_back(
    own: Image.Image, profile: bytes | None, result: Image.Image, mask: Image.Image, strength: float
) -> Image.Image:
    """A picture that was made of `to_srgb(own)`, in the values of the profile. It may be changed in place.

    mask: 8-bit grey, how much of each pixel is the picture's. strength: how much of that at most. Where that is
    nothing, values are those of `own` to the bit. What sRGB cannot hold of `own` is there in full at the edge and gone
    where the picture is all that there is, so that no edge is seen and no colour of the photo shines through.
    """
    space = _space(profile) if profile else None
    if space is None or space.same or space.back is None:
        return result
    step = max(1, STRIP // own.width)
    for top in range(0, own.height, step):
        box = (0, top, own.width, min(top + step, own.height))
        values, share = np.array(own.crop(box)), np.asarray(mask.crop(box))
        if (inside := share > 0).any():
            made = np.asarray(result.crop(box))[inside]
            values[inside] = _mixed(space, values[inside], made, share[inside] / np.float32(255) * strength)
        result.paste(Image.fromarray(values), box)
    return result


def _mixed(space: _Space, own: np.ndarray, result: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Values `n 3` of the profile: of results in sRGB, and of what sRGB cannot hold of the photo's own values as much
    as the share `n` of the result leaves."""
    found = _values(result, space.back)
    if not (part := share < 1).any():
        return found
    lost = own[part].astype(np.float32) - _values(_values(own[part], space.to), space.back)
    mixed = found[part] + (1 - share[part, None]) * lost
    found[part] = mixed.round().clip(0, 255).astype(np.uint8)
    return found


def _values(pixels: np.ndarray, transform: ImageCms.ImageCmsTransform | None) -> np.ndarray:
    """Pixels `n 3` by a transform."""
    assert transform is not None
    return np.array(_apply(Image.fromarray(pixels[None]), transform))[0]


def settled(rgb: Image.Image, profile: bytes | None, grey: bool) -> tuple[Image.Image, bytes | None]:
    """RGB values and the profile that goes with them, of a photo's values and what it says of them.

    grey: the photo had one channel, whose values red, green and blue have. Its profile becomes one of RGB with the same
    curve. Where a profile tells of no way back, values become sRGB. A broken profile, or one of other values than the
    photo's, says nothing and is left out.
    """
    if not profile:
        return rgb, None
    if profile[16:20] == b"GRAY" and grey:
        twin = grey_as_rgb(profile)
        if twin is None:
            return converted(rgb.getchannel(0), profile) or rgb, None
        space = _space(twin)
        return rgb, twin if space and not space.same else None
    space = _space(profile) if profile[16:20] == b"RGB " else None
    if space is None:
        return rgb, None
    return (rgb, profile) if space.back else (_apply(rgb, space.to), None)


def converted(image: Image.Image, profile: bytes | None) -> Image.Image | None:
    """CMYK, LAB or grey to sRGB by a profile, LAB without one too; None where the profile is of no use."""
    try:
        lab = ImageCms.createProfile("LAB") if image.mode == "LAB" else None
        source = lab or ImageCms.ImageCmsProfile(io.BytesIO(profile or b""))
        return ImageCms.profileToProfile(image, source, _srgb(), outputMode="RGB")
    except BROKEN:
        return None


def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


@lru_cache(maxsize=16)
def _space(profile: bytes) -> _Space | None:
    """None for a profile that cannot be used."""
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        to = ImageCms.buildTransform(opened, _srgb(), "RGB", "RGB", INTENT)
    except BROKEN:
        return None
    levels = np.linspace(0, 255, 9).round()
    colors = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(-1, 3)
    tried = np.concatenate([colors, np.repeat(np.arange(256)[:, None], 3, 1)]).astype(np.uint8)[None]
    seen = np.asarray(_apply(Image.fromarray(tried), to))
    if seen[0, -1].min() < WHITE or seen[0, 0].max() > BLACK:
        return None
    same = bool(np.abs(seen.astype(int) - tried).max() <= 1)
    try:
        return _Space(to, ImageCms.buildTransform(_srgb(), opened, "RGB", "RGB", INTENT), same)
    except BROKEN:
        return _Space(to, None, same)


def _apply(image: Image.Image, transform: ImageCms.ImageCmsTransform) -> Image.Image:
    found = ImageCms.applyTransform(image, transform)
    assert found is not None  # as it is where an image is changed in place
    return found
