"""What all commands share: settings as a dataclass, the parser for it, and exit codes.

The docstring under each field of a dataclass is its help, and whatever stands in the docstring of the class below its
first paragraph is printed at the end, as examples.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, field, fields
from inspect import cleandoc
from pathlib import Path
from textwrap import indent
from typing import Any, TypeVar, get_type_hints

from docstring_parser import parse_from_object

from unistyle.errors import CheckpointError, OutputError, ProcessLostError, UniStyleError
from unistyle.streams import sturdy

Settings = TypeVar("Settings")
# A command by its name: its settings, and what carries it out and returns the exit code (None: 0).
Commands = Mapping[str, tuple[type, Callable[[Any], int | None]]]
EXAMPLES = "examples:\n"


def argument(default: Any = MISSING, positional: bool = False, **options: Any) -> Any:
    """A field that argparse needs to be told more about than its name, its type and its default.

    positional: it has no flag. options: those of `argparse.ArgumentParser.add_argument`.
    """
    about = {"positional": positional, "options": options}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=about)
    return field(default=default, metadata=about)


def number(kind: type, low: float = float("-inf"), high: float = float("inf"), what: str = "") -> Callable:
    """The type of an argument that is a number from `low` to `high`; what: the words for it in the error."""

    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"got {text!r}; wanted {what}")
        return value

    return parse


def whole_number(low: int) -> Callable[[str], int]:
    """The type of an argument that is a whole number from `low` up."""
    return number(int, low, what=f"a whole number from {low} up")


def text(given: str) -> str:
    """The type of an argument that is a text. An empty one is refused: it comes of a variable that is not set, and
    would stand for the current folder, or for nothing."""
    if not given.strip():
        raise argparse.ArgumentTypeError(
            f"got {given!r}, which is empty; give a value (is a variable not set?)"
        )
    return given


def path(given: str) -> Path:
    """The type of an argument that is a path; an empty one is refused as in `text`."""
    return Path(text(given))


def file_of(*suffixes: str) -> Callable[[str], Path]:
    """The type of an argument that is a file with one of these endings."""

    def parse(given: str) -> Path:
        if path(given).suffix.lower() not in suffixes:
            raise argparse.ArgumentTypeError(
                f"got {given!r}; wanted a name that ends in {' or '.join(suffixes)}"
            )
        return Path(given)

    return parse


def png(given: str) -> Path:
    """The type of an argument that is a PNG to write. An ending of another format is refused; without one it is a PNG
    all the same."""
    return path(given) if not Path(given).suffix else file_of(".png")(given)


def checkpoint_out(given: str) -> Path:
    """The type of an argument that is the place of a new checkpoint, so that a wrong one is refused before the work."""
    # PyTorch comes with it, which not every command needs.
    from unistyle.checkpoint.checkpoint import checkpoint_file

    try:
        checkpoint_file(path(given))
    except CheckpointError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return Path(given)


ROWS = file_of(".csv", ".json")  # of scores


def parser_of(program: str, kind: type) -> argparse.ArgumentParser:
    """The parser of one command, whose settings are the dataclass `kind`."""
    return _filled(argparse.ArgumentParser(prog=program, **_described(kind)), kind)


def parser_of_commands(program: str, description: str, commands: Commands) -> argparse.ArgumentParser:
    """The parser of a command that has commands of its own."""
    first = [_examples(kind).partition("\n")[0] for kind, _ in commands.values()]  # one of each command
    parser = argparse.ArgumentParser(
        prog=program, description=description, epilog=_epilog("\n".join(first)), formatter_class=Layout
    )
    each = parser.add_subparsers(
        required=True, metavar="|".join(commands), dest="command", help="one of these:"
    )
    for name, (kind, _) in commands.items():
        about = _described(kind)
        _filled(each.add_parser(name, help=about["description"], **about), kind)
    return parser


def read(parser: argparse.ArgumentParser, kind: type[Settings], argv: Sequence[str] | None) -> Settings:
    """The settings that a command line gives. Ends with exit code 2, as argparse does, where it cannot be used."""
    return kind(**vars(parser.parse_args(argv)))


def run_command(
    program: str, parser: argparse.ArgumentParser, commands: Commands, argv: Sequence[str] | None
) -> int:
    """Carry out one of the commands of a command; returns its exit code. Errors name both: `unistyle bank add`."""
    given: dict[str, Any] = {}
    code = run(program, lambda: given.update(vars(parser.parse_args(argv))))
    if not given:
        return code
    name = given.pop("command")
    kind, carry_out = commands[name]
    return run(f"{program} {name}", lambda: carry_out(kind(**given)))


def run(program: str, work: Callable[[], int | None]) -> int:
    """The exit code of what a user has asked for: 0 if it was done, or what `work` says (1: done, but not for all);
    2 if it cannot be done as it was given; 130 if it was interrupted. What a user can put right is said in one line;
    only an error of the program itself shows a traceback. What it prints never ends the work (`unistyle.streams`)."""
    with sturdy():
        return _run(program, work)


def _run(program: str, work: Callable[[], int | None]) -> int:
    try:
        return work() or 0
    except SystemExit as stop:  # of argparse, which has said why
        return stop.code if isinstance(stop.code, int) else 2
    except KeyboardInterrupt:
        print("stopped: interrupted, nothing half written", file=sys.stderr)
        return 130
    except (ProcessLostError, OutputError) as error:
        print(f"stopped: {error}", file=sys.stderr)
        return 1
    except ImportError as error:  # of an extra, which was not installed
        print(f"{program}: error: {error}; pip install 'unistyle[{extra_of(error)}]'", file=sys.stderr)
    # Unusable settings, files and devices are all ValueErrors, an OSError is a folder or a file that cannot be read or
    # written, and a FloatingPointError is a term of an objective that is not finite.
    except (UniStyleError, ValueError, OSError, FloatingPointError) as error:
        print(f"{program}: error: {error}", file=sys.stderr)
    return 2


EXTRAS = {
    "onnx": ("onnx", "onnxscript", "onnxruntime", "onnx_ir"),
    "demo": ("gradio",),
    "video": ("av",),
    "experiments": ("matplotlib", "markdown"),
}


def extra_of(error: ImportError) -> str:
    """The extra that brings a missing module. Raises the error again for a module that no extra brings."""
    missing = (error.name or "").partition(".")[0]
    for extra, modules in EXTRAS.items():
        if missing in modules:
            return extra
    raise error


def read_settings(kind: type[Settings], program: str, argv: Sequence[str] | None) -> Settings:
    """Settings of a dataclass, which may hold others, from `--config FILE.yaml` and dotted flags. An unknown key, a
    wrong type or an empty text (`text`) ends with its name and exit code 2."""
    parser = settings_parser(kind, program)
    settings = parser.parse_args(argv)
    settings.pop("config", None)
    for name, value in settings.items():
        if any(
            isinstance(each, str) and not each.strip()
            for each in (value if isinstance(value, list) else [value])
        ):
            parser.error(f"argument --{name}: got an empty text; give a value (is a variable not set?)")
    return kind(**parser.instantiate(settings).as_dict())


def settings_parser(kind: type, program: str) -> Any:
    """The parser of `read_settings`."""
    # Takes longer than most commands.
    from jsonargparse import ArgumentParser, DefaultHelpFormatter, set_parsing_settings

    class SettingsLayout(Layout, DefaultHelpFormatter):
        """Adds the type and the default of each setting."""

    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = ArgumentParser(prog=program, **(_described(kind) | {"formatter_class": SettingsLayout}))
    parser.add_argument("--config", action="config", help="YAML file with any of the settings below.")
    parser.add_class_arguments(kind, nested_key=None, as_group=False)
    return parser


class Layout(argparse.HelpFormatter):
    """Fills texts to the width of the terminal, and leaves the lines of examples as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text.startswith(EXAMPLES) else super()._fill_text(text, width, indent)


