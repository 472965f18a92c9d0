"""Photos -> a checkpoint: everything from scratch, or new styles and new materials: `unistyle train`."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from unistyle.commands.arguments import read_settings, run
from unistyle.training.config import StyleConfig, TrainConfig
from unistyle.training.materials.config import SegmenterConfig, VocabularyConfig


def parse(argv: Sequence[str] | None = None) -> TrainConfig:
    """The settings of a training run from YAML and dotted flags. An unknown key or a wrong type ends with its name and
    exit code 2."""
    return read_settings(TrainConfig, "unistyle train", argv)


def joint(argv: Sequence[str]) -> int:
    """Train everything; the settings are TrainConfig. Exit code 1 where photos were left out, which were named at the
    start."""
    config = parse(argv)
    found = _segmenter_of(config)
    # Heavy: after the settings are known to be right.
    from unistyle.commands.samples import Samples, give_samples
    from unistyle.training.materials.segmenter import check_photos, train_segmenter
    from unistyle.training.trainer import train

    if found:
        check_photos(found)
    run = train(config)
    if not run.accelerator.is_main_process:  # which says for all whether photos were left out
        return 0
    named = run.photos.problems
    code = int(bool(named))
    if found:
        code = max(code, _named([problem for problem in train_segmenter(found) if problem not in named]))
    if config.synthesise:
        tiles, photos, vgg = Path(config.out) / "samples", Path(config.data.photos), config.teachers.vgg
        file = Path(config.checkpoint)
        give_samples(Samples(config.checkpoint, tiles, file, photos, Path(vgg) if vgg else None))
    return code


def _segmenter_of(config: TrainConfig) -> SegmenterConfig | None:
    """The settings of what the segmenter learns afterwards, in the checkpoint of this run and from its photos."""
    if config.segmenter is None:
        return None
    own = {"photos": config.data.photos, "split": config.data.split, "out": config.checkpoint}
    own["checkpoint"] = config.checkpoint
    flags = [f"--{name}={'null' if value is None else value}" for name, value in own.items()]
    return read_settings(
        SegmenterConfig, "unistyle train segmenter", [f"--config={config.segmenter}", *flags]
    )


def style(argv: Sequence[str]) -> int:
    """Fit new styles; the settings are StyleConfig."""
    config = read_settings(StyleConfig, "unistyle train style", argv)
    from unistyle.training.new_styles import train_styles

    return _named(train_styles(config))


def vocabulary(argv: Sequence[str]) -> int:
    """Train new materials; the settings are VocabularyConfig."""
    config = read_settings(VocabularyConfig, "unistyle train vocabulary", argv)
    from unistyle.training.materials.vocabulary import train_vocabulary

    return _named(train_vocabulary(config))


def segmenter(argv: Sequence[str]) -> int:
    """Train what the segmenter finds; the settings are SegmenterConfig."""
    config = read_settings(SegmenterConfig, "unistyle train segmenter", argv)
    from unistyle.training.materials.segmenter import train_segmenter

    return _named(train_segmenter(config))


def _named(problems: list[str]) -> int:
    """Say which photos could not be used; exit code 1 if there are any."""
    for problem in problems:
        print(f"not used: {problem}", file=sys.stderr)
    return int(bool(problems))


COMMANDS: dict[str, Callable[[Sequence[str]], int | None]] = {
    "style": style,
    "vocabulary": vocabulary,
    "segmenter": segmenter,
}


def main(argv: Sequence[str] | None = None) -> int:
    """0: done; 1: done without some photos, each named with its reason; 2: bad usage or input, nothing written;
    130: interrupted."""
    argv = sys.argv[1:] if argv is None else argv
    if argv and argv[0] in COMMANDS:
        return run(f"unistyle train {argv[0]}", lambda: COMMANDS[argv[0]](argv[1:]))
    return run("unistyle train", lambda: joint(argv))
