"""Finds a material in a photo and restyles it, in one forward pass of one network."""

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unistyle.restyle.pipeline import UniStyle

__all__ = ["UniStyle", "__version__"]

try:
    __version__ = version("unistyle")
except PackageNotFoundError:  # run from a checkout that is not installed
    __version__ = "0+unknown"


def __getattr__(name: str) -> object:
    # Imported when asked for, so that `unistyle.features` and its like load without the network and timm.
    if name == "UniStyle":
        from unistyle.restyle.pipeline import UniStyle

        return UniStyle
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
