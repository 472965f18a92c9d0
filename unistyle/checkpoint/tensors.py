"""Safetensors files of a kind: written whole, read without trust."""

import re
from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from unistyle.checkpoint.header import brief, check_size
from unistyle.errors import CheckpointError
from unistyle.files.atomic import atomic

VERSION = 2  # the first one with samples; files of version 1 have none


class Kind(NamedTuple):
    """A kind of safetensors file."""

    format: str
    """The name of the kind in the file's header."""
    version: int
    """The highest version in a header that this program reads."""
    what: str
    """What it is called in messages."""
    maker: str
    """The command that makes such files."""
    use: str
    """The flags and commands that take such files."""


CHECKPOINT = Kind(
    "unistyle", VERSION, "UniStyle checkpoint", "unistyle train", "--checkpoint and unistyle bank merge"
)
STYLE = Kind("unistyle-style", VERSION, "UniStyle style file", "unistyle bank export", "unistyle bank merge")


# How files of other kinds begin, what they are, and what to do.
OTHERS = (
    (rb"version https://git-lfs", "a Git LFS pointer, which stands for the file: git lfs pull fetches it"),
    (rb"(\xef\xbb\xbf)?\s*<(!doctype|html|head|\?xml|!--)", "a web page: fetch the file itself, not the page about it"),
    (rb"PK\x03\x04|\x80[\x02-\x05]", "a PyTorch or zip file (.pth, .pt, .bin), which is not read, because it may "
     "hold a program: get it as .safetensors"),
    (rb"GGUF|\x89HDF|\x08....onnx", "a file of weights of another format: get it as .safetensors"),
    (rb"\x1f\x8b|BZh|7z\xbc\xaf|Rar!|\xfd7zXZ|\x28\xb5\x2f\xfd", "a packed file: unpack it first"),
)  # fmt: skip


def write_tensors(path: Path, kind: Kind, tensors: dict[str, Tensor], metadata: dict[str, str]) -> Path:
    """Write a file of a kind, complete or not at all; returns it."""
    metadata = {"format": kind.format, "version": str(kind.version), **metadata}
    with atomic(path) as temporary:
        # Not `save_file`, whose files only their owner can read.
        temporary.write_bytes(save(tensors, metadata=metadata))
    return path


def read_tensors(path: Path, kind: Kind) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Metadata and tensors of a file of a kind and of a version that this program reads. Floats become fp32; nothing is
    unpickled. Raises CheckpointError."""
    try:
        _check_start(path)
        check_size(path)
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            _check_kind(path, metadata, kind)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
        tensors = {name: t.float() if t.is_floating_point() else t for name, t in tensors.items()}
        bad = [name for name, t in tensors.items() if t.is_floating_point() and not t.isfinite().all()]
    except CheckpointError:
        raise
    # The last three come from PyTorch, for a shape or a type of number that it does not have.
    except (SafetensorError, OSError, ValueError, RuntimeError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{path}: truncated, or not a safetensors file ({brief(error)}); fetch it again"
        ) from error
    if bad:
        raise CheckpointError(
            f"{path}: {brief(bad[0])} holds values that are not finite; the file is damaged"
        )
    return metadata, tensors


def _check_start(path: Path) -> None:
    """Raises CheckpointError for a file that begins as one of another kind does."""
    with path.open("rb") as file:
        start = file.read(64)
    if start[8:9] == b"{":  # the header of a safetensors file, whose size comes first and may be any bytes
        return
    what = next((what for pattern, what in OTHERS if re.match(pattern, start, re.IGNORECASE)), None)
    if what:
        raise CheckpointError(f"{path}: not a safetensors file but {what}")


def is_kind(path: str | Path, kind: Kind) -> bool:
    """Whether a path is a file whose header says that it is of a kind. Nothing else of it is looked at."""
    try:
        check_size(Path(path))
        with safe_open(path, framework="pt") as file:
            return (file.metadata() or {}).get("format") == kind.format
    except (SafetensorError, OSError, ValueError):
        return False


def _check_kind(path: Path, metadata: dict[str, str], kind: Kind) -> None:
    got, version = metadata.get("format"), metadata.get("version", "")
    if got != kind.format or not re.fullmatch("[0-9]{1,9}", version):
        other = next((k for k in (CHECKPOINT, STYLE) if got == k.format != kind.format), None)
        found = f"a {other.what}, which is for {other.use}" if other else "a safetensors file"
        raise CheckpointError(f"{path}: {found}, but not a {kind.what}; give one made by {kind.maker}")
    if int(version) > kind.version:
        raise CheckpointError(
            f"{path}: format version {version}, this program reads up to {kind.version}; update unistyle"
        )
