"""Rows of results on disk. A study goes on where it stopped, and a second run costs nothing."""

import json
from collections.abc import Callable
from pathlib import Path

from unistyle.evaluation.rows import Row
from unistyle.files.digest import digest


class Results:
    """A file with one line of JSON for each result, which is found again by a hash of everything that decides it."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.kept: dict[str, Row] = {}
        if self.path.is_file():
            for line in self.path.read_text().splitlines():
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue  # a kill in the middle of a line: that result is made again
                self.kept[entry["key"]] = entry["row"]

    def get(self, key: tuple, make: Callable[[], Row]) -> Row:
        """The row that is kept under `key`, whose parts JSON can hold. Where there is none, `make()` makes it."""
        name = digest(*key)
        if name not in self.kept:
            self.kept[name] = make()
            with self.path.open("a") as file:
                file.write(json.dumps({"key": name, "row": self.kept[name]}) + "\n")
        return self.kept[name]
