"""The network as training calls it."""

import torch
from torch import Tensor, nn

from unistyle.network.model import Output, UniStyleNetwork


class Student(nn.Module):
    """The network as training calls it: a batch of pairs restyled and, now and then, a batch of photos segmented.

    One forward, so that one gradient synchronisation covers both. The style is encoded without a gradient to the
    encoder: half its cost, and the photo's own path trains the encoder already.
    """

    def __init__(self, network: UniStyleNetwork):
        super().__init__()
        self.network = network

    def forward(self, pairs: dict, masked: dict | None = None) -> tuple[Output, Tensor | None]:
        network = self.network
        with torch.no_grad():
            features = network.encoder(pairs["style"])
        codes = network.stylizer.encode(features, pairs["style_region"])
        output = network(pairs["photo"], codes, pairs["region"])
        logits = network.find(masked["photo"])[1] if masked else None
        return output, logits
