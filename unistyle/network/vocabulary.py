"""A network for other materials than it was trained on."""

from dataclasses import replace

import torch

from unistyle.network.model import UniStyleNetwork


def with_vocabulary(network: UniStyleNetwork, materials: tuple[str, ...]) -> UniStyleNetwork:
    """The network with another vocabulary. Materials that it knows keep their classifier; new ones start as the mean
    of all it knows: part of the foreground, told apart by training."""
    known = network.config.materials
    if known == materials:
        return network
    state = network.state_dict()
    for name in ("segmenter.classify.weight", "segmenter.classify.bias"):
        background, *own = state[name]
        new = torch.stack(own).mean(0)
        state[name] = torch.stack(
            [background, *(own[known.index(m)] if m in known else new for m in materials)]
        )
    encoder = replace(network.config.encoder, pretrained=False)
    other = UniStyleNetwork(replace(network.config, encoder=encoder, materials=materials))
    other.load_state_dict(state)
    return other
