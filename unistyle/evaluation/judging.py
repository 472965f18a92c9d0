"""What judges say of results, as users get them: at several sizes of photo, all judged at one."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from unistyle.data.labelled import LabelledPhoto
from unistyle.data.transfer import Transfer, read_sized
from unistyle.evaluation.judges import MaterialJudge, ObjectJudge
from unistyle.evaluation.methods import Method
from unistyle.evaluation.pairs import SIZE, Pair, load_pair, photo_name
from unistyle.evaluation.rows import Row
from unistyle.evaluation.scores import large_structure, patch_distance, size_distance, style_scores
from unistyle.files.atomic import kept
from unistyle.files.digest import digest, file_digest
from unistyle.maths.resizing import to_size

SCORES = ("relative", "relu4_1", "content", "shading")  # of `style_scores`, beside what the judges say


def fitted(
    judge: MaterialJudge,
    photos: Sequence[LabelledPhoto],
    cache: Path,
    progress: Callable[[str, int, int], None] | None = None,
) -> MaterialJudge:
    """The judge, fitted in place on annotated photos. Fitted heads are kept in the folder `cache`."""
    about = [(photo.label, file_digest(photo.path), file_digest(photo.mask_path)) for photo in photos]
    path = (
        cache
        / f"judge-{digest(SIZE, about, judge.sides, *(probe.features for probe in judge.probes))}.safetensors"
    )

    def make() -> dict[str, Tensor]:
        views = [read_sized(photo.path, photo.mask, SIZE) for photo in photos]
        judge.fit(views, [photo.label for photo in photos], progress)
        heads = ((f"{i}.{k}", v) for i, p in enumerate(judge.probes) for k, v in p.head.state_dict().items())
        return {name: value.clone() for name, value in heads}

    heads = kept(path, make, save_file, load_file)
    for i, probe in enumerate(judge.probes):
        probe.head.load_state_dict({k: heads[f"{i}.{k}"] for k in probe.head.state_dict()})
    return judge


def judge_accuracy(judge: MaterialJudge, photos: Sequence[LabelledPhoto]) -> float:
    """Share of annotated photos whose material the judge names, inside their masks."""
    right = [
        int(judge(*read_sized(photo.path, photo.mask, SIZE)).argmax()) == photo.label for photo in photos
    ]
    return sum(right) / len(right)


def at_longest(x: Tensor, longest: int) -> Tensor:
    """`b c h w` in [0, 1], enlarged or reduced so that the longer side is `longest` pixels."""
    scale = longest / max(x.shape[-2:])
    size = [max(1, round(side * scale)) for side in x.shape[-2:]]
    return to_size(x, size, antialias=scale < 1).clamp(0, 1)


def working(pair: Pair, longest: int) -> Transfer:
    """A pair with the photo at a size that users have, and the style as it is read from its file."""
    (photo, region), (style, style_region) = (read_sized(p.path, p.mask, 10**9) for p in pair)
    return Transfer(at_longest(photo, longest), style, at_longest(region, longest), style_region)


def judged_rows(
    pairs: Iterable[Pair],
    method: Method,
    judge: MaterialJudge,
    objects: ObjectJudge,
    vgg: nn.Module,
    longest: int = SIZE,
) -> Iterator[Row]:
    """One row for each pair, of a method that restyles the photo with a longer side of `longest` pixels. The result is
    judged with a longer side of SIZE pixels, so that texture too fine for its photo shows.

    - `new`, `old`: 1 where the judge names the region as the style's material, or as the photo's own.
    - `probability`: what the judge gives the style's material.
    - `object`: how much the result shows what the photo shows; see `ObjectJudge`.
    - `large`: Gram distance of large structure; see `large_structure`.
    - `patches`: distance of the distributions of patches; see `patch_distance`.
    - SCORES: as in `style_scores`.
    """
    for pair in pairs:
        wanted = load_pair(pair)
        result = judged_result(pair, method, longest, wanted)
        given = judge(result, wanted.region)[0]
        named = int(given.argmax())
        row: Row = {"photo": photo_name(pair.content), "style": photo_name(pair.style)}
        row |= {"new": float(named == pair.style.label), "old": float(named == pair.content.label)}
        row |= {"probability": given[pair.style.label].item()}
        row |= {"object": objects(result, wanted.photo).item()}
        scores = style_scores(vgg, wanted, result)
        row |= {"large": large_structure(vgg, wanted, result), "patches": patch_distance(wanted, result)}
        yield row | {name: scores[name] for name in SCORES}


def judged_result(pair: Pair, method: Method, longest: int, wanted: Transfer) -> Tensor:
    """The result for a photo with a longer side of `longest` pixels, at the size at which it is judged."""
    return to_size(method(working(pair, longest)), wanted.photo.shape[-2:], antialias=True).clamp(0, 1)


def size_rows(pairs: Iterable[Pair], method: Method, vgg: nn.Module, sizes: Sequence[int]) -> Iterator[Row]:
    """`size_distance` of each pair, between photos with longer sides of these pixels."""
    for pair in pairs:
        wanted = load_pair(pair)
        results = [judged_result(pair, method, longest, wanted) for longest in sizes]
        names: Row = {"photo": photo_name(pair.content), "style": photo_name(pair.style)}
        yield names | {"sizes": size_distance(vgg, wanted.region, results)}
