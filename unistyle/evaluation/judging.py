"""What judges say of results, as users get them: at several sizes of photo, all judged at one."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from unistyle.data.labelled import LabelledPhoto
from unistyle.data.transfer import Transfer, read_sized
from unistyle.evaluation.judges import MaterialJudge, ObjectJudge
from unistyle.evaluation.methods import Method, result_of
from unistyle.evaluation.pairs import SIZE, Pair, load_pair, photo_name
from unistyle.evaluation.rows import Row
from unistyle.evaluation.scores import (
    kernel_distance,
    large_structure,
    patch_distance,
    size_distance,
    style_scores,
)
from unistyle.files.atomic import kept
from unistyle.files.digest import digest, file_digest
from unistyle.files.photos import read_image
from unistyle.files.tensors import to_pil, to_tensor

SCORES = ("relative", "relu4_1", "content", "shading")  # of `style_scores`, beside what the judges say
CELLS = 1500  # of all training photos of a material, with which a result's cells are compared
CODE = Path(__file__).parents[1]  # all that decides a result, beside checkpoint and photos


class Judged(NamedTuple):
    """A pair at the size at which it is judged, and the result `1 3 h w` in [0, 1]."""

    pair: Pair
    wanted: Transfer
    result: Tensor


def fitted(
    judge: MaterialJudge,
    photos: Sequence[LabelledPhoto],
    cache: Path,
    progress: Callable[[str, int, int], None] | None = None,
) -> tuple[MaterialJudge, list[Tensor]]:
    """The judge, fitted in place on annotated photos, and for each material at most CELLS cells `n d` of its photos.
    Both are kept in the folder `cache`."""
    about = [(photo.label, file_digest(photo.path), file_digest(photo.mask_path)) for photo in photos]
    features = [probe.features for probe in judge.probes]
    path = cache / f"judge-{digest(SIZE, CELLS, about, judge.sides, *features)}.safetensors"

    def make() -> dict[str, Tensor]:
        views = [read_sized(photo.path, photo.mask, SIZE) for photo in photos]
        labels = [photo.label for photo in photos]
        judge.fit(views, labels, progress)
        heads = ((f"{i}.{k}", v) for i, p in enumerate(judge.probes) for k, v in p.head.state_dict().items())
        cells = {f"cells.{m}": x for m, x in enumerate(_cells_of(judge, views, labels))}
        return {name: value.clone() for name, value in heads} | cells

    stored = kept(path, make, save_file, load_file)
    for i, probe in enumerate(judge.probes):
        probe.head.load_state_dict({k: stored[f"{i}.{k}"] for k in probe.head.state_dict()})
    return judge, [stored[f"cells.{m}"] for m in range(len(judge.probes[0].materials))]


def _cells_of(
    judge: MaterialJudge, views: Sequence[tuple[Tensor, Tensor]], labels: Sequence[int]
) -> Iterator[Tensor]:
    rng = torch.Generator().manual_seed(0)
    for material in range(len(judge.probes[0].materials)):
        own = [judge.cells(*view) for view, label in zip(views, labels, strict=True) if label == material]
        cells = torch.cat(own) if own else torch.zeros(0, 1)
        yield cells[torch.randperm(len(cells), generator=rng)[:CELLS]].contiguous()


def judge_accuracy(judge: MaterialJudge, photos: Sequence[LabelledPhoto]) -> float:
    """Share of annotated photos whose material the judge names, inside their masks."""
    right = [
        int(judge(*read_sized(photo.path, photo.mask, SIZE)).argmax()) == photo.label for photo in photos
    ]
    return sum(right) / len(right)


def results(
    pairs: Iterable[Pair],
    method_of: Callable[[Pair], Method],
    longest: int,
    cache: Path | None = None,
    about: Sequence[object] = (),
) -> Iterator[Judged]:
    """The results for photos with a longer side of `longest` pixels, at the size at which they are judged, so that
    texture too fine for its photo shows.

    They are kept in the folder `cache`. Names of files are digests of the pair, of `about`, which says which method
    it is and with which weights, and of the program itself: after a change of it everything is made anew.
    """
    code = [file_digest(path) for path in sorted(CODE.rglob("*.py"))] if cache else []
    for pair in pairs:
        if cache is None:
            yield Judged(pair, *result_of(pair, method_of(pair), longest))
            continue
        files = [file_digest(path) for photo in pair for path in (photo.path, photo.mask_path)]
        made = partial(_result_alone, pair, method_of, longest)
        result = kept(
            cache / f"{digest(longest, list(about), files, code)}.png",
            made,
            lambda image, path: to_pil(image[0]).save(path, "PNG"),
            lambda path: to_tensor(read_image(path))[None],
        )
        yield Judged(pair, load_pair(pair), result)


def _result_alone(pair: Pair, method_of: Callable[[Pair], Method], longest: int) -> Tensor:
    return result_of(pair, method_of(pair), longest)[1]


def judged_rows(
    judged: Iterable[Judged],
    judge: MaterialJudge,
    objects: ObjectJudge,
    vgg: nn.Module,
    cells: Sequence[Tensor],
) -> Iterator[Row]:
    """One row for each result.

    - `new`, `old`: 1 where the judge names the region as the style's material, or as the photo's own.
    - `probability`: what the judge gives the style's material.
    - `object`: how much the result shows what the photo shows; see `ObjectJudge`.
    - `kid`: `kernel_distance` of the cells of the region to `cells` of photos of the style's material.
    - `large`: Gram distance of large structure; see `large_structure`.
    - `patches`: distance of the distributions of patches; see `patch_distance`.
    - SCORES: as in `style_scores`.
    """
    for pair, wanted, result in judged:
        given = judge(result, wanted.region)[0]
        named = int(given.argmax())
        row: Row = {"photo": photo_name(pair.content), "style": photo_name(pair.style)}
        row |= {"new": float(named == pair.style.label), "old": float(named == pair.content.label)}
        row |= {"probability": given[pair.style.label].item()}
        row |= {"object": objects(result, wanted.photo).item()}
        row |= {"kid": kernel_distance(judge.cells(result, wanted.region), cells[pair.style.label])}
        scores = style_scores(vgg, wanted, result)
        row |= {"large": large_structure(vgg, wanted, result), "patches": patch_distance(wanted, result)}
        yield row | {name: scores[name] for name in SCORES}


def size_rows(sizes: Iterable[Sequence[Judged]], vgg: nn.Module) -> Iterator[Row]:
    """`size_distance` of each pair, of its results for photos of several sizes."""
    for each in sizes:
        pair, wanted, _ = each[0]
        names: Row = {"photo": photo_name(pair.content), "style": photo_name(pair.style)}
        yield names | {"sizes": size_distance(vgg, wanted.region, [judged.result for judged in each])}
