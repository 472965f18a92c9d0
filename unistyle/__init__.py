"""Finds a material in a photo and restyles it, in one forward pass of one network."""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from unistyle.errors import (
    CheckpointError,
    ImageError,
    OutputError,
    ProcessLostError,
    StyleError,
    UniStyleError,
    UnknownNameError,
    UsageError,
)

if TYPE_CHECKING:
    from unistyle.restyle.finding import Found
    from unistyle.restyle.pipeline import UniStyle
    from unistyle.restyle.result import Result
    from unistyle.video.memory import Memory

__all__ = [
    "CheckpointError",
    "Found",
    "ImageError",
    "Memory",
    "OutputError",
    "ProcessLostError",
    "Result",
    "StyleError",
    "UniStyle",
    "UniStyleError",
    "UnknownNameError",
    "UsageError",
    "__version__",
]

# Imported when asked for, so that `import unistyle` and its smaller parts load without PyTorch and the network.
_LATER = {
    "Found": "unistyle.restyle.finding",
    "UniStyle": "unistyle.restyle.pipeline",
    "Result": "unistyle.restyle.result",
    "Memory": "unistyle.video.memory",
}

try:
    __version__ = version("unistyle")
except PackageNotFoundError:  # run from a checkout that is not installed
    __version__ = "0+unknown"


def __getattr__(name: str) -> object:
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
