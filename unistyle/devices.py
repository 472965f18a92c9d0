"""Where and how precisely a network runs."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch
from accelerate import PartialState

# What launchers say to each process. An empty variable, as a shell or a job file leaves behind, says nothing.
LEAST = {"RANK": 0, "LOCAL_RANK": 0, "WORLD_SIZE": 1, "LOCAL_WORLD_SIZE": 1}
T = TypeVar("T")
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def launched(name: str, default: int) -> int:
    """The whole number that a launcher has set, or `default`. A variable that is empty is removed, because Accelerate
    would read it too. Raises ValueError for one that is no number, or too small."""
    text = os.environ.get(name, "").strip()
    if not text:
        os.environ.pop(name, None)
        return default
    if not text.lstrip("-").isdecimal() or (int(text) < LEAST[name] and (name, text) != ("LOCAL_RANK", "-1")):
        raise ValueError(
            f"the variable {name} is {text!r}; wanted a whole number from {LEAST[name]} up. A launcher sets it; "
            f"without one, unset {name}"
        )
    return int(text)


def check_launch() -> None:
    """Raises ValueError where the variables of a launcher cannot be used."""
    for name in LEAST:
        launched(name, 0)


def pick_device(name: str | torch.device = "auto") -> torch.device:
    """The device of a name, or for `auto` the one that Accelerate gives this process.

    Raises ValueError for a device that this machine does not have: a run never moves to the CPU in silence. The device
    `meta` of PyTorch has shapes and no values, so that nothing can be computed on it.
    """
    check_launch()
    if name == "auto":
        return PartialState().device
    try:
        device = torch.device(name)
        if device.type == "meta":
            raise ValueError("it holds no values")
        torch.empty(1, device=device)
    # PyTorch without CUDA asserts, a driver that is missing or an index too high is a RuntimeError.
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"device {str(name)!r} is not usable here ({reason}); give auto, cpu, or one that is"
        ) from error
    # A process of several under `accelerate launch` takes its own card where the index is left open.
    own = PartialState().device
    return own if device.type != "cpu" and str(device) == own.type else device


def pick_precision(name: str) -> torch.dtype:
    """The dtype of fp32, bf16 or fp16."""
    if name not in PRECISIONS:
        raise ValueError(f"precision {name!r}; wanted one of {', '.join(PRECISIONS)}")
    return PRECISIONS[name]


def cores() -> int:
    """CPU cores that this process may use; the processes that a launcher has started on this machine share them."""
    every = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, every // launched("LOCAL_WORLD_SIZE", 1))


@contextmanager
def one_core_each(threads: int) -> Iterator[ThreadPoolExecutor]:
    """Threads, each of which computes on its own core alone. All others compute on as many cores as before: a thread
    that asks for its number the first time takes the last one that any has set, so it is asked now, and set back."""
    every = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield pool
    finally:
        torch.set_num_threads(every)


def map_on_cores(function: Callable, *items: Iterable) -> Iterator:
    """`map` with a thread for each core, each of which computes on its own core alone; results in order, as soon as
    those before them are there."""
    calls = list(zip(*items, strict=True))
    if len(calls) < 2:
        yield from (function(*call) for call in calls)
        return
    with one_core_each(cores()) as pool:
        yield from pool.map(lambda call: function(*call), calls)


def ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items, each made by a thread while the one before is used. What a thread draws from a generator of
    random numbers must be drawn from it nowhere else meanwhile."""
    with one_core_each(1) as pool:
        waiting = pool.submit(next, items, None)
        while (item := waiting.result()) is not None:
            waiting = pool.submit(next, items, None)
            yield item


def out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory ran out: PyTorch has one of its own on CUDA alone."""
    kinds = (MemoryError, torch.OutOfMemoryError)
    return isinstance(error, kinds) or "can't allocate memory" in str(error)
