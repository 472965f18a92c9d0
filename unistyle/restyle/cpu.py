"""What makes a CPU fast."""

import ctypes
import os

import torch
from torch import Tensor, nn


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
