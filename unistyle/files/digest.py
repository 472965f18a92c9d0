"""Hashes of content."""

import hashlib
import json
from pathlib import Path

import torch
from torch import Tensor


def file_digest(path: str | Path) -> str:
    """A short hash of a file's content."""
    return digest(Path(path).read_bytes())


def tensor_bytes(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes()


def digest(*parts) -> str:
    """A short hash of bytes and of what JSON can hold."""
    encoded = (p if isinstance(p, bytes) else json.dumps(p).encode() for p in parts)
    return hashlib.sha256(b"\0".join(encoded)).hexdigest()[:16]
