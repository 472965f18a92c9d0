"""A page to try a checkpoint on: drop a photo, see the materials that are found, say what each becomes.

python -m unistyle.demo
python -m unistyle.demo --checkpoint mine.safetensors --port 8000

Gradio (the extra `demo`) serves it on this machine alone unless `--host` says otherwise, and needs no internet.
"""

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import wraps
from html import escape
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from unistyle.devices import out_of_memory
from unistyle.errors import ImageError, UnknownNameError
from unistyle.files.photos import Photo, read_photo
from unistyle.files.writing import encode_image
from unistyle.restyle.pipeline import UniStyle
from unistyle.web.visits import Visit, Visits

try:
    import gradio as gr
except ImportError:  # the extra `demo`, without which `main` says what is missing
    gr = None

log = logging.getLogger(__name__)


MAX_PIXELS = 50_000_000  # of a photo, so that one visitor does not take the memory of all


PREVIEW = 1024  # pixels of the longer side of what is only looked at
STAYS, OWN = "", "*"  # choices that no style can be named as
COLORS = (
    "#e6194b", "#3cb44b", "#4363d8", "#f58231", "#ffe119",
    "#9a6324", "#f032e6", "#911eb4", "#42d4f4", "#469990",
)  # fmt: skip


class Material(NamedTuple):
    """A material in a photo: its share of the frame in [0, 1], and its mask, 8-bit grey."""

    share: float
    mask: Image.Image


def find(model: UniStyle, photo: Photo) -> dict[str, Material]:
    """The materials in a photo, in the order of the vocabulary, each with the mask by which it is restyled alone."""
    style = model.styles[0]  # any: at strength 0 it leaves the photo
    shares = model.restyle(photo, style, strength=0).materials
    return {
        m: Material(share, model.restyle(photo, {m: style}, strength=0).mask) for m, share in shares.items()
    }


def overlay(photo: Photo, found: dict[str, Material], colors: dict[str, str]) -> Photo:
    """The photo with each material under its colour."""
    tinted = photo.rgb.copy()
    for material, (_, mask) in found.items():
        tinted.paste(colors[material], mask=mask.point(lambda value: value * 0.55))
    return replace(photo, rgb=tinted)


def preview(photo: Photo) -> Photo:
    """A copy of at most PREVIEW pixels a side."""

    def small(image: Image.Image) -> Image.Image:
        image = image.copy()
        image.thumbnail((PREVIEW, PREVIEW))
        return image

    return replace(photo, rgb=small(photo.rgb), opacity=photo.opacity and small(photo.opacity))


def legend(found: dict[str, Material], colors: dict[str, str]) -> str:
    """What was found, the largest first, as HTML."""
    entries = sorted(found.items(), key=lambda entry: -entry[1].share)
    dot = '<span><span style="color:{}">&#9679;</span> {} {:.0%}</span>'
    return " &ensp; ".join(dot.format(colors[name], escape(name), share) for name, (share, _) in entries)


def read(path: Path) -> Photo:
    """A photo that was dropped. Raises ImageError, "NAME: REASON", also for one of more than MAX_PIXELS."""
    try:
        return read_photo(path, admit=_check_size)
    except ImageError as error:  # without the folder, which is of no use to a visitor
        raise ImageError(str(error).replace(f"{path.parent}{os.sep}", "")) from error


def _check_size(size: tuple[int, int]) -> None:
    if size[0] * size[1] > MAX_PIXELS:
        raise ImageError(
            f"{size[0]}x{size[1]} pixels; this page takes {MAX_PIXELS // 10**6} megapixels at most: scale the photo "
            "down, or use infer.py, which takes larger ones"
        )


def told(handler: Callable) -> Callable:
    """A handler whose errors appear on the page as messages."""

    @wraps(handler)
    def run(*args):
        try:
            return handler(*args)
        except Exception as error:
            # A name in it may hold anything, and the page shows HTML.
            raise gr.Error(escape(_message(error)), duration=12, print_exception=False) from error

    return run


