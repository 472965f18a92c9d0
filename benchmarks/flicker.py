"""Flicker of restyled videos, with and without smoothing, and what smoothing costs.

    OMP_NUM_THREADS=1 python -m benchmarks.flicker

Clips are made of sample photos of scikit-image, or of `--photo`, so that all motion is known. `still` is a still
picture. `pan` is a window that moves over it by a few pixels in each frame. `object` is an oval cut out of it, which
moves over a still background, the cat. The noise of a sensor is added to each frame.

`flicker` is the mean absolute difference between a frame and the one before it, in 8-bit steps, where either is
restyled. The one before is moved first, as the picture is known to have moved. There is one line for the input, and
one for each way to restyle the frames: each by itself (`alone`, which chooses its own exemplar as well), with a memory
that smooths nothing (`0`), with one that smooths, and with one that averages masks where something moves as well
(`everywhere`). `largest` is the largest of the same differences, and `mask` is their mean for the masks, over the
frame. `IU` compares the masks with those of `alone`, which do not lag; the worst frame is in brackets.
"""

import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import numpy as np
import torch
from PIL import Image

from unistyle import UniStyle
from unistyle.checkpoint.shipped import default_checkpoint
from unistyle.commands.arguments import argument, number, parser_of, read, run, whole_number
from unistyle.files.photos import read_image
from unistyle.files.samples import sample_photos
from unistyle.restyle.plan import Plan
from unistyle.video import memory
from unistyle.video.memory import SMOOTHING, Memory

NAME = "python -m benchmarks.flicker"
# Pixels down and right from frame to frame: any, and whole positions at strides 2 and 4.
STEPS = ((2, 3), (0, 4))
EVERYWHERE = mock.patch.object(memory, "stillness", return_value=1.0)


@dataclass
class Settings:
    """Measure the flicker of restyled videos, with and without smoothing, and what smoothing costs.

    OMP_NUM_THREADS=1 python -m benchmarks.flicker
    """

    checkpoint: str = argument(default_checkpoint(), metavar="PATH")
    """File, folder or hub id."""
    photo: Path | None = None
    """What the clips are made of. Without it, the cup of coffee: fur is none of the materials, so that little of the
    cat is restyled."""
    style: str = "stone"
    """A style of the bank."""
    frames: int = argument(50, type=whole_number(2))
    """Length of the clips."""
    size: list[int] = argument([256, 192], type=whole_number(32), nargs=2, metavar=("WIDTH", "HEIGHT"))
    """Size of the frames in pixels."""
    noise: float = 2.0
    """Standard deviation of the noise in 8-bit steps."""
    smoothing: float = argument(SMOOTHING, type=number(float, 0, 1 - 1e-9, "a number from 0 to below 1"))
    """Smoothing of the memory that smooths."""


class Clip(NamedTuple):
    """Frames whose motion is known."""

    frames: np.ndarray
    """uint8 `n h w 3`."""
    moved: Callable[[np.ndarray, int], np.ndarray]
    """Takes what was in frame i - 1, `h w ...`, to where it is in frame i. The rest is NaN."""


def pan(photo: np.ndarray, count: int, height: int, width: int, step: tuple[int, int]) -> Clip:
    """A window that moves over a photo. Without a step it is a still picture."""
    corners = [(step[0] * i, step[1] * i) for i in range(count)]
    frames = np.stack([photo[y : y + height, x : x + width] for y, x in corners])

    def moved(before: np.ndarray, i: int) -> np.ndarray:
        after = np.full(before.shape, np.nan)
        after[: height - step[0], : width - step[1]] = before[step[0] :, step[1] :]
        return after

    return Clip(frames, moved)


def moving_object(photo: np.ndarray, background: np.ndarray, count: int, height: int, width: int) -> Clip:
    """An oval of a photo that moves over a background, right and back again."""
    y, x = np.mgrid[:height, :width]
    oval = ((y - height / 2) / (0.4 * height)) ** 2 + ((x - width / 4) / (0.2 * width)) ** 2 < 1
    way = [round(width / 4 * (1 - np.cos(2 * np.pi * i / count))) for i in range(count)]
    masks = [np.roll(oval, d, 1) for d in way]
    still, there = background[:height, :width], photo[:height, :width]
    frames = np.stack(
        [np.where(m[..., None], np.roll(there, d, 1), still) for m, d in zip(masks, way, strict=True)]
    )

    def moved(before: np.ndarray, i: int) -> np.ndarray:
        after = np.where(_like(masks[i - 1], before), np.nan, before.astype(float))
        shifted = np.roll(before, way[i] - way[i - 1], 1)
        return np.where(_like(masks[i], before), shifted, after)

    return Clip(frames, moved)


