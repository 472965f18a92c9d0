"""A tiny checkpoint with random weights, photos to try it on, and what a training run of seconds needs."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torchvision.models.vgg import cfgs, make_layers

from unistyle.checkpoint.checkpoint import Checkpoint, save_checkpoint
from unistyle.commands import bank
from unistyle.network.encoder import EncoderConfig
from unistyle.network.model import NetworkConfig, UniStyleNetwork
from unistyle.styles.bank import StyleBank

# Tests run on all cores at once (pytest-xdist), each with a thread of its own, and so do the commands that they start.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def make_photo(height: int = 48, width: int = 64, seed: int = 0) -> Image.Image:
    """A colourful RGB photo: a ramp, an edge and noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:1:height * 1j, 0:1:width * 1j]  # fmt: skip
    base = np.stack([x, y, (x > 0.4) & (y > 0.3)], axis=-1) * 230
    return Image.fromarray((base + rng.integers(0, 25, base.shape)).astype(np.uint8))


def annotated_folder(root: Path, materials: tuple[str, ...]) -> Path:
    """A small annotated folder: four photos a material, two of them in val, one with a full mask."""
    rng = np.random.default_rng(0)
    names = {"train": [], "val": []}
    for material in materials:
        for i in range(4):
            size = (48, 40) if i % 2 else (40, 48)
            mask = np.zeros(size[::-1], np.uint8)
            mask[8 : 8 * (i + 2), 6:30] = 255
            if i == 3:
                mask[:] = 255
            for kind, pixels in (
                ("image", rng.integers(0, 256, (*size[::-1], 3), dtype=np.uint8)),
                ("mask", mask),
            ):
                path = root / kind / material / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
            names["val" if i >= 2 else "train"].append(f"{material}/{i}")
    for split, lines in names.items():
        (root / f"{split}.txt").write_text("\n".join(lines))
    return root


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
                annotated=photos / "materials/mask", calibrate=tmp_path / "val.txt",
                crop=32, style_size="[32, 48]", photo_sizes="[[32, 48], [64, 64]]")  # fmt: skip
    (tmp_path / "val.txt").write_text("wool/1\nbrick/2\n")
    settings = {f"data.{k}": v for k, v in data.items()} | {
        "encoder.name": "mobilenetv2_050", "encoder.pretrained": "false", "teachers.vgg": vgg_weights,
        "teachers.gatys_pairs": 1, "teachers.gatys_iterations": 1, "teachers.gatys_cache": tmp_path / "gatys",
        "optimizer.batch": 2, "out": tmp_path / "run", "checkpoint": tmp_path / "c.safetensors", "preview_every": 2,
        "exemplars": 2, "save_minutes": 0,
    }  # fmt: skip
    return lambda steps, **more: [
        f"--{k}={v}" for k, v in (settings | {"optimizer.steps": steps, "optimizer.warmup": 2} | more).items()
    ]


@pytest.fixture
def run(capsys):
    """Run `python -m unistyle.bank` in this process: exit code, printed text, error text."""

    def call(*arguments):
        return bank.main([str(argument) for argument in arguments]), *capsys.readouterr()

    return call
