"""Soft masks of the materials in photos: the maps of a classifier joined with knowledge of objects."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor, nn

from unistyle.data.labelled import LabelledPhoto
from unistyle.devices import map_on_cores
from unistyle.files.atomic import atomic
from unistyle.files.digest import digest
from unistyle.files.photos import read_image
from unistyle.files.tensors import to_pil, to_tensor
from unistyle.teachers.classifier import MaterialClassifier
from unistyle.teachers.maps import distinct, ranks, refine, simonyan
from unistyle.teachers.objects import object_logits

METHODS = ("simonyan", "distinct", "objects", "combined")


class SaliencyTeacher(nn.Module):
    """Masks from a material classifier and, where there is one, an object network; both frozen.

    `combined` is sigmoid(object logits + weight (distinct - 0.5) + bias), refined to the photo's edges; without an
    object network it is the rank of `distinct` within the photo, refined.
    """

    def __init__(
        self,
        classifier: MaterialClassifier,
        objects: nn.Module | None = None,
        weight: float = 1.0,
        bias: float = 0.0,
    ):
        super().__init__()
        self.classifier, self.objects, self.weight, self.bias = classifier, objects, weight, bias
        self.eval().requires_grad_(False)

    @property
    def materials(self) -> tuple[str, ...]:
        return self.classifier.materials

    @property
    def methods(self) -> tuple[str, ...]:
        return tuple(m for m in METHODS if m != "objects" or self.objects is not None)

    def masks(self, photos: Tensor, labels: Tensor, method: str = "combined") -> Tensor:
        """Soft masks `b 1 h w` in [0, 1] of the materials `labels` (b, indices into `materials`) in photos `b 3 h w`.

        method: `simonyan` and `distinct` are the classifier's maps, `objects` is the object network's answer, and
        `combined` joins the last two. Raises ValueError for any other.
        """
        if method not in self.methods:
            raise ValueError(f"no method {method!r} here: choose from {', '.join(self.methods)}")
        if method == "simonyan":
            return simonyan(self.classifier, photos, labels)
        if method == "objects" and self.objects is not None:
            return (object_logits(self.objects, photos) + self.bias).sigmoid()
        maps = distinct(self.classifier, photos, labels)
        return maps if method == "distinct" else refine(photos, self._join(photos, maps))

    def _join(self, photos: Tensor, maps: Tensor) -> Tensor:
        if self.objects is None:
            return ranks(maps)
        return (object_logits(self.objects, photos) + self.weight * (maps - 0.5) + self.bias).sigmoid()

    def mask_of(self, photo: LabelledPhoto, method: str = "combined") -> tuple[Tensor, Tensor]:
        """A photo `3 h w` from its file, and its mask `1 h w`; that of the object where its material is unknown."""
        device = self.classifier.head.weight.device
        image = to_tensor(read_image(photo.path)).to(device)
        label = torch.tensor([photo.label], device=device)
        if photo.label < 0:
            method = "objects"
        return image, self.masks(image[None], label, method)[0]

    def digest(self) -> str:
        """A digest of all that decides the masks, apart from the photo."""
        return digest(self.weight, self.bias, self)


def write_masks(
    teacher: SaliencyTeacher,
    photos: Sequence[LabelledPhoto],
    out: str | Path,
    method: str = "combined",
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Write the mask of each photo to `out/material/stem.png`, 8-bit grey, and return the paths in order. Where its
    material is unknown, the mask of its object goes to the file that it names.

    A file carries the digest of what it was made from, and where that is the same it is not made again. Raises
    ImageError for a photo that cannot be read, and ValueError where two photos would share a file.
    """
    paths = [
        p.mask_path if p.label < 0 else Path(out) / teacher.materials[p.label] / f"{p.path.stem}.png"
        for p in photos
    ]
    if len(set(paths)) < len(paths):
        twice = next(p for p in paths if paths.count(p) > 1)
        raise ValueError(f"two photos of one material share the stem {twice.stem!r}: rename one of them")
    settings = digest(teacher.digest(), method)

    def write(photo: LabelledPhoto, path: Path) -> None:
        source = digest(settings, photo.label, photo.path.read_bytes())
        if _source_of(path) != source:
            note = PngInfo()
            note.add_text("source", source)
            mask = to_pil(teacher.mask_of(photo, method)[1])
            with atomic(path) as temporary:
                mask.save(temporary, format="PNG", pnginfo=note)

    for done, _ in enumerate(map_on_cores(write, photos, paths), start=1):
        if progress:
            progress(done, len(photos))
    return paths


def _source_of(path: Path) -> str | None:
    if not path.is_file():
        return None
    with Image.open(path) as image:
        return image.info.get("source")
