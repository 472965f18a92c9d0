"""All kinds of damage, and how often each comes. Every damaged file is made by its number alone."""

from collections.abc import Callable

import numpy as np

from benchmarks.fuzz.damage import (
    Parts,
    Rng,
    cut_out,
    dtype_lies,
    entry_lies,
    extra_tensor,
    flip_data,
    flip_header,
    flip_length,
    garbage,
    garbage_header,
    insert,
    length_lies,
    offset_lies,
    same_bytes,
    same_count,
    shape_lies,
    special_numbers,
    tensor_names,
    truncate,
    zeros,
)
from benchmarks.fuzz.metadata import bank_lies, config_lies, metadata_lies, style_lies


def on_parts(change: Callable[[Rng, Parts], Parts]) -> Callable[[Rng, bytes], bytes]:
    return lambda rng, blob: change(rng, Parts.of(blob)).joined()


BYTES = (flip_header, flip_length, truncate, insert, cut_out, zeros, length_lies, garbage, garbage_header)
PARTS = (shape_lies, same_count, offset_lies, dtype_lies, same_bytes, tensor_names, extra_tensor, entry_lies,
         special_numbers, metadata_lies)  # fmt: skip
KINDS = {kind.__name__: kind for kind in BYTES} | {kind.__name__: on_parts(kind) for kind in PARTS}
OWN = {
    "checkpoint": {kind.__name__: on_parts(kind) for kind in (config_lies, bank_lies)}
    | {"flip_data": flip_data},
    "style": {"style_lies": on_parts(style_lies), "flip_data": flip_data},
}
SHARE = 0.5  # of the files that are checkpoints
# Weight of kinds in the choice; others have 1. Those after which a network is built each time take a hundred times as
# long.
WEIGHTS = {"config_lies": 4, "bank_lies": 2, "style_lies": 3, "metadata_lies": 2, "flip_data": 0.3, "same_bytes": 0.3,
           "extra_tensor": 0.3, "tensor_names": 0.5, "same_count": 0.4, "zeros": 0.5}  # fmt: skip


def make(number: int, bases: dict[str, bytes]) -> tuple[str, str, bytes]:
    """What the file of a number is, how it is damaged, and its bytes."""
    rng = np.random.default_rng(number)
    what = "checkpoint" if rng.random() < SHARE else "style"
    kinds = KINDS | OWN[what]
    weights = np.array([WEIGHTS.get(kind, 1) for kind in kinds])
    kind = str(rng.choice(list(kinds), p=weights / weights.sum()))
    return what, kind, kinds[kind](rng, bases[what])
