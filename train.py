"""Photos in material folders -> a safetensors checkpoint. See configs/materials.yaml for every setting.

python train.py --config configs/materials.yaml
accelerate launch train.py --config configs/materials.yaml --optimizer.steps 8000
"""

from unistyle.config import TrainConfig, read_settings


def parse(argv: list[str] | None = None) -> TrainConfig:
    """The settings from YAML and dotted flags; an unknown key or a wrong type ends with its name and exit code 2."""
    return read_settings(TrainConfig, "train.py", __doc__.splitlines()[0], argv)


def main(argv: list[str] | None = None) -> None:
    config = parse(argv)
    from unistyle.training import train  # heavy: after the settings are known to be right

    train(config)


if __name__ == "__main__":
    main()
