"""A folder of a new style, and the command that adds it."""

from pathlib import Path

import pytest

from tests.styles.making import photo_of


@pytest.fixture
def add(run, checkpoint, tmp_path):
    """Add the styles of a folder to the tiny checkpoint, as `out.safetensors`."""

    def call(folder, *options):
        return run("add", checkpoint, "--styles", folder, "--out", tmp_path / "out.safetensors", *options)

    return call


@pytest.fixture
def rust(tmp_path) -> Path:
    """A folder of one style, rust, with four photos."""
    for seed in range(4):
        photo_of(tmp_path / "styles", "rust", f"{seed}.png", seed=seed)
    return tmp_path / "styles"
