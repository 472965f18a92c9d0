"""python -m unistyle.experiments --config configs/experiments.yaml"""

from jsonargparse import ArgumentParser

from unistyle.experiments.config import ExperimentConfig


def parse(argv: list[str] | None = None) -> ExperimentConfig:
    parser = ArgumentParser(prog="python -m unistyle.experiments", description=__doc__)
    parser.add_argument("--config", action="config", help="YAML file with the settings below")
    parser.add_class_arguments(ExperimentConfig, nested_key=None, as_group=False)
    settings = parser.parse_args(argv)
    settings.pop("config", None)
    return ExperimentConfig(**parser.instantiate(settings).as_dict())


def main(argv: list[str] | None = None) -> None:
    config = parse(argv)
    from unistyle.experiments.study import run  # heavy: after the settings are known to be right

    run(config)


if __name__ == "__main__":
    main()
