"""The parts of training loops: the network as it is trained, its optimizer, averaged weights, progress, and means."""

from collections.abc import Collection, Mapping
from typing import Any, cast

import torch
from timm.utils import ModelEmaV3
from torch import Tensor, nn
from tqdm import tqdm

from unistyle.files.tensors import as_float
from unistyle.network.encoder import Encoder
from unistyle.network.laying import Samples
from unistyle.network.model import UniStyleNetwork
from unistyle.training.config import OptimizerConfig

RESTYLED = ("photo", "region", "style", "style_region", "tile", "structure")  # what pictures are restyled by
READ = 10  # steps between two readings of what they gave


class Student(nn.Module):
    """The network as training calls it: a batch of pairs restyled and, now and then, a batch of photos segmented and
    one of rendered pairs restyled.

    One forward, so that one gradient synchronisation covers all. The style is encoded without a gradient to the
    encoder: half its cost, and the photo's own path trains the encoder already.
    """

    def __init__(self, network: UniStyleNetwork):
        super().__init__()
        self.network = network

    def forward(
        self, pairs: dict, masked: dict | None = None, rendered: dict | None = None
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """What the pairs become, `b 3 s s` in [0, 1]; the logits of the masked photos; and what the rendered pairs
        become."""
        logits = self.network.find(masked["photo"])[1] if masked else None
        if rendered is None or rendered["photo"].shape[1:] != pairs["photo"].shape[1:]:
            return self._restyled(pairs), logits, self._restyled(rendered) if rendered else None
        # In one pass, because a GPU waits for the many small steps of a pass, however many pictures it is of.
        both = self._restyled({name: torch.cat([pairs[name], rendered[name]]) for name in RESTYLED})
        restyled, drawn = both.split([len(pairs["photo"]), len(rendered["photo"])])
        return restyled, logits, drawn

    def _restyled(self, pairs: dict) -> Tensor:
        network, photo = self.network, pairs["photo"]
        with torch.no_grad():
            features = network.encoder(pairs["style"], shallow=True)
        codes = network.stylizer.encode(features, pairs["style_region"])
        samples = Samples(as_float(pairs["tile"])[:, None], pairs["structure"].float()[:, None])
        # A pass without the segmenter, for the regions are given.
        return network.render(photo, network.encoder(photo, shallow=True), pairs["region"], codes, samples)[
            -1
        ]


class Progress:
    """How far training has come; saved and restored with the rest of the state."""

    def __init__(self, step: int = 0):
        self.step = step

    def state_dict(self) -> dict:
        return {"step": self.step}

    def load_state_dict(self, state: dict) -> None:
        self.step = state["step"]


class Means:
    """Running means of the named terms of a loop, shown on its bar."""

    def __init__(self, bar: tqdm, shown: Collection[str] | None = None):
        """shown: the terms on the bar; None shows all."""
        self.bar, self.shown = bar, shown
        self.values: dict[str, Tensor] = {}

    def add(self, values: Mapping[str, Tensor]) -> None:
        """The values of one batch: a twentieth of the new means. A value that is not finite stays in them."""
        for name, value in values.items():
            value = value.detach()
            self.values[name] = torch.lerp(self.values.get(name, value), value, 0.05)

    def step(self) -> None:
        """One more step on the bar, which now and then shows the means: to read them is to wait for the GPU."""
        if self.bar.n % READ == 0:
            shown = {k: f"{v:.3f}" for k, v in self.values.items() if self.shown is None or k in self.shown}
            self.bar.set_postfix(shown, refresh=False)
        self.bar.update()


def make_optimizer(network: UniStyleNetwork, config: OptimizerConfig) -> torch.optim.Optimizer:
    """Adam, with a smaller rate for the pretrained encoder."""
    encoder = [p for p in network.encoder.parameters() if p.requires_grad]
    heads = [p for part in (network.segmenter, network.stylizer) for p in part.parameters()]
    groups: list[dict[str, Any]] = [
        {"params": heads},
        {"params": encoder, "lr": config.lr * config.encoder_lr},
    ]
    return torch.optim.Adam(groups, lr=config.lr, betas=(0.9, 0.99))


@torch.no_grad()
def settle(network: UniStyleNetwork, averaged: UniStyleNetwork, began: Encoder) -> None:
    """Put the encoder, in place, half-way between its averaged weights and those that it began with.

    Long training forgets what ImageNet taught the encoder of materials; half-way it knows both (docs/trials.md).
    Source: weight-space ensembling, Wortsman et al., "Robust fine-tuning of zero-shot models", section 3.
    """
    state, first = averaged.encoder.state_dict(), began.state_dict()
    mean = {name: torch.lerp(value, first[name].to(value), 0.5) for name, value in state.items()}
    for each in (network, averaged):
        each.encoder.load_state_dict(mean)


def moving_average(network: UniStyleNetwork, decay: float) -> ModelEmaV3:
    """Exponential moving average of the weights that forgets the untrained ones: after n steps its decay is
    n / (9 + n), until that has grown to `decay`."""
    return ModelEmaV3(network, decay, use_warmup=True, warmup_gamma=9, warmup_power=1)


def averaged_network(averaged: ModelEmaV3) -> UniStyleNetwork:
    """The network that holds the averaged weights."""
    return cast(UniStyleNetwork, averaged.module)
