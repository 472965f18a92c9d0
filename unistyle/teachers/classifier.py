"""Material classifier from image-level labels: the encoder, pooled moments of its levels, a linear head."""

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn
from torchvision.transforms import v2

from unistyle.data.labelled import LabelledPhoto
from unistyle.files.photos import read_image
from unistyle.files.tensors import to_tensor
from unistyle.maths.features import moments
from unistyle.maths.resizing import resize_regions
from unistyle.network.encoder import Encoder

LEVELS = (1, 2, 3)  # strides 8, 16 and 32: a material is texture more than outline


class MaterialClassifier(nn.Module):
    """RGB `b 3 h w` in [0, 1] -> class scores (logits) `b m`, one for each material.

    The head sees mean and standard deviation of every channel at strides 8, 16 and 32, over the whole photo or inside a
    region `b 1 h w` of it.
    """

    def __init__(self, encoder: Encoder, materials: Sequence[str]):
        super().__init__()
        self.encoder, self.materials = encoder, tuple(materials)
        device = next(encoder.parameters()).device  # where photos are looked at
        self.head = nn.Linear(
            2 * sum(encoder.channels[i] for i in LEVELS), len(self.materials), device=device
        )

    def pooled(self, levels: list[Tensor], region: Tensor | None = None) -> Tensor:
        """Moments of the encoder's levels, `b d`, over the whole photo or inside a region `b 1 h w`."""
        parts: list[Tensor] = []
        for f in (levels[i] for i in LEVELS):
            parts += moments(
                f, torch.ones_like(f[:, :1]) if region is None else resize_regions(region, f.shape[-2:])
            )
        return torch.cat([rearrange(m, "b 1 c -> b c") for m in parts], dim=1)

    def forward(self, image: Tensor, region: Tensor | None = None) -> Tensor:
        return self.head(self.pooled(self.encoder(image), region))


@torch.no_grad()
def pooled_features(
    model: MaterialClassifier,
    photos: Sequence[LabelledPhoto],
    side: int = 256,
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Pooled features of every photo and of its reflection at short side `side` px, `n 2 d`."""
    device, rows = model.head.weight.device, []
    for index, photo in enumerate(photos):
        image = (
            v2.functional.resize(to_tensor(read_image(photo.path)), [side], antialias=True)
            .clamp(0, 1)
            .to(device)
        )
        rows.append(model.pooled(model.encoder(torch.stack([image, image.flip(-1)]))))
        if progress:
            progress(index + 1, len(photos))
    return torch.stack(rows)


class Headed(Protocol):
    """A model whose answer is a linear head on pooled features."""

    head: nn.Linear


def fit_head(
    model: Headed, features: Tensor, labels: Tensor, decay: float = 1e-3, iterations: int = 200
) -> None:
    """Fit the linear head on features `n 2 d` and labels `n`, in place: softmax regression with an L2 penalty of
    `decay` on the weights of standardised features, by L-BFGS from zero, hence without any chance in it."""
    if len(labels.unique()) < 2:
        raise ValueError(
            "a classifier needs photos of at least two materials: add a folder of another material"
        )
    x = rearrange(features, "n v d -> (n v) d")
    y = labels.to(x.device).repeat_interleave(features.shape[1])
    mean, std = x.mean(0), x.std(0).clamp_min(1e-3)
    x = (x - mean) / std
    weight = torch.zeros_like(model.head.weight).requires_grad_()
    bias = torch.zeros_like(model.head.bias).requires_grad_()
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=iterations, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(x @ weight.T + bias, y) + decay * weight.square().sum()
        loss.backward()
        return loss

    with torch.enable_grad():
        optimizer.step(closure)
    with torch.no_grad():  # the head takes the standardisation into itself
        model.head.weight.copy_(weight / std)
        model.head.bias.copy_(bias - (weight / std) @ mean)


@torch.no_grad()
def accuracy(model: MaterialClassifier, features: Tensor, labels: Tensor) -> float:
    """Share of photos named correctly, from features `n 2 d` (scores averaged over the reflections) and labels `n`."""
    return (model.head(features).mean(1).argmax(1).cpu() == labels.cpu()).float().mean().item()


def train_classifier(
    encoder: Encoder,
    materials: Sequence[str],
    photos: Sequence[LabelledPhoto],
    held: Sequence[LabelledPhoto],
    progress: Callable[[int, int], None] | None = None,
) -> tuple[MaterialClassifier, float]:
    """A classifier on the frozen encoder, and its accuracy on `held` (nan without any). A minute for 800 photos."""
    model = MaterialClassifier(encoder, materials).eval().requires_grad_(False)
    features = pooled_features(model, [*photos, *held], progress=progress)
    labels = torch.tensor([p.label for p in [*photos, *held]])
    count = len(photos)
    fit_head(model, features[:count], labels[:count])
    return model, accuracy(model, features[count:], labels[count:]) if held else float("nan")
