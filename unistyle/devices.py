"""Where and how precisely a network runs."""

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
