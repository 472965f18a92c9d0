"""What makes a CPU fast. Results stay as they are; there are two measures, each against a default that costs time.

Memory: by default glibc gives every large block back to the system and gets it anew for the next layer. That is up to
half of the time of a pass on some virtual machines. `keep_freed_memory` keeps up to 1 GiB in the process, and lets
oneDNN keep fewer of the kernels that it makes for each size of photo, at 0.4 MB each.

Convolutions of 1 x 1: on one thread PyTorch takes a plain matrix product, which took twice as long as oneDNN where
this was measured. `use_onednn` makes them take oneDNN.
"""

import ctypes
import os

import torch
from torch import Tensor, nn


def keep_freed_memory() -> None:
    """Have this process keep the memory of freed tensors for the next ones, where the C library is glibc.

    It is for a process that does nothing else than restyle, and has to be called before the first photo: it changes
    the allocator of the whole process. Where the C library is another one, nothing happens.
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
    """A 1 x 1 convolution through oneDNN, on one thread too."""

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
