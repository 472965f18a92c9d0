"""The study of the slides: `python -m experiments`."""

import sys
from collections.abc import Sequence

from experiments.config import ExperimentConfig
from unistyle.commands.arguments import read_settings, run


def parse(argv: Sequence[str] | None = None) -> ExperimentConfig:
    return read_settings(ExperimentConfig, "python -m experiments", argv)


def study(argv: Sequence[str] | None) -> None:
    config = parse(argv)
    from experiments.study import run as run_study  # heavy: after the settings are known to be right

    run_study(config)


def main(argv: Sequence[str] | None = None) -> int:
    """0: done; 2: bad usage or input; 130: interrupted."""
    return run("python -m experiments", lambda: study(argv))


if __name__ == "__main__":
    sys.exit(main())
