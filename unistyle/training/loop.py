"""What training loops share: progress, optimizer, schedule, averages."""

import math

import torch

from unistyle.network.model import UniStyleNetwork
from unistyle.training.config import OptimizerConfig


class Progress:
    """How far training has come; saved and restored with the rest of the state."""

    def __init__(self):
        self.step = 0

    def state_dict(self) -> dict:
        return {"step": self.step}

    def load_state_dict(self, state: dict) -> None:
        self.step = state["step"]


def make_optimizer(network: UniStyleNetwork, config: OptimizerConfig) -> torch.optim.Optimizer:
    """Adam, the pretrained encoder at a smaller rate."""
    encoder = [p for p in network.encoder.parameters() if p.requires_grad]
    heads = [p for part in (network.segmenter, network.stylizer) for p in part.parameters()]
    groups = [{"params": heads}, {"params": encoder, "lr": config.lr * config.encoder_lr}]
    return torch.optim.Adam(groups, lr=config.lr, betas=(0.9, 0.99))


def make_schedule(optimizer: torch.optim.Optimizer, config: OptimizerConfig):
    """Linear warm-up, then a cosine to a twentieth."""

    def factor(step: int) -> float:
        t = min(1.0, max(0.0, (step - config.warmup) / max(1, config.steps - config.warmup)))
        return min(1.0, (step + 1) / config.warmup) * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * t)))

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def moving_average(decay: float):
    """Exponential moving average of the weights that forgets the untrained ones: the decay grows to its value."""

    @torch.no_grad()
    def update(averaged, current, count) -> None:
        share = 1 - min(decay, (1 + float(count)) / (10 + float(count)))
        for mean, value in zip(averaged, current, strict=True):
            mean.lerp_(value, share)

    return update
