"""Pictures to look at: photos against styles, and masks that failed, sorted by the kind of failure."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw
from torch import Tensor

from unistyle.data.labelled import Photo
from unistyle.files.photos import read_image, read_mask, to_pil, to_tensor
from unistyle.maths.masks import AREA, has_boundary, mean_iu
from unistyle.restyle.pipeline import UniStyle

FAILED = 0.6  # mean IU below which a mask has failed


def page(titles: Sequence[str], rows: Sequence[Sequence[Image.Image]], cell: int) -> Image.Image:
    """Rows of pictures below their titles, each `cell` pixels wide and three quarters as high."""
    height, title = cell * 3 // 4, 16
    sheet = Image.new("RGB", (cell * len(titles), title + height * len(rows)), "white")
    for column, text in enumerate(titles):
        ImageDraw.Draw(sheet).text((column * cell + 4, 2), text, fill="black")
    for y, row in enumerate(rows):
        for x, image in enumerate(row):
            sheet.paste(image.convert("RGB").resize((cell, height)), (x * cell, title + y * height))
    return sheet


def sheet_photos(photos: Iterable[Photo]) -> list[Photo]:
    """The first photo of each material that shows an object, and not the material alone."""
    chosen = {}
    for photo in photos:
        mask = to_tensor(read_mask(photo.mask))
        if has_boundary(mask > 0.5) and mask.mean() >= AREA:
            chosen.setdefault(photo.label, photo)
    return list(chosen.values())


def contact_sheet(model: UniStyle, photos: Iterable[Photo], styles: Sequence[str], cell=320) -> Image.Image:
    """A photo a row with the mask found, a style of the bank a column."""
    rows = []
    for photo in photos:
        results = [model.restyle(photo.path, to=style) for style in styles]
        rows.append([read_image(photo.path), results[0].mask, *(result.image for result in results)])
    return page(["photo", "mask", *styles], rows, cell)


class Failure(NamedTuple):
    """A mask that failed: its kind, its mean IU, the photo, the annotated mask and the one found."""

    kind: str
    score: float
    photo: Photo
    annotated: Tensor
    mask: Tensor


def failure_kind(mask: Tensor, annotated: Tensor) -> str:
    """What is wrong with a boolean mask that failed.

    `nothing`: less than a tenth of the material is found; `close-up`: the annotated mask has no boundary, and a part
    is left out; `elsewhere`: more than half of what is found is not the material, and more than half of the material
    is not found; `spill`: of these two, background taken for the material is the larger area; `part`: material left
    out is.
    """
    hit, found, wanted = ((m.sum().item()) for m in (mask & annotated, mask, annotated))
    if hit < 0.1 * wanted:
        return "nothing"
    if not has_boundary(annotated):
        return "close-up"
    if hit < 0.5 * found and hit < 0.5 * wanted:
        return "elsewhere"
    return "spill" if found > wanted else "part"


def failures(find: Callable[[Tensor], Tensor], photos: Iterable[Photo]) -> list[Failure]:
    """The photos whose mask has a mean IU below `FAILED`, the worst first within a kind. `find`: photo `1 3 h w` in
    [0, 1] -> soft mask `1 1 h w`, foreground above a half."""
    failed = []
    for photo in photos:
        annotated = to_tensor(read_mask(photo.mask))[0] > 0.5
        mask = (find(to_tensor(read_image(photo.path))[None]) > 0.5)[0, 0].cpu()
        if (score := mean_iu(mask, annotated)) < FAILED:
            failed.append(Failure(failure_kind(mask, annotated), score, photo, annotated, mask))
    return sorted(failed, key=lambda f: (f.kind, f.score))


def failure_sheet(failed: Sequence[Failure], cell: int = 256) -> Image.Image:
    """Photo, annotated mask and mask found, a failure a row."""
    cells = [
        [read_image(f.photo.path), *(to_pil(m[None].float()) for m in (f.annotated, f.mask))] for f in failed
    ]
    return page(["photo", "annotated", "found"], cells, cell)
