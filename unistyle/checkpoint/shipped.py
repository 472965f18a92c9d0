"""The checkpoint that comes with the program."""

from pathlib import Path

NAME = "unistyle-materials.safetensors"


def default_checkpoint() -> Path:
    """The shipped checkpoint: the file of this checkout, or the one that was installed with the package."""
    package = Path(__file__).parents[1]
    checkout = package.parent / "checkpoints" / NAME
    return checkout if checkout.is_file() else package / "checkpoints" / NAME
