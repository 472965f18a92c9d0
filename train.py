"""Photos in material folders -> a safetensors checkpoint. See configs/materials.yaml for every setting.

python train.py --config configs/materials.yaml
accelerate launch train.py --config configs/materials.yaml --optimizer.steps 8000
"""

from jsonargparse import ArgumentParser

from unistyle.config import TrainConfig


def parse(argv: list[str] | None = None) -> TrainConfig:
    """The settings from YAML and dotted flags; an unknown key or a wrong type ends with its name and exit code 2."""
    parser = ArgumentParser(prog="train.py", description=__doc__.splitlines()[0])
    parser.add_argument("--config", action="config", help="YAML file with the settings below")
    parser.add_class_arguments(TrainConfig, nested_key=None, as_group=False)
    settings = parser.parse_args(argv)
    settings.pop("config", None)
    return TrainConfig(**parser.instantiate(settings).as_dict())


def main(argv: list[str] | None = None) -> None:
    config = parse(argv)
    from unistyle.training import train  # heavy: after the settings are known to be right

    train(config)


if __name__ == "__main__":
    main()
