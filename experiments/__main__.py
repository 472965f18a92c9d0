"""python -m experiments --config configs/experiments.yaml"""

from experiments.config import ExperimentConfig
from unistyle.commands.arguments import read_settings


def parse(argv: list[str] | None = None) -> ExperimentConfig:
    return read_settings(ExperimentConfig, "python -m experiments", __doc__, argv)


def main(argv: list[str] | None = None) -> None:
    config = parse(argv)
    from experiments.study import run  # heavy: after the settings are known to be right

    run(config)


if __name__ == "__main__":
    main()