def _message(error: Exception) -> str:
    if isinstance(error, ValueError):  # as all that a visitor can do something about
        return str(error)
    if out_of_memory(error):
        return "This photo takes more memory than there is at the moment; try a smaller one"
    log.error("the page failed", exc_info=error)
    return f"Something went wrong ({type(error).__name__}); the log of unistyle-demo says more"


class Page:
    """What happens on the page."""

    def __init__(self, model: UniStyle, root: Path):
        """root: the folder for all that is uploaded and made. Raises ValueError for a model without styles."""
        if not model.styles:
            raise ValueError("the checkpoint has no styles; add one: python -m unistyle.bank add")
        self.model, self.visits = model, Visits(root)
        self.colors = {name: COLORS[i % len(COLORS)] for i, name in enumerate(model.materials)}

    @told
    def look(self, request: "gr.Request", upload: str | None):
        """A photo was dropped, or taken away: find its materials. Gives the photo's path, the overlay, its legend,
        whether to show these, whether to show the choices, and a choice for each material."""
        visit = self.visits[request.session_hash]
        visit.photo = None
        if upload is None:
            visit.remove("photo")
            return gr.skip()
        path = visit.take(upload, "photo")
        photo = preview(read(path))
        found = find(self.model, photo)
        visit.photo = path
        if not found:
            gr.Warning(escape(f"None of these was found in the photo: {', '.join(self.model.materials)}"))
        shown = _save(overlay(photo, found, self.colors), visit.renew("found") / "found.webp")
        choices = [
            gr.update(visible=name in found, value=STAYS, label=f"{name} becomes")
            for name in self.model.materials
        ]
        return str(path), shown, legend(found, self.colors), *map(visible, (True, found)), *choices

    @told
    def take_style(self, request: "gr.Request", upload: str | None):
        """A style photo was dropped, or taken away. Gives its path."""
        visit = self.visits[request.session_hash]
        visit.style = None
        if upload is None:
            visit.remove("style")
            return gr.skip()
        path = visit.take(upload, "style")
        read(path)
        visit.style = path
        return str(path)

    @told
    def restyle(self, request: "gr.Request", strength: float, keep: bool, *choices: str):
        """Gives the photo before and after, and the files of the result and of its mask."""
        visit = self.visits[request.session_hash]
        if visit.photo is None or not visit.photo.is_file():
            raise ValueError("There is no photo; drop one first. After an hour it is removed")
        styles = self._styles(choices, visit)
        photo = read(visit.photo)
        result = self.model.restyle(photo, styles, strength=strength, color="keep" if keep else "style")
        folder, stem = visit.renew("result"), visit.photo.stem
        files = folder / f"{stem}-restyled.png", folder / f"{stem}-mask.png"
        for file, image in zip(files, (result.image, result.mask), strict=True):
            file.write_bytes(encode_image(image))
        pictures = {"before": photo, "after": replace(photo, rgb=result.image.convert("RGB"))}
        pair = tuple(_save(preview(each), folder / f"{name}.webp") for name, each in pictures.items())
        return pair, *map(str, files)

    def _styles(self, choices: Sequence[str], visit: Visit) -> dict[str, str | Photo]:
        """What becomes what. Raises ValueError where it is nothing."""
        wanted = dict(zip(self.model.materials, choices, strict=True))
        styles = {name: self._style(choice, visit) for name, choice in wanted.items() if choice != STAYS}
        if not styles:
            raise ValueError("Nothing to do yet: choose what at least one material becomes")
        return styles

    def _style(self, choice: str, visit: Visit) -> str | Photo:
        if choice == OWN:
            if visit.style is None:
                raise ValueError("You chose your own style photo; drop it first")
            return read(visit.style)
        if choice not in self.model.styles:  # else a visitor could name a file of this machine
            raise UnknownNameError("style", choice, self.model.styles)
        return choice

    def leave(self, request: "gr.Request") -> None:
        """The browser has left the page."""
        self.visits.end(request.session_hash)


def visible(what: object) -> dict:
    return gr.update(visible=bool(what))


def _save(photo: Photo, path: Path) -> str:
    """Write a picture that is only looked at; returns its path."""
    photo.with_rgb(photo.rgb).save(path, quality=92, icc_profile=photo.profile)
    return str(path)
