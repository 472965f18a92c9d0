"""Hashes of content."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn


def digest(*parts: object) -> str:
    """16 hex digits that stand for bytes, tensors, modules and what JSON can hold; another order is another hash.

    A tensor counts with its shape and the kind of its numbers, a module by its state, wherever both are. Source: the
    first 64 bits of SHA-256 of the parts, with a zero byte between two.
    """
    return hashlib.sha256(b"\0".join(_bytes(part) for part in parts)).hexdigest()[:16]


def file_digest(path: str | Path) -> str:
    """The digest of a file's content."""
    return digest(Path(path).read_bytes())


def _bytes(part: object) -> bytes:
    if isinstance(part, bytes):
        return part
    if isinstance(part, Tensor):
        return repr((tuple(part.shape), str(part.dtype))).encode() + raw(part)
    if isinstance(part, nn.Module):
        return b"\0".join(_state(part))
    return json.dumps(part, sort_keys=True).encode()


def _state(module: nn.Module) -> Iterator[bytes]:
    for name, value in sorted(module.state_dict().items()):
        yield name.encode() + _bytes(value)


def raw(tensor: Tensor) -> bytes:
    """The numbers of a tensor as they lie in memory, row by row."""
    return tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes()
