"""The tiny checkpoint as it is loaded, and photos of anything."""

import copy
from dataclasses import replace
from pathlib import Path

import pytest

from tests.helpers import make_photo
from unistyle.checkpoint.checkpoint import Checkpoint, load_checkpoint


@pytest.fixture(scope="module")
def loaded(checkpoint) -> Checkpoint:
    return load_checkpoint(checkpoint)


@pytest.fixture
def copied(loaded) -> Checkpoint:
    return replace(loaded, network=copy.deepcopy(loaded.network))


@pytest.fixture(scope="module")
def contents(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("contents")
    for seed in range(3):
        make_photo(72, 80, seed).save(folder / f"{seed}.png")
    return folder
