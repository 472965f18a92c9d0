"""Values that commands take."""

import argparse
from collections.abc import Callable


def whole_number(low: int) -> Callable[[str], int]:
    """The type of an argument that is a whole number from `low` up."""

    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < low:
            raise argparse.ArgumentTypeError(f"got {text!r}; wanted a whole number from {low} up")
        return int(text)

    return parse
