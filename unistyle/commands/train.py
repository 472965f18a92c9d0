"""Photos -> a safetensors checkpoint: everything from scratch, or new styles and new materials for a checkpoint.

python train.py --config configs/materials.yaml
python train.py style --styles rust/ --checkpoint checkpoints/unistyle-materials.safetensors --out rust.safetensors
python train.py vocabulary --photos mine/ --checkpoint checkpoints/unistyle-materials.safetensors --out mine.safetensors

The first reads folders of materials and can be launched by `accelerate launch`, with every setting in
configs/materials.yaml; the other two take minutes (docs/training.md).
"""

import sys

from unistyle.commands.arguments import read_settings
from unistyle.training.config import StyleConfig, TrainConfig, VocabularyConfig


def parse(argv: list[str] | None = None) -> TrainConfig:
    """The settings from YAML and dotted flags; an unknown key or a wrong type ends with its name and exit code 2."""
    return read_settings(TrainConfig, "train.py", __doc__, argv)


def joint(argv: list[str]) -> int:
    config = parse(argv)
    from unistyle.training.trainer import train  # heavy: after the settings are known to be right

    train(config)
    return 0


def style(argv: list[str]) -> int:
    config = read_settings(StyleConfig, "train.py style", StyleConfig.__doc__.splitlines()[0], argv)
    from unistyle.training.new_styles import train_styles

    return _named(train_styles(config))


def vocabulary(argv: list[str]) -> int:
    config = read_settings(
        VocabularyConfig, "train.py vocabulary", VocabularyConfig.__doc__.splitlines()[0], argv
    )
    from unistyle.training.new_materials import train_vocabulary

    return _named(train_vocabulary(config))


def _named(problems: list[str]) -> int:
    """Say which photos could not be used; exit code 1 if there are any."""
    for problem in problems:
        print(f"not used: {problem}", file=sys.stderr)
    return int(bool(problems))


def main(argv: list[str] | None = None) -> int:
    """0: done; 1: done without some photos, each named with its reason; 2: bad usage or input, nothing written."""
    argv = sys.argv[1:] if argv is None else argv
    kinds = {"style": style, "vocabulary": vocabulary}
    if not (argv and argv[0] in kinds):
        return joint(argv)
    try:
        return kinds[argv[0]](argv[1:])
    # A FloatingPointError is a term of the objective that is not finite.
    except (ValueError, OSError, FloatingPointError) as error:
        print(f"train.py {argv[0]}: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped: interrupted, nothing half written", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
