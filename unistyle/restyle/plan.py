"""What becomes what, settled once for any number of photos."""

from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor

from unistyle.styles.codes import nearest

REST = "*"  # in a mapping: every material that it does not name


class Target(NamedTuple):
    """One region: the materials in it, and its candidate styles (names; codes `n d`)."""

    key: str
    materials: tuple[int, ...]
    names: tuple[str, ...]
    codes: Tensor


class Plan(tuple[Target, ...]):
    """What becomes what, resolved once and good for any number of photos."""


def choose(own: Tensor, plan: Plan, levels: tuple[int, ...]) -> tuple[Tensor, list[list[int]]]:
    """Codes `b k d` of the nearest candidates of each target to the photo's own codes `b k d`, and their
    rows."""
    codes, chosen = [], []
    for k, target in enumerate(plan):
        candidates = target.codes.to(own.device)
        row = nearest(own[:, k], candidates, levels)
        codes.append(candidates[row])
        chosen.append(row)
    return torch.stack(codes, dim=1), rearrange(torch.stack(chosen), "k b -> b k").tolist()
