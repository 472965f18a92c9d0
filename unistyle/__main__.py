"""The command `unistyle`: a table of commands, each in a module that is imported when it is asked for."""

import difflib
import sys
from importlib import import_module

from unistyle import __version__
from unistyle.streams import sturdy

COMMANDS = {
    "infer": "restyle the materials of photos and videos",
    "train": "train a checkpoint, new styles or new materials",
    "bank": "what styles a checkpoint holds: list, add, remove, rename, merge, export",
    "evaluate": "measure a checkpoint on annotated photos, and make sheets to look at",
    "export": "write a checkpoint as an ONNX or torch.export program, and check it",
    "demo": "a page in the browser to try a checkpoint on",
    "gatys": "restyle photos by optimisation, for comparison",
    "saliency": "make masks of materials from image-level labels",
}


def usage() -> str:
    """What `unistyle --help` prints."""
    width = max(map(len, COMMANDS))
    rows = "\n".join(f"  {name:{width}}  {text}" for name, text in COMMANDS.items())
    return (
        "usage: unistyle COMMAND ...\n\n"
        "Finds a material in a photo and restyles it, in one forward pass of one network.\n\n"
        f"commands:\n{rows}\n\nunistyle COMMAND --help explains every setting; unistyle --version says the version.\n\n"
        "example:\n  unistyle infer --samples --to stone --out out"
    )


def main(argv: list[str] | None = None) -> int:
    """Run a command; returns its exit code: 0 done, 1 done in part, 2 bad usage or input, 130 interrupted."""
    with sturdy():
        return _main(argv)


def _main(argv: list[str] | None) -> int:
    name, *rest = (sys.argv[1:] if argv is None else argv) or ["--help"]
    if name in ("-h", "--help", "--version"):
        print(__version__ if name == "--version" else usage())
        return 0
    if name not in COMMANDS:
        close = difflib.get_close_matches(name, COMMANDS, n=1)
        guess = f" Did you mean {close[0]!r}?" if close else ""
        print(
            f"unistyle: error: unknown command {name!r}.{guess} Wanted one of {', '.join(COMMANDS)}",
            file=sys.stderr,
        )
        return 2
    return import_module(f"unistyle.commands.{name}").main(rest)


if __name__ == "__main__":
    sys.exit(main())
