"""What the processes that a launcher has started agree upon."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar, cast

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list, gather_object

from unistyle.errors import ProcessLostError, UsageError

T = TypeVar("T")


def connect(device: str) -> PartialState:
    """This process's place among those that a launcher has started. Raises UsageError where they cannot work
    together."""
    # Accelerate brings processes together on the CPU only where it is told so. None waits for the slowest in vain.
    cpu = device == "cpu" or not torch.accelerator.is_available()
    state = PartialState(cpu=cpu, timeout=timedelta(days=365))
    started = int(os.environ.get("WORLD_SIZE", 1))
    if started != state.num_processes:
        raise UsageError(
            f"{started} processes were started, and {state.num_processes} can work together on {state.device}: each "
            "would do all photos; give --device cpu, or start one process"
        )
    return state


@contextmanager
def agreeing() -> Iterator[None]:
    """Raises ProcessLostError where another process has ended, so that nothing can be agreed upon."""
    try:
        yield
    except RuntimeError as error:  # of the connection to a process that has ended
        raise ProcessLostError("another process ended before its photos were done") from error


def disconnect() -> None:
    """Take leave of the other processes. Without it the threads of the connection sometimes abort a process at its
    very end, and a launcher then takes a finished run for one that failed."""
    PartialState().destroy_process_group()


def gather(value: T) -> list[T]:
    """The values of all processes, once each has come here."""
    if PartialState().num_processes == 1:
        return [value]
    with agreeing():
        return gather_object([value])


def agree(make: Callable[[], T]) -> T:
    """What `make` returns in this process. Where it fails in one of them, all raise UsageError with the reason: nobody
    waits for a process that is gone, and one process can say it for all."""
    made = reason = None
    try:
        made = make()
    except (ValueError, OSError) as error:
        reason = str(error) or type(error).__name__
    if reasons := [each for each in gather(reason) if each is not None]:
        raise UsageError(reasons[0])
    return cast(T, made)  # without a reason it was made


def broadcast(value: T) -> T:
    """The main process's value, in all processes."""
    box = [value]
    if PartialState().num_processes > 1:
        with agreeing():
            broadcast_object_list(box)
    return box[0]
