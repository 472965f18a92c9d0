"""What the page shows of a photo: its materials under colours, and small copies."""

import os
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from unistyle.errors import ImageError
from unistyle.files.photos import Photo, read_photo
from unistyle.restyle.pipeline import UniStyle

PREVIEW = 1024  # pixels of the longer side of what is only looked at


class Material(NamedTuple):
    """A material in a photo."""

    share: float
    """Its share of the frame, in [0, 1]."""

    mask: Image.Image
    """Where it is: 8-bit grey, of the photo's size; white is the material."""


def find(model: UniStyle, photo: Photo) -> dict[str, Material]:
    """The materials in a photo, in the order of the vocabulary, each with the mask by which it is restyled alone."""
    found = model.find(photo)
    return {name: Material(share, found.masks[name]) for name, share in found.materials.items()}


def tinted(photo: Photo, found: dict[str, Material], colors: dict[str, str]) -> Photo:
    """The photo with each material under its colour."""
    rgb = photo.srgb.copy()
    for material, (_, mask) in found.items():
        rgb.paste(colors[material], mask=mask.point(lambda value: value * 0.55))
    return replace(photo, rgb=rgb, profile=None)


def legend(found: dict[str, Material], colors: dict[str, str]) -> str:
    """What was found, the largest first, as HTML."""
    entries = sorted(found.items(), key=lambda entry: -entry[1].share)
    dot = '<span><span style="color:{}">&#9679;</span> {} {:.0%}</span>'
    return " &ensp; ".join(dot.format(colors[name], escape(name), share) for name, (share, _) in entries)


def preview(photo: Photo) -> Photo:
    """A copy of at most PREVIEW pixels per side."""
    return replace(photo, rgb=_small(photo.rgb), opacity=photo.opacity and _small(photo.opacity))


def _small(image: Image.Image) -> Image.Image:
    image = image.copy()
    image.thumbnail((PREVIEW, PREVIEW))
    return image


def save(photo: Photo, path: Path) -> str:
    """Write a picture that is only looked at; returns its path."""
    photo.with_rgb(photo.rgb).save(path, quality=92, icc_profile=photo.profile)
    return str(path)


def read(path: Path, most: int) -> Photo:
    """A photo that was dropped. Raises ImageError, "NAME: REASON", also for one of more than so many pixels."""

    def check(size: tuple[int, int]) -> None:
        if size[0] * size[1] > most:
            raise ImageError(
                f"{size[0]}x{size[1]} pixels; this page takes {most // 10**6} megapixels at most: scale the photo "
                "down, or use unistyle infer, which takes larger ones"
            )

    try:
        return read_photo(path, admit=check)
    except ImageError as error:  # without the folder, which is of no use to a visitor
        raise ImageError(str(error).replace(f"{path.parent}{os.sep}", "")) from error
