"""Pictures that show what a training has learned: of the joint training, of new styles, of new materials."""

from collections.abc import Callable, Sequence

import torch
from PIL import Image
from torch import Tensor
from torchvision.utils import make_grid

from unistyle.data.labelled import LabelledPhoto
from unistyle.evaluation.sheets import page
from unistyle.files.photos import read_image, read_mask
from unistyle.files.tensors import as_float
from unistyle.maths.resizing import resize_regions, to_size
from unistyle.network.laying import Samples
from unistyle.network.model import UniStyleNetwork
from unistyle.restyle.pipeline import UniStyle
from unistyle.styles.exemplars import Exemplar

Render = Callable[[int, int], Tensor]  # (number of the exemplar, number of the crop) -> the result `1 3 s s`


@torch.no_grad()
def joint_grid(network: UniStyleNetwork, pairs: dict) -> Tensor:
    """One row for each pair of a batch: photo, mask found, region used, style, result, Gatys result (grey where there
    is none); `3 h w`."""
    codes = network.encode_style(pairs["style"], pairs["style_region"])
    samples = Samples(as_float(pairs["tile"])[:, None], pairs["structure"].float()[:, None])
    output = network(pairs["photo"], codes, pairs["region"], samples=samples)
    size = pairs["photo"].shape[-2:]
    found = resize_regions(network.found(output.logits).main, size)
    gatys = torch.where((pairs["fixed"] >= 0).view(-1, 1, 1, 1), pairs["gatys"], 0.5)
    style = resize_regions(pairs["style"], size)
    columns = (pairs["photo"], found.expand(-1, 3, -1, -1), pairs["region"].expand(-1, 3, -1, -1), style,
               output.image, gatys)  # fmt: skip
    return make_grid(torch.stack(columns, dim=1).flatten(0, 1).float().cpu(), nrow=len(columns))


def style_grid(
    exemplars: Sequence[Exemplar], crops: Sequence[Tensor], before: Render, after: Render
) -> Tensor:
    """One row for each exemplar: its photo, then for each of the crops `1 3 s s` the crop, its result without fitting
    and that with it; `3 h w`."""
    side, cells = crops[0].shape[-1], []
    for number, exemplar in enumerate(exemplars):
        cells.append(to_size(exemplar.image, (side, side)))
        for row, crop in enumerate(crops):
            cells += [crop, before(number, row), after(number, row)]
    return make_grid(torch.cat([cell.cpu() for cell in cells]), nrow=1 + 3 * len(crops))


def material_page(model: UniStyle, photos: Sequence[LabelledPhoto]) -> Image.Image:
    """One row for each photo: the photo, the saliency teacher's mask, and what is found as its material."""
    rows = []
    for photo, mask in ((photo, photo.mask) for photo in photos if photo.mask):
        image, name = read_image(photo.path), model.materials[photo.label]
        found = model.restyle(image, {name: model.styles[0]}).mask
        rows.append([image, read_mask(mask), found])
    return page(["photo", "teacher", "found as its material"], rows, 256)
