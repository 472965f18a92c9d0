"""What a program prints, when nobody listens: a pipe whose reader has left, a full disk, a stream that is closed, an
encoding without the letter. What was to be done is done all the same."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO


class Sturdy:
    """A stream of text that never fails: what cannot be encoded is written as an escape, and once it cannot be written
    to, the rest goes nowhere."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text; returns its length."""
        try:
            self._stream.write(text)
        except UnicodeEncodeError:
            code = self._stream.encoding
            self.write(text.encode(code, "backslashreplace").decode(code))
        except OSError:
            self._give_up()
        return len(text)

    def flush(self) -> None:
        """Hand on what was written."""
        try:
            self._stream.flush()
        except OSError:
            self._give_up()

    def _give_up(self) -> None:
        """What is still held back goes nowhere too, or Python would fail with it at its end."""
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def sturdy() -> Iterator[None]:
    """Within it, printing never fails."""
    kept = sys.stdout, sys.stderr
    # Python has None for a stream that was closed before it started (`2>&-`, pythonw, services).
    nowhere = [open(os.devnull, "w", encoding="utf-8") for each in kept if each is None]  # noqa: PTH123, SIM115
    left = iter(nowhere)
    streams = [next(left) if each is None else each for each in kept]
    sys.stdout, sys.stderr = (each if isinstance(each, Sturdy) else Sturdy(each) for each in streams)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = kept
        for each in nowhere:
            each.close()