def _described(kind: type) -> dict[str, Any]:
    description = " ".join(cleandoc(kind.__doc__ or "").partition("\n\n")[0].split())
    return dict(description=description, epilog=_epilog(_examples(kind)), formatter_class=Layout)


def _examples(kind: type) -> str:
    return cleandoc(kind.__doc__ or "").partition("\n\n")[2]


def _epilog(examples: str) -> str:
    return EXAMPLES + indent(examples, "  ") if examples else ""


def _filled(parser: argparse.ArgumentParser, kind: type) -> argparse.ArgumentParser:
    texts, types = explanations(kind), get_type_hints(kind)
    for each in fields(kind):
        _add(parser, each, types[each.name], texts.get(each.name, ""))
    return parser


def explanations(kind: type) -> dict[str, str]:
    """The docstrings under the fields of a dataclass and of those that it inherits from."""
    found: dict[str, str] = {}
    for cls in reversed(kind.__mro__[:-1]):
        found |= {param.arg_name: param.description or "" for param in parse_from_object(cls).params}
    return found


def _add(parser: argparse.ArgumentParser, each: Field, kind: Any, text: str) -> None:
    options = dict(help=" ".join(text.split()), **each.metadata.get("options", {}))
    default = each.default_factory() if each.default_factory is not MISSING else each.default
    required = default is MISSING
    if not required:
        options["default"] = default
    if kind is bool:
        options["action"] = "store_true"
    else:
        options.setdefault("type", _plain(kind))
    if default not in (MISSING, None, False, []) and options.get("action") != "append":
        options["help"] += " Default: %(default)s."
    if each.metadata.get("positional"):
        parser.add_argument(each.name, **options)
    else:
        flag = "--" + each.name.rstrip("_").replace("_", "-")
        parser.add_argument(flag, dest=each.name, required=required, **options)


def _plain(kind: Any) -> Any:
    """What makes a value of a text: of `list[Path]`, `Path | None` and the like that of the plain type inside."""
    plain = kind
    while inside := [part for part in getattr(plain, "__args__", ()) if part is not type(None)]:
        plain = inside[0]
    return {int: int, float: float, Path: path}.get(plain, text)