def _like(mask: np.ndarray, image: np.ndarray) -> np.ndarray:
    return mask.reshape(*mask.shape, *[1] * (image.ndim - 2))


def with_noise(clip: Clip, amount: float) -> Clip:
    """A clip with noise of this standard deviation, in 8-bit steps, anew in each frame."""
    noise = np.random.default_rng(0).normal(0, amount, clip.frames.shape)
    return clip._replace(frames=(clip.frames + noise).round().clip(0, 255).astype(np.uint8))


def restyled(model: UniStyle, clip: Clip, plan: Plan, memory: Memory | None) -> tuple[np.ndarray, np.ndarray]:
    """Frames `n h w 3` and masks `n h w`, uint8."""
    results = [model.restyle(Image.fromarray(frame), plan, memory=memory) for frame in clip.frames]
    return tuple(np.stack([np.asarray(part) for part in parts])
                 for parts in zip(*((r.image, r.mask) for r in results), strict=True))  # fmt: skip


def changes(frames: np.ndarray, clip: Clip, masks: np.ndarray | None = None) -> np.ndarray:
    """All differences of frames from those before them, where either is inside its mask. Without masks, anywhere."""
    parts = []
    for i in range(1, len(frames)):
        difference = np.abs(frames[i] - clip.moved(frames[i - 1], i))
        if masks is not None:
            difference = difference[(masks[i] > 0) | (clip.moved(masks[i - 1], i) > 0)]
        parts.append(difference[np.isfinite(difference)])
    return np.concatenate(parts)


def agreement(masks: np.ndarray, alone: np.ndarray) -> str:
    """Intersection over union of masks, the mean over the frames and the worst."""
    a, b = masks > 127, alone > 127
    each = (a & b).sum((1, 2)) / np.maximum(1, (a | b).sum((1, 2)))
    return f"{each.mean():.3f} ({each.min():.3f})"


def line(name: str, frames: np.ndarray, masks: np.ndarray, clip: Clip, alone: np.ndarray | None) -> str:
    """One line of the table."""
    change, of_masks = changes(frames, clip, masks), changes(masks, clip)
    start = f"| {name} | {change.mean():.2f} | {change.max():.0f} |"
    return start + (" | |" if alone is None else f" {of_masks.mean():.2f} | {agreement(masks, alone)} |")


def report(model: UniStyle, name: str, clip: Clip, style: str, smoothing: float) -> None:
    """Print the lines of one clip."""
    plan = model.plan(style, everywhere=True)
    alone = restyled(model, clip, plan, None)
    print(line(f"{name}: input", clip.frames, alone[1], clip, None), flush=True)
    print(line("alone", *alone, clip, alone[1]), flush=True)
    variants = (("0", 0, nullcontext()), (f"{smoothing}", smoothing, nullcontext()),
                (f"{smoothing} everywhere", smoothing, EVERYWHERE))  # fmt: skip
    for label, amount, context in variants:
        with context:
            print(line(label, *restyled(model, clip, plan, Memory(amount)), clip, alone[1]), flush=True)


def sample(name: str) -> Image.Image:
    """A sample photo by its name."""
    return read_image(next(path for path in sample_photos() if path.stem == name))


def clips(photo: Image.Image, count: int, height: int, width: int, amount: float) -> dict[str, Clip]:
    """All clips by their names; amount: of noise."""
    background = np.asarray(sample("chelsea").resize((width, height)))
    own = {"still": pan(np.asarray(photo), count, height, width, (0, 0))}
    for step in STEPS:
        large = photo.resize((width + step[1] * count, height + step[0] * count))
        own[f"pan {step[0]}, {step[1]}"] = pan(np.asarray(large), count, height, width, step)
    small = np.asarray(photo.resize((width, height)))
    own["object"] = moving_object(small, background, count, height, width)
    return {"still, no noise": own["still"]} | {name: with_noise(clip, amount) for name, clip in own.items()}


def measure(settings: Settings) -> None:
    photo = read_image(settings.photo) if settings.photo else sample("coffee")
    model = UniStyle.from_pretrained(settings.checkpoint, "cpu")
    width, height = settings.size
    print(f"{settings.frames} frames of {width} x {height}, threads {torch.get_num_threads()}\n")
    print("| clip, smoothing | flicker | largest | mask | IU |\n|---|---|---|---|---|")
    for name, clip in clips(photo, settings.frames, height, width, settings.noise).items():
        report(model, name, clip, settings.style, settings.smoothing)


def main(argv: list[str] | None = None) -> int:
    return run(NAME, lambda: measure(read(parser_of(NAME, Settings), Settings, argv)))


if __name__ == "__main__":
    sys.exit(main())
