"""One style as a small safetensors file, which carries it from one checkpoint to another.

The file holds the tensor `codes` (`n d`, fp32) and the samples (`unistyle.checkpoint.samples`). The metadata in its
header are `format`, `version`, `style`, `exemplars` (the names of the rows, as JSON) and `space`, the code space of
the codes. Nothing is unpickled.
"""

import json
import re
from pathlib import Path
from reprlib import repr as shown
from typing import NamedTuple

import torch
from torch import Tensor

from unistyle.checkpoint.header import brief, is_name
from unistyle.checkpoint.samples import sample_tensors, with_samples
from unistyle.checkpoint.tensors import STYLE, read_tensors, write_tensors
from unistyle.errors import CheckpointError
from unistyle.styles.bank import StyleBank
from unistyle.styles.names import check_style_name


class StyleFile(NamedTuple):
    """Styles, and the network that they are for."""

    bank: StyleBank
    """In a file, a bank of one style."""
    space: str
    """The `code_space` of the network that the codes are for."""


def save_style(path: str | Path, style: StyleFile) -> Path:
    """Write a style file, complete or not at all; returns it. Raises ValueError for a path that does not end in
    `.safetensors`, for a bank that is not of one style, and for a style that could not be read back by its name."""
    path, bank = Path(path), style.bank
    if path.suffix != ".safetensors":
        raise CheckpointError(f"{path}: a style file is a .safetensors file; give it that ending")
    if len(bank.styles) != 1:
        raise CheckpointError(f"{path}: got {len(bank.styles)} styles; a style file holds one")
    check_style_name(bank.styles[0])
    exemplars = json.dumps([exemplar for _, exemplar in bank.names])
    tensors = {"codes": bank.codes.float().cpu().contiguous()} | sample_tensors(bank.swatches)
    metadata = {"style": bank.styles[0], "exemplars": exemplars, "space": style.space}
    return write_tensors(path, STYLE, tensors, metadata)


def load_style(path: str | Path) -> StyleFile:
    """Read a style file. Raises CheckpointError."""
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; give one made by {STYLE.maker}")
    metadata, tensors = read_tensors(path, STYLE)
    try:
        style, space, exemplars = metadata["style"], metadata["space"], json.loads(metadata["exemplars"])
        check_style_name(style)
        if not re.fullmatch("[0-9a-f]{12}", space):
            raise ValueError(f"its code space is {shown(space)}; wanted 12 hex digits")
        swatches = with_samples(_codes(tensors), tensors)
        return StyleFile(StyleBank.of(_names(style, exemplars), swatches), space)
    except (KeyError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: the style in it cannot be used: {brief(error)}") from error


def _names(style: str, exemplars: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(exemplars, list) or not all(map(is_name, exemplars)):
        raise ValueError(f"its exemplars are {shown(exemplars)}; wanted a list of names")
    return tuple((style, name) for name in exemplars)


def _codes(tensors: dict[str, Tensor]) -> Tensor:
    codes = tensors.get("codes")
    if codes is None or codes.dtype != torch.float32 or codes.ndim != 2 or not codes.numel():
        got = "none" if codes is None else f"of shape {tuple(codes.shape)} and {codes.dtype}"
        raise ValueError(f"its style codes are {got}; wanted floats, one row for each exemplar")
    return codes
