"""How well regions are restyled and found, measured on annotated photos.

Style is judged by `unistyle.scores`, inside annotated regions, for any method by the same code: the network, the
Gatys optimisation, recolouring, the untouched photo. Commands: `python -m unistyle.evaluation --help`.
"""

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn

from unistyle.data.labelled import LabelledPhoto
from unistyle.data.transfer import Transfer, read_sized
from unistyle.evaluation.methods import Method
from unistyle.evaluation.pairs import SIZE, Pair, load_pair, photo_name
from unistyle.evaluation.rows import Row
from unistyle.evaluation.scores import changed, style_scores
from unistyle.files.photos import read_image, read_mask
from unistyle.files.tensors import to_pil, to_tensor
from unistyle.maths.masks import has_boundary, mean_iu, pixel_accuracy
from unistyle.network.composite import alpha_of
from unistyle.network.model import UniStyleNetwork
from unistyle.restyle.pipeline import UniStyle


def evaluate_style(pairs: Iterable[Pair], method: Method, vgg: nn.Module, device="cpu") -> Iterator[Row]:
    """`style_scores` of one method for each pair, with the names of photo and style."""
    for pair in pairs:
        job = Transfer(*(x.to(device) for x in load_pair(pair)))
        result = method(job.photo, job.region, job.style, job.style_region)
        names = {"photo": photo_name(pair.content), "style": photo_name(pair.style)}
        yield names | style_scores(vgg, job, result)


def evaluate_bank(
    model: UniStyle,
    pairs: Iterable[Pair],
    exemplars: dict[str, LabelledPhoto],
    vgg: nn.Module,
    to: str | None = None,
) -> Iterator[Row]:
    """`style_scores` of the public call with a style named from the bank: `to`, or the material of the pair's style.

    They are taken against the exemplar that the call chose, whose photo `exemplars` holds by its name in the bank.
    Raises KeyError for an exemplar that is not there.
    """
    for pair in pairs:
        photo, region = read_sized(pair.content.path, pair.content.mask, SIZE)
        result = model.restyle(to_pil(photo[0]), to or pair.style.path.parent.name, mask=to_pil(region[0]))
        (name,) = result.styles.values()
        job = Transfer(*(x.to(model.device) for x in load_pair(Pair(pair.content, exemplars[name]))))
        image = to_tensor(result.image)[None].to(model.device)
        yield {"photo": photo_name(pair.content), "style": name} | style_scores(vgg, job, image)


@torch.inference_mode()
def predicted_mask(network: UniStyleNetwork, image: Tensor) -> Tensor:
    """Alpha `1 1 h w` of everything that the network takes for a material in a photo `1 3 h w`."""
    return alpha_of(image, network.regions(network.find(image)[1]))


def evaluate_masks(network: UniStyleNetwork, photos: Iterable[LabelledPhoto], device="cpu") -> Iterator[Row]:
    """Pixel accuracy and mean IU of the predicted mask (alpha above a half) of each photo, at the photo's size.

    boundary: 1 where the annotated mask covers less than 95 % of the frame. halo: share of the frame where alpha is
    above 0 and below a half outside the annotated mask.
    """
    for photo in photos:
        annotated = to_tensor(read_mask(photo.mask))[0] > 0.5
        alpha = predicted_mask(network, to_tensor(read_image(photo.path))[None].to(device))
        mask = (alpha > 0.5)[0, 0].cpu()
        scores = {"accuracy": pixel_accuracy(mask, annotated), "mean_iu": mean_iu(mask, annotated)}
        faint = (alpha[0, 0].cpu() > 0) & ~mask & ~annotated
        scores |= {"halo": faint.float().mean().item(), "boundary": float(has_boundary(annotated))}
        yield {"photo": photo_name(photo), **scores}


def evaluate_outside(
    model: UniStyle, photos: Iterable[LabelledPhoto], styles: Sequence[str]
) -> Iterator[Row]:
    """8-bit values that differ where the mask of the public call is 0, for whole photos at their own size; the
    styles are taken in turn. area: the mask's share of the frame."""
    for index, photo in enumerate(photos):
        result = model.restyle(photo.path, to=styles[index % len(styles)])
        image, mask, before = (
            to_tensor(x)[None] for x in (result.image, result.mask, read_image(photo.path))
        )
        yield {
            "photo": photo_name(photo),
            "outside": float(changed(image, before, mask)),
            "area": mask.mean().item(),
        }
