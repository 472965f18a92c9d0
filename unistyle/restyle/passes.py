"""The network on stacks of photos: in one pass, or in tiles."""

from typing import NamedTuple

from torch import Tensor

# Pixels that one pass takes, at some 400 bytes each on a CPU; more go in tiles.
PIXELS_AT_ONCE = {"cpu": 2**21}
PIXELS_AT_ONCE_ELSEWHERE = 2**24
LEAST_AT_ONCE = 2**18  # where memory does not suffice for this, tiles do not help


class Restyled(NamedTuple):
    """What the network gave: found regions `b m . .`, the plan's regions `b k . .`, rows of the chosen styles (b
    lists of k), and the restyled photo at its working size, float or uint8 `b 3 . .`."""

    found: Tensor
    regions: Tensor
    chosen: list[list[int]]
    image: Tensor
