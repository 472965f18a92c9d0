"""What the processes that a launcher has started agree upon."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list, gather_object
from torch.distributed import rendezvous

from unistyle.devices import check_launch, launched
from unistyle.errors import ProcessLostError, UsageError

T = TypeVar("T")
PATIENCE = 300  # seconds in which all processes have to come: importing and queues take some of them minutes
FOREVER = timedelta(days=365)  # none waits in vain for the slowest to have done its photos
LISTEN = 0.2  # seconds between two moments in which signals are heard


def meet(patience: float = PATIENCE) -> dict[str, Any]:
    """Wait for the other processes that a launcher has started; returns what brings them together: settings of
    `torch.distributed.init_process_group`, none where this process is alone.

    Signals are heard meanwhile. Raises ProcessLostError where one has not come after `patience` seconds, and UsageError
    for variables of a launcher that cannot be used.
    """
    try:
        check_launch()
    except ValueError as error:
        raise UsageError(str(error)) from error
    number = launched("WORLD_SIZE", 1)
    if number == 1 or torch.distributed.is_initialized():
        return {}
    try:
        store, rank, size = _heard(lambda: next(rendezvous("env://", timeout=timedelta(seconds=patience))))
        # A launcher's own store is there before any process is, and says nothing of who has come. It stays when the
        # launcher starts its processes once more.
        here = f"unistyle/{os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}/"
        store.set(f"{here}{rank}", "here")
        _heard(lambda: store.wait([f"{here}{each}" for each in range(size)], timedelta(seconds=patience)))
        store.set_timeout(FOREVER)
    except ValueError as error:  # of the variables
        raise UsageError(f"the variables of a launcher do not go together: {error}") from error
    except RuntimeError as error:
        raise ProcessLostError(
            f"{number} processes are to work together (WORLD_SIZE), and after {patience:g} seconds they were not all "
            "here; start the others, or unset RANK and WORLD_SIZE to work alone"
        ) from error
    return dict(store=store, rank=rank, world_size=size)


def _heard(work: Callable[[], T]) -> T:
    """What `work` returns. It waits outside of Python, where no signal is heard, and so in a thread of its own, which
    is left to itself when a signal ends the wait."""
    made: list[T] = []
    failed: list[BaseException] = []

    def call() -> None:
        try:
            made.append(work())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(LISTEN)
    if failed:
        raise failed[0]
    return made[0]


def connect(device: str) -> PartialState:
    """This process's place among those that a launcher has started. Raises UsageError where they cannot work
    together, and ProcessLostError where one of them does not come."""
    together = meet()
    # Accelerate brings processes together on the CPU only where it is told so.
    cpu = device == "cpu" or not torch.accelerator.is_available()
    state = PartialState(cpu=cpu, timeout=FOREVER, **together)
    started = launched("WORLD_SIZE", 1)
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
