"""How a learning rate moves over a run."""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def warm_cosine(
    optimizer: Optimizer, steps: int, warmup: int, start: int = 0, floor: float = 0.0, begin: int = 0
) -> LambdaLR:
    """Linear warm-up over the first `warmup` steps, times a cosine from 1 at the step `start` to `floor` at `steps`.
    The first step of the warm-up is the step `begin` of the cosine.

    Both are shares of each parameter group's own rate, which torch's CosineAnnealingLR cannot say: its lowest rate is
    one number for all groups. Source: Loshchilov and Hutter, "SGDR", equation 5, without restarts.
    """

    def factor(step: int) -> float:
        t = min(1.0, max(0.0, (begin + step - start) / max(1, steps - start)))
        cosine = floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * t))
        return min(1.0, (step + 1) / max(1, warmup)) * cosine

    return LambdaLR(optimizer, factor)
