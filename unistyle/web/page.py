"""What happens on the page: a photo is dropped, its materials are found, and each becomes what the visitor says.

Gradio (the extra `demo`) serves the page. This is the one module that imports it; where it is not installed, `gr` is
None and `layout.serve` says so.
"""

import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import wraps
from html import escape
from pathlib import Path

from unistyle.devices import out_of_memory
from unistyle.errors import UnknownNameError, UsageError
from unistyle.files.photos import Photo
from unistyle.files.writing import encode_image
from unistyle.restyle.finding import COLORS
from unistyle.restyle.pipeline import UniStyle
from unistyle.web.pictures import Material, find, legend, preview, read, save, tinted
from unistyle.web.visits import Visit, Visits

try:
    import gradio as gr
except ImportError:  # the extra `demo`
    gr = None

log = logging.getLogger(__name__)

MAX_PIXELS = 50_000_000  # of a photo, so that one visitor does not take the memory of all
USUAL = 1.0  # strength, structure and size of the texture
STAYS, OWN = "", "*"  # choices that no style can be named as


def told(handler: Callable) -> Callable:
    """A handler whose errors appear on the page as messages, which are HTML."""

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
    return f"Something went wrong ({type(error).__name__}); the log of unistyle demo says more"


class Page:
    """What happens on the page."""

    def __init__(
        self,
        model: UniStyle,
        root: Path,
        max_pixels: int = MAX_PIXELS,
        find: Callable[[UniStyle, Photo], dict[str, Material]] = find,
    ):
        """root: the folder for all that is uploaded and made. max_pixels: of a photo that is taken. find: what finds
        the materials of a photo. Raises UsageError for a model without styles."""
        if not model.styles:
            raise UsageError("the checkpoint has no styles; add one: unistyle bank add")
        self.model, self.visits, self.max_pixels, self.find = model, Visits(root), max_pixels, find
        self.colors = {name: COLORS[i % len(COLORS)] for i, name in enumerate(model.materials)}

    @told
    def look(self, request: "gr.Request", upload: str | None):
        """A photo was dropped, or taken away: find its materials. Gives the photo's path, the photo under colours,
        their legend, whether to show these, whether to show the choices, and a choice for each material."""
        visit = self.visits[request.session_hash]
        visit.photo = None
        if upload is None:
            visit.remove("photo")
            return gr.skip()
        path = self.visits.take(request.session_hash, upload, "photo")
        photo = preview(read(path, self.max_pixels))
        found = self.find(self.model, photo)
        visit.photo = path
        if not found:
            gr.Warning(escape(f"None of these was found in the photo: {', '.join(self.model.materials)}"))
        shown = save(tinted(photo, found, self.colors), visit.renew("found") / "found.webp")
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
        path = self.visits.take(request.session_hash, upload, "style")
        read(path, self.max_pixels)
        visit.style = path
        return str(path)

    @told
    def restyle(
        self,
        request: "gr.Request",
        strength: float | None,
        structure: float | None,
        texture_scale: float | None,
        keep: bool,
        *choices: str,
    ):
        """Gives the photo before and after, and the files of the result and of its mask. A number that is None, because
        its field was emptied, is USUAL."""
        visit = self.visits[request.session_hash]
        if visit.photo is None or not visit.photo.is_file():
            raise ValueError("There is no photo; drop one first. After an hour it is removed")
        styles = self._styles(choices, visit)
        photo = read(visit.photo, self.max_pixels)
        numbers = dict(strength=strength, structure=structure, texture_scale=texture_scale)
        look: dict = {name: USUAL if number is None else number for name, number in numbers.items()}
        result = self.model.restyle(photo, styles, **look, color="keep" if keep else "style")
        folder, stem = visit.renew("result"), visit.photo.stem
        files = folder / f"{stem}-restyled.png", folder / f"{stem}-mask.png"
        for file, image in zip(files, (result.image, result.mask), strict=True):
            file.write_bytes(encode_image(image))
        pictures = {"before": photo, "after": replace(photo, rgb=result.image.convert("RGB"))}
        pair = tuple(save(preview(each), folder / f"{name}.webp") for name, each in pictures.items())
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
            return read(visit.style, self.max_pixels)
        if choice not in self.model.styles:  # else a visitor could name a file of this machine
            raise UnknownNameError("style", choice, self.model.styles)
        return choice

    def leave(self, request: "gr.Request") -> None:
        """The browser has left the page."""
        self.visits.end(request.session_hash)


def slider(low: float, high: float, label: str) -> "gr.Slider":
    """A slider that is at USUAL first, and gives None where the field beside it was emptied."""
    made = gr.Slider(low, high, USUAL, step=0.05, label=label)
    check = made.preprocess  # which fails where there is no number
    made.preprocess = lambda number: None if number is None else check(number)
    return made


def separate_uploads() -> None:
    """Have each upload lie at an address of its own.

    Gradio names the folder of an upload by its content. Visitors who dropped the same photo would then share a file,
    and lose it with the first of them.
    """

    class Upload(gr.route_utils.GradioUploadFile):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.sha.update(secrets.token_bytes(16))  # of which the name is made, with the content after it

    gr.route_utils.GradioUploadFile = Upload


def visible(what: object) -> dict:
    """What shows a part of the page, or hides it."""
    return gr.update(visible=bool(what))
