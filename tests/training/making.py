"""Photos of new materials, and what differs between two states."""

from pathlib import Path

import numpy as np
from PIL import Image

from unistyle.data.labelled import LabelledPhoto


def noise(channel: int, seed: int) -> Image.Image:
    """Noise in one channel."""
    pixels = np.zeros((72, 80, 3), np.uint8)
    pixels[..., channel] = np.random.default_rng(seed).integers(60, 256, (72, 80))
    return Image.fromarray(pixels)


def materials_in(root: Path, *names: str, count: int = 5, masks: Path | None = None) -> Path:
    """Folders of photos, each material noise in another channel; with white masks, if a folder for them is given."""
    for channel, name in enumerate(names):
        (root / name).mkdir(parents=True)
        for seed in range(count):
            noise(channel, seed).save(root / name / f"{seed}.png")
            if masks:
                path = masks / name / f"{seed}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("L", (80, 72), 255).save(path)
    return root


def photos_of(root: Path, masks: Path | None, *names: str, first: int = 0) -> list[LabelledPhoto]:
    return [
        LabelledPhoto(path, masks / name / path.name if masks else None, first + label)
        for label, name in enumerate(names)
        for path in sorted((root / name).iterdir())
    ]


def differing(before: dict, after: dict) -> set[str]:
    """What has other values; samples may have joined the bank."""
    assert before.keys() == after.keys() - {"bank.tiles", "bank.structure"}
    return {name for name in before if not before[name].equal(after[name])}
