"""Where and how precisely a network runs."""

import ctypes
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import torch
from accelerate import PartialState
from torch import Tensor, nn

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


def keep_freed_memory() -> None:
    """Have this process keep the memory of freed tensors for the next ones, where the C library is glibc.

    By default glibc gives every large block back to the system and gets it anew, page by page, for the next layer:
    up to half of the time of a pass on some virtual machines. Up to 1 GiB is kept. In turn oneDNN is to keep fewer of
    the kernels that it makes for each size of photo, 0.4 MB each.
    """
    os.environ.setdefault("DNNL_PRIMITIVE_CACHE_CAPACITY", "512")  # which oneDNN reads at its first kernel
    trim_threshold, mmap_max, arena_max = -1, -4, -8  # malloc.h
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    for parameter, value in ((mmap_max, 0), (trim_threshold, 2**30), (arena_max, 1)):
        mallopt(parameter, value)


class _Pointwise(nn.Conv2d):
    """A 1 x 1 convolution through oneDNN. On one thread PyTorch takes a plain matrix product instead, which took
    twice as long where this was measured."""

    def forward(self, x: Tensor) -> Tensor:
        plain = torch.is_grad_enabled() or torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu")
        if plain or x.dtype != torch.float32 or not x.is_cpu:
            return super().forward(x)
        return torch.mkldnn_convolution(x, self.weight, self.bias, (0, 0), (1, 1), (1, 1), 1)


def use_onednn(model: nn.Module) -> None:
    """Let every 1 x 1 convolution of a model take oneDNN on one thread too, in place."""
    if not torch.backends.mkldnn.is_available():
        return
    for module in model.modules():
        plain = type(module) is nn.Conv2d and module.groups == 1 and module.padding == (0, 0)
        if plain and module.kernel_size == module.stride == (1, 1):
            module.__class__ = _Pointwise
