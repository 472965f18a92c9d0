"""Two checkpoints pair by pair: `unistyle evaluate compare`."""

from dataclasses import dataclass
from pathlib import Path

from unistyle.commands.arguments import ROWS, argument
from unistyle.evaluation.rows import columns, differences, read_rows, shared_pairs


@dataclass
class Compare:
    """Compare two files of rows pair by pair, which shows differences that are far smaller than those of their means.

    unistyle evaluate compare before.json after.json
    """

    before: Path = argument(type=ROWS, metavar="BEFORE", positional=True)
    """Rows that a measurement has written with --out, as .csv or .json."""
    after: Path = argument(type=ROWS, metavar="AFTER", positional=True)
    """Rows of the same measurement of something else."""


def compare(settings: Compare) -> None:
    """Print how each score differs, over the pairs that both files have."""
    shared = shared_pairs(read_rows(settings.before), read_rows(settings.after))
    print(f"{len(shared)} pairs")
    print(columns(differences(shared)))
