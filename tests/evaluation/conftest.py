"""An annotated folder, and a checkpoint that knows its materials."""

import pytest
import torch

from tests.helpers import annotated_folder
from unistyle.checkpoint.checkpoint import Checkpoint, save_checkpoint
from unistyle.network.encoder import EncoderConfig
from unistyle.network.model import NetworkConfig, UniStyleNetwork
from unistyle.styles.bank import StyleBank

MATERIALS = ("glass", "stone", "wood")


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    return annotated_folder(tmp_path_factory.mktemp("data"), MATERIALS)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = UniStyleNetwork(
            NetworkConfig(EncoderConfig("mobilenetv2_050", pretrained=False), MATERIALS)
        ).eval()
        codes = torch.rand(3, network.stylizer.code_size)
    bank = StyleBank(tuple((name, "0") for name in MATERIALS), codes)
    return save_checkpoint(tmp_path_factory.mktemp("checkpoint") / "c.safetensors", Checkpoint(network, bank))
