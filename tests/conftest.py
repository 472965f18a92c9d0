"""A tiny checkpoint with random weights, and photos to try it on."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from unistyle.checkpoint import Checkpoint, save_checkpoint
from unistyle.network.encoder import EncoderConfig
from unistyle.network.unistyle import NetworkConfig, UniStyleNetwork
from unistyle.styles import StyleBank


def make_photo(height: int = 48, width: int = 64, seed: int = 0) -> Image.Image:
    """A colourful RGB photo: a ramp, an edge and noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:1:height * 1j, 0:1:width * 1j]  # fmt: skip
    base = np.stack([x, y, (x > 0.4) & (y > 0.3)], axis=-1) * 230
    return Image.fromarray((base + rng.integers(0, 25, base.shape)).astype(np.uint8))


def make_network() -> UniStyleNetwork:
    """Random weights, with a segmenter whose decision differs from place to place."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = NetworkConfig(
            EncoderConfig("mobilenetv2_050", pretrained=False), ("leather", "stone", "metal")
        )
        network = UniStyleNetwork(config).eval()
    with torch.no_grad():
        network.segmenter.classify.weight *= 1000
        photo = torch.from_numpy(np.asarray(make_photo(), dtype=np.float32) / 255).permute(2, 0, 1)[None]
        logits = network.segmenter(network.encoder(photo))
        network.segmenter.classify.bias[0] += (logits[:, 1:].logsumexp(1) - logits[:, 0]).median()
    return network


@pytest.fixture(scope="session")
def network() -> UniStyleNetwork:
    return make_network()


@pytest.fixture(scope="session")
def checkpoint(network: UniStyleNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint file: materials leather, stone, metal; styles stone (quarry, wall) and metal (plate)."""
    names = [("stone", "quarry"), ("stone", "wall"), ("metal", "plate")]
    exemplars = (
        (style, name, make_photo(64, 64, seed), None) for seed, (style, name) in enumerate(names, 10)
    )
    bank = StyleBank.build(network, exemplars)
    path = tmp_path_factory.mktemp("checkpoint") / "tiny.safetensors"
    return save_checkpoint(path, Checkpoint(network, bank, {"recipe": "random"}))
