"""Memory that threads share."""

import threading
from collections import deque


class Budget:
    """Pixels that may be in memory at a time, shared by threads. One photo may be of any size when it is alone.

    Threads that wait are served in turn, because a large photo would wait for ever among small ones. A thread may only
    wait while it holds nothing: two threads that hold what the other waits for would wait for ever too.
    """

    def __init__(self, limit: int):
        self.limit, self.free, self._changed = limit, limit, threading.Condition()
        self._queue: deque[object] = deque()

    def take(self, pixels: int, wait: bool) -> bool:
        """Take pixels for a photo, at once or, with `wait`, when there is room. Returns whether they were taken."""
        pixels = min(pixels, self.limit)
        with self._changed:
            if self._queue or self.free < pixels:
                if not wait:
                    return False
                self._await_turn(pixels)
            self.free -= pixels
            return True

    def _await_turn(self, pixels: int) -> None:
        turn = object()
        self._queue.append(turn)
        self._changed.wait_for(lambda: self._queue[0] is turn and self.free >= pixels)
        self._queue.popleft()
        self._changed.notify_all()  # what is left may do for the next

    def give(self, pixels: int) -> None:
        """Give back what was taken for a photo."""
        with self._changed:
            self.free += min(pixels, self.limit)
            self._changed.notify_all()
