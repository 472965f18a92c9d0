"""A tiny checkpoint with random weights, photos to try it on, and what a training run of seconds needs."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings
from PIL import Image
from safetensors.torch import save_file
from torchvision.models.vgg import cfgs, make_layers

from tests.helpers import make_network, make_photo
from unistyle.checkpoint.checkpoint import Checkpoint, save_checkpoint
from unistyle.commands import bank
from unistyle.network.model import UniStyleNetwork
from unistyle.styles.bank import StyleBank
from unistyle.styles.samples import swatch_of

# The same examples each time: what fails once fails again.
settings.register_profile("same", derandomize=True, deadline=None, database=None)
settings.load_profile("same")

# Tests run on all cores at once (pytest-xdist), each with a thread of its own, and so do the commands that they start.
# With another number sums come out in another order, and a mask by 1 of 255.
torch.set_num_threads(int(os.environ.setdefault("OMP_NUM_THREADS", "1")))


@pytest.fixture(scope="session")
def network() -> UniStyleNetwork:
    return make_network()


@pytest.fixture(scope="session")
def checkpoint(network: UniStyleNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint file: materials leather, stone, metal; styles stone (quarry, wall) and metal (plate)."""
    names = [("stone", "quarry"), ("stone", "wall"), ("metal", "plate")]
    codes = [swatch_of(network, make_photo(64, 64, seed)).codes[0] for seed in range(10, 10 + len(names))]
    bank = StyleBank(tuple(names), torch.stack(codes))
    path = tmp_path_factory.mktemp("checkpoint") / "tiny.safetensors"
    return save_checkpoint(path, Checkpoint(network, bank, {"recipe": "random"}))


@pytest.fixture(scope="session")
def vgg_weights(tmp_path_factory):
    """A file of random VGG-19 weights."""
    path = tmp_path_factory.mktemp("vgg") / "vgg.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = make_layers(cfgs["E"])
    weights = {f"features.{k}": v for k, v in layers[:29].state_dict().items()}
    save_file({k: v.half() for k, v in weights.items()}, path)
    return path


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """Material folders with masks, and a folder of objects."""
    root, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for name in ("brick", "wool"):
        for number in range(3):
            for kind, shape in (("image", (60, 80, 3)), ("mask", (60, 80))):
                path = root / "materials" / kind / name / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(path)
    for kind, shape in (("image", (50, 50, 3)), ("mask", (50, 50))):
        path = root / "objects" / kind / "a.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(path)
    return root


@pytest.fixture
def recipe(photos, vgg_weights, tmp_path):
    """Command-line settings of a run of seconds."""
    data = dict(photos=photos / "materials/image", masks=photos / "materials/mask", objects=photos / "objects",
                annotated=photos / "materials/mask", calibrate=tmp_path / "val.txt", samples=tmp_path / "samples",
                crops="[32, 48]", small=0, style_size="[32, 48]", photo_sizes="[[32, 48], [64, 64]]")  # fmt: skip
    (tmp_path / "val.txt").write_text("wool/1\nbrick/2\n")
    settings = {f"data.{k}": v for k, v in data.items()} | {
        "encoder.name": "mobilenetv2_050", "encoder.pretrained": "false", "teachers.vgg": vgg_weights,
        "teachers.recogniser.name": "mobilenetv2_050", "teachers.recogniser.pretrained": "false",
        "teachers.gatys_pairs": 1, "teachers.gatys_iterations": 1, "teachers.gatys_cache": tmp_path / "gatys",
        "optimizer.batch": 2, "out": tmp_path / "run", "checkpoint": tmp_path / "c.safetensors", "preview_every": 2,
        "exemplars": 2, "save_minutes": 0,
    }  # fmt: skip
    return lambda steps, **more: [
        f"--{k}={v}" for k, v in (settings | {"optimizer.steps": steps, "optimizer.warmup": 2} | more).items()
    ]


@pytest.fixture
def run(capsys):
    """Run `unistyle bank` in this process: exit code, printed text, error text."""

    def call(*arguments):
        return bank.main([str(argument) for argument in arguments]), *capsys.readouterr()

    return call
