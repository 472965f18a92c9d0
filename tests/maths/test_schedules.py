"""The one learning-rate schedule, against its formula and torch's own parts of it."""

import math

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR

from unistyle.maths.schedules import warm_cosine


def rates(make, steps: int, groups=(1.0,)) -> list[list[float]]:
    optimizer = torch.optim.SGD([{"params": [torch.zeros(1)], "lr": lr} for lr in groups])
    schedule, seen = make(optimizer), []
    for _ in range(steps):
        seen.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        schedule.step()
    return seen


def test_after_the_warm_up_it_is_torchs_cosine():
    steps, warmup = 60, 10
    ours = rates(lambda o: warm_cosine(o, steps, warmup, start=warmup), steps)

    def torchs(optimizer):
        linear = LinearLR(optimizer, start_factor=1 / warmup, total_iters=warmup - 1)
        cosine = CosineAnnealingLR(optimizer, T_max=steps - warmup)
        return SequentialLR(optimizer, [linear, cosine], milestones=[warmup])

    wanted = rates(torchs, steps)
    for got, want in zip(ours, wanted, strict=True):
        assert got == pytest.approx(want, abs=1e-9)


def test_every_group_falls_to_its_own_floor():
    steps = 50
    low = rates(lambda o: warm_cosine(o, steps, 5, start=5, floor=0.05), steps + 1, groups=(1.0, 0.1))[-1]
    assert low == pytest.approx([0.05, 0.005])


@pytest.mark.parametrize(
    ("warmup", "start", "floor"),
    [(10, 0, 0.0), (20, 0, 0.0), (100, 100, 0.05)],
    ids=["styles", "objects", "joint"],
)
def test_the_curves_of_the_three_trainings(warmup, start, floor):
    steps = 300
    got = rates(lambda o: warm_cosine(o, steps, warmup, start, floor), steps)
    for step, (rate,) in enumerate(got):
        t = max(0.0, (step - start) / (steps - start))
        cosine = floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * t))
        assert rate == pytest.approx(min(1.0, (step + 1) / warmup) * cosine, rel=1e-12)


def test_a_run_that_goes_on_warms_up_again_and_is_then_where_it_was():
    whole, rest = (rates(lambda o: warm_cosine(o, 60, 5, 5, 0.05, begin), 60 - begin) for begin in (0, 20))  # noqa: B023
    assert rest[5:] == [pytest.approx(rate) for rate in whole[25:]]
    assert [rate for (rate,) in rest[:5]] == pytest.approx(
        [rate * (step + 1) / 5 for step, (rate,) in enumerate(whole[20:25])]
    )


def test_a_run_that_is_shorter_than_its_warm_up_stays_finite():
    assert all(0 < rate <= 1 for (rate,) in rates(lambda o: warm_cosine(o, 3, 10, start=10), 3))
