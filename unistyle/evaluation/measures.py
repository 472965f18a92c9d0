"""How well regions are restyled and found, measured on annotated photos (`unistyle evaluate`).

Style is judged by `unistyle.evaluation.scores` inside annotated regions. The same code judges every method: the
network, the Gatys optimisation, recolouring, the untouched photo.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from unistyle.data.labelled import LabelledPhoto
from unistyle.data.transfer import Transfer
from unistyle.evaluation.methods import Method, result_of
from unistyle.evaluation.pairs import SIZE, Pair, load_pair, photo_name, sized_pair
from unistyle.evaluation.rows import Row
from unistyle.evaluation.scores import changed, mask_scores, style_scores
from unistyle.files.photos import photo_from_pil, read_image, read_mask, read_photo
from unistyle.files.tensors import to_pil, to_tensor
from unistyle.maths.masks import has_boundary
from unistyle.maths.resizing import to_size
from unistyle.network.composite import alpha_of
from unistyle.network.model import UniStyleNetwork
from unistyle.restyle.pipeline import UniStyle


def evaluate_style(
    pairs: Iterable[Pair],
    method: Method,
    vgg: nn.Module,
    device: str | torch.device = "cpu",
    longest: int = SIZE,
) -> Iterator[Row]:
    """`style_scores` of one method for each pair, with the names of photo and style. The method restyles the photo
    with a longer side of `longest` pixels; the result is compared at SIZE."""
    for pair in pairs:
        transfer, result = result_of(pair, method, longest, device)
        names = {"photo": photo_name(pair.content), "style": photo_name(pair.style)}
        yield names | style_scores(vgg, transfer, result)


def evaluate_bank(
    model: UniStyle,
    pairs: Iterable[Pair],
    exemplars: Mapping[str, LabelledPhoto],
    vgg: nn.Module,
    to: str | None = None,
    longest: int = SIZE,
) -> Iterator[Row]:
    """`style_scores` of the public call with a style of the bank: `to`, or the material of the pair's style.

    The result is scored against the exemplar that the call chose. `exemplars` holds the photo of each by its name in
    the bank. Raises KeyError for an exemplar that is not there. longest: as in `evaluate_style`.
    """
    for pair in pairs:
        given = sized_pair(pair, longest)
        style = to or pair.style.path.parent.name
        result = model.restyle(to_pil(given.photo[0]), style, mask=to_pil(given.region[0]))
        (name,) = result.styles.values()
        wanted = load_pair(Pair(pair.content, exemplars[name]))
        seen = to_tensor(photo_from_pil(result.image).srgb)
        image = to_size(seen[None], wanted.photo.shape[-2:], antialias=True).clamp(0, 1)
        scores = style_scores(vgg, Transfer(*(x.to(model.device) for x in wanted)), image.to(model.device))
        yield {"photo": photo_name(pair.content), "style": name} | scores


@torch.inference_mode()
def predicted_mask(network: UniStyleNetwork, image: Tensor) -> Tensor:
    """Alpha `1 1 h w` of the main object that the network finds in a photo `1 3 h w`."""
    return alpha_of(image, network.found(network.find(image)[1]).main)


def evaluate_masks(
    network: UniStyleNetwork, photos: Iterable[LabelledPhoto], device: str | torch.device = "cpu"
) -> Iterator[Row]:
    """`alpha_scores` of the mask that the network finds in each photo, at the photo's size."""
    for photo in photos:
        annotated = to_tensor(read_mask(photo.mask_path))[0] > 0.5
        alpha = predicted_mask(network, to_tensor(read_image(photo.path))[None].to(device))
        yield {"photo": photo_name(photo)} | alpha_scores(alpha[0, 0].cpu(), annotated)


def alpha_scores(alpha: Tensor, annotated: Tensor) -> dict[str, float]:
    """Scores of a predicted alpha `h w` in [0, 1], whose mask is where it is above a half.

    - `accuracy`, `mean_iu`: of the mask, against the boolean mask `annotated` of the same size.
    - `halo`: share of the frame where alpha is above 0 and below a half outside the annotated mask.
    - `boundary`: 1 where the annotated mask covers less than 95 % of the frame, else 0.
    """
    mask = alpha > 0.5
    faint = (alpha > 0) & ~mask & ~annotated
    about = {"halo": faint.float().mean().item(), "boundary": float(has_boundary(annotated))}
    return mask_scores(mask, annotated) | about


def evaluate_outside(
    model: UniStyle, photos: Iterable[LabelledPhoto], styles: Sequence[str]
) -> Iterator[Row]:
    """What the public call changes outside its mask, for whole photos at their own size. The styles are taken in turn.

    - `outside`: how many 8-bit values differ where the mask is 0.
    - `area`: the mask's share of the frame.
    """
    for index, photo in enumerate(photos):
        result = model.restyle(photo.path, to=styles[index % len(styles)])
        # In the files' own values.
        pictures = (photo_from_pil(result.image).rgb, read_photo(photo.path).rgb, result.mask)
        image, before, mask = (to_tensor(x)[None] for x in pictures)
        scores = {"outside": float(changed(image, before, mask)), "area": mask.mean().item()}
        yield {"photo": photo_name(photo)} | scores
