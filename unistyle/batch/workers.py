"""Threads that share the pieces of some work, and how they end."""

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

from tqdm import tqdm

SAME = 2  # seconds in which another signal is the same one: a launcher passes on what the terminal has sent already

T = TypeVar("T")


class Workers(Generic[T]):
    """Threads that each take the next piece, until none is left, one thread fails or Ctrl-C comes."""

    def __init__(self, count: int, work: Callable[[T], object], begin: Callable[[], object] = lambda: None):
        """count: threads. work: what is done to each piece. begin: what each thread does first."""
        self.count, self.work, self.begin = count, work, begin
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._error: BaseException | None = None

    def run(self, pieces: Iterable[T]) -> BaseException | None:
        """Work through the pieces. Returns what stopped the work, for the caller to raise once all is put away: the
        first error of a thread, or KeyboardInterrupt after the pieces in work are finished. None: all is done.

        Raises KeyboardInterrupt for a second Ctrl-C, which does not wait for the pieces in work.
        """
        left = iter(pieces)
        threads = [
            threading.Thread(target=self._thread, args=(left,), daemon=True) for _ in range(self.count)
        ]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                while thread.is_alive():  # a wait without an end would not hear Ctrl-C
                    thread.join(0.1)
        except KeyboardInterrupt as interrupt:
            self._stop.set()
            self._error = interrupt
            tqdm.write("stopping: the photos in work are finished first", file=sys.stderr)
            _finish(threads, until=time.monotonic() + SAME)
        return self._error

    def _thread(self, left: Iterator[T]) -> None:
        try:
            self.begin()
            for piece in iter(lambda: self._next(left), None):
                self.work(piece)
        except BaseException as error:
            self._stop.set()
            self._error = self._error or error

    def _next(self, left: Iterator[T]) -> T | None:
        with self._lock:
            return None if self._stop.is_set() else next(left, None)


def on_interrupt(handler: Any) -> None:
    """What Ctrl-C does, and SIGTERM, by which a scheduler ends a run. Only the main thread can set it."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, handler)
        signal.signal(signal.SIGTERM, handler)


def _finish(threads: list[threading.Thread], until: float) -> None:
    """Wait for the threads to end; an interrupt after `until` is one more, and ends the wait."""
    while any(thread.is_alive() for thread in threads):
        try:
            time.sleep(0.05)
        except KeyboardInterrupt:
            if time.monotonic() > until:
                raise
