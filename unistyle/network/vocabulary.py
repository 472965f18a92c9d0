"""A network for other answers than it was trained on."""

from dataclasses import replace

import torch
from torch import Tensor

from unistyle.network.model import UniStyleNetwork

ANSWERS = ("segmenter.classify.", "segmenter.name.name.")  # parts of a state with a row for each answer


def with_vocabulary(network: UniStyleNetwork, materials: tuple[str, ...]) -> UniStyleNetwork:
    """The network with another vocabulary. Materials that it knows keep their classifier; new ones start as the mean
    of all it knows, and are told apart by training. Other and the main object stay."""
    known = network.config.materials
    if known == materials:
        return network
    state = network.state_dict()
    for name in [name for name in state if name.startswith(ANSWERS)]:
        other, *rows = state[name]
        own, main = rows[: len(known)], rows[len(known) :]
        new = torch.stack(own).mean(0)
        state[name] = torch.stack(
            [other, *(own[known.index(m)] if m in known else new for m in materials), *main]
        )
    return _built(network, state, materials=materials)


def with_main_object(network: UniStyleNetwork) -> UniStyleNetwork:
    """The network with a logit of its own for the main object, which starts as how much likelier the materials are than
    other, on average. A network that has it stays as it is."""
    if network.config.main:
        return network
    state = network.state_dict()
    for name in ("segmenter.classify.weight", "segmenter.classify.bias"):
        other, *own = state[name]
        state[name] = torch.stack([other, *own, torch.stack(own).mean(0) - other])
    return _built(network, state, main=True, threshold=0.5)


def _built(network: UniStyleNetwork, state: dict[str, Tensor], **settings) -> UniStyleNetwork:
    """A network with other weights and settings."""
    encoder = replace(network.config.encoder, pretrained=False)
    other = UniStyleNetwork(replace(network.config, encoder=encoder, **settings))
    other.load_state_dict(other.state_dict() | state)  # what it has in addition starts as it is built
    return other
