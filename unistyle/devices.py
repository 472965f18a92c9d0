"""Where and how precisely a network runs."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import torch
from accelerate import PartialState

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def pick_device(name: str | torch.device = "auto") -> torch.device:
    """The device of a name, or for `auto` the one that Accelerate gives this process.

    Raises ValueError for a device that this machine does not have: a run never moves to the CPU in silence.
    """
    if name == "auto":
        return PartialState().device
    try:
        device = torch.device(name)
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
    return max(1, every // int(os.environ.get("LOCAL_WORLD_SIZE", 1)))


def map_on_cores(function: Callable, *items: Iterable) -> Iterable:
    """`map` with a thread for each core, each of which computes on its own core alone; results in order."""
    calls = list(zip(*items, strict=True))
    if len(calls) < 2:
        return (function(*call) for call in calls)
    with ThreadPoolExecutor(cores(), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        return pool.map(lambda call: function(*call), calls)


def out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory ran out: PyTorch has one of its own on CUDA alone."""
    kinds = (MemoryError, torch.OutOfMemoryError)
    return isinstance(error, kinds) or "can't allocate memory" in str(error)
