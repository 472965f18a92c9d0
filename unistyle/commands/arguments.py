"""Values that commands take."""

import argparse
from collections.abc import Callable
from typing import TypeVar

from jsonargparse import ArgumentParser


def whole_number(low: int) -> Callable[[str], int]:
    """The type of an argument that is a whole number from `low` up."""

    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < low:
            raise argparse.ArgumentTypeError(f"got {text!r}; wanted a whole number from {low} up")
        return int(text)

    return parse


Settings = TypeVar("Settings")


def read_settings(kind: type[Settings], program: str, description: str, argv: list[str] | None) -> Settings:
    """Settings of a dataclass from `--config FILE.yaml` and dotted flags; an unknown key or a wrong type ends with its
    name and exit code 2."""
    parser = ArgumentParser(prog=program, description=description)
    parser.add_argument("--config", action="config", help="YAML file with the settings below")
    parser.add_class_arguments(kind, nested_key=None, as_group=False)
    settings = parser.parse_args(argv)
    settings.pop("config", None)
    return kind(**parser.instantiate(settings).as_dict())
