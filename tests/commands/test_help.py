"""What `--help` says: every setting of every command is explained, and every command has an example."""

import argparse
from collections.abc import Iterator
from importlib import import_module

import pytest

from experiments.config import ExperimentConfig
from unistyle.__main__ import COMMANDS, main
from unistyle.commands.arguments import settings_parser
from unistyle.training.config import StyleConfig, TrainConfig
from unistyle.training.materials.config import SegmenterConfig, VocabularyConfig

TRAININGS = {
    "train": TrainConfig,
    "train style": StyleConfig,
    "train vocabulary": VocabularyConfig,
    "train segmenter": SegmenterConfig,
}


def parsers() -> Iterator[argparse.ArgumentParser]:
    """The parser of every command, and of the commands that it has."""
    for name in COMMANDS:
        if name != "train":
            yield from with_commands(import_module(f"unistyle.commands.{name}").parser())
    for name, kind in TRAININGS.items():
        yield settings_parser(kind, f"unistyle {name}")
    yield settings_parser(ExperimentConfig, "python -m experiments")


def with_commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.values()


PARSERS = {parser.prog: parser for parser in parsers()}


def test_all_commands_are_there():
    assert {
        "unistyle infer",
        "unistyle bank add",
        "unistyle evaluate style",
        "unistyle export onnx",
    } <= PARSERS.keys()
    assert len(PARSERS) >= 25


@pytest.mark.parametrize("parser", PARSERS.values(), ids=PARSERS)
def test_every_setting_is_explained(parser):
    silent = [
        action.dest
        for action in parser._actions
        if not (action.help or "").strip() and not isinstance(action, argparse._SubParsersAction)
    ]
    assert silent == []
    text = parser.format_help()
    for action in parser._actions:
        for flag in action.option_strings:
            assert flag in text


@pytest.mark.parametrize("parser", PARSERS.values(), ids=PARSERS)
def test_every_command_says_what_it_does_and_shows_an_example(parser):
    assert parser.description
    examples = parser.format_help().partition("\nexamples:\n")[2].splitlines()
    assert f"{examples[0]} ".startswith(f"  {parser.prog} ")


@pytest.mark.parametrize("parser", PARSERS.values(), ids=PARSERS)
def test_descriptions_are_filled_to_the_width_of_a_terminal(parser, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    before = parser.format_help().partition("\nexamples:\n")[0]
    description = before.partition("\n\n")[2].partition("\n\n")[0]
    assert " ".join(description.split()) == " ".join(parser.description.split())
    assert max(map(len, description.splitlines())) <= 80


def test_settings_say_their_type_and_default():
    text = " ".join(PARSERS["unistyle train style"].format_help().split())
    assert "Photos that stand for each style. (type: int, default: 3)" in text


@pytest.mark.parametrize("command", [[name] for name in COMMANDS] + [["train", "style"], ["bank", "add"]])
def test_help_ends_with_zero(command, capsys):
    assert main([*command, "--help"]) == 0
    assert f"usage: unistyle {' '.join(command)}" in " ".join(capsys.readouterr().out.split())
