"""One safetensors file for weights, configuration, vocabulary and style bank.

The header's metadata holds `format`, `version`, and as JSON `config` (NetworkConfig, with the vocabulary),
`bank` (the [style, exemplar] pairs) and `notes`; the tensors are `network.*` and `bank.codes`. Nothing is
unpickled.
"""

import json
import re
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import huggingface_hub
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HFValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from unistyle.files import atomic
from unistyle.network.encoder import EncoderConfig
from unistyle.network.unistyle import NetworkConfig, UniStyleNetwork
from unistyle.styles import StyleBank

VERSION = 1
FILE_NAME = "model.safetensors"  # inside a folder or a hub repository


class Kind(NamedTuple):
    """A kind of safetensors file.

    format, version: in its header, the version being the highest that this code reads; what: what it is called;
    maker: the command that makes such files; use: what takes them.
    """

    format: str
    version: int
    what: str
    maker: str
    use: str


CHECKPOINT = Kind(
    "unistyle", VERSION, "UniStyle checkpoint", "train.py", "--checkpoint and python -m unistyle.bank merge"
)
STYLE = Kind(
    "unistyle-style",
    1,
    "UniStyle style file",
    "python -m unistyle.bank export",
    "python -m unistyle.bank import",
)


class CheckpointError(ValueError):
    """A checkpoint, or a style file, that cannot be found or used, with the reason and what to do."""


@dataclass(frozen=True)
class Checkpoint:
    """network: in evaluation mode, fp32, on the CPU; notes: what its maker wrote about it (recipe, terms),
    JSON-able."""

    network: UniStyleNetwork
    bank: StyleBank
    notes: dict = field(default_factory=dict)


def save_checkpoint(path: str | Path, checkpoint: Checkpoint, half: bool | None = True) -> Path:
    """Write a checkpoint, complete or not at all; returns the file.

    path: a `.safetensors` file, or a folder for `model.safetensors`. half: matrices and kernels in fp16,
    which halves the file; biases, norms and style codes stay in fp32, and so does a tensor that fp16 cannot
    hold. None: in fp16 only what it holds exactly, so that what was read from a file goes back as it was.
    """
    path = Path(path)
    path = path if path.suffix == ".safetensors" else path / FILE_NAME
    network, bank = checkpoint.network, checkpoint.bank
    tensors = {f"network.{name}": _stored(value, half) for name, value in network.state_dict().items()}
    tensors["bank.codes"] = _stored(bank.codes.float(), half=False)
    # Where the training began says nothing to a user, and a local path of it nothing at all.
    config = replace(network.config, encoder=replace(network.config.encoder, pretrained=False, weights=None))
    parts = {"config": asdict(config), "bank": bank.names, "notes": checkpoint.notes}
    return write_tensors(path, CHECKPOINT, tensors, {name: json.dumps(part) for name, part in parts.items()})


def write_tensors(path: Path, kind: Kind, tensors: dict[str, Tensor], metadata: dict[str, str]) -> Path:
    """Write a file of a kind, complete or not at all; returns it."""
    metadata = {"format": kind.format, "version": str(kind.version), **metadata}
    with atomic(path) as temporary:
        # Not by `save_file`, whose files are readable to their owner alone.
        temporary.write_bytes(save(tensors, metadata=metadata))
    return path


def _stored(value: Tensor, half: bool | None) -> Tensor:
    value = value.detach().cpu().contiguous()
    if half is False or not value.is_floating_point() or value.ndim < 2 or not value.numel():
        return value
    small = value.half()
    return small if (small.isfinite().all() if half else small.to(value.dtype).equal(value)) else value


def load_checkpoint(source: str | Path, revision: str | None = None) -> Checkpoint:
    """Read a checkpoint from a file, a folder or a hub id. Raises CheckpointError."""
    path = locate(source, revision)
    metadata, tensors = read_tensors(path, CHECKPOINT)
    try:
        config, names, notes = (json.loads(metadata[name]) for name in ("config", "bank", "notes"))
        network = UniStyleNetwork(_config(config))
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: the configuration in its header cannot be used: {error}") from error
    codes = tensors.pop("bank.codes", None)
    _load_weights(path, network, tensors)
    if codes is None or codes.shape[-1] != network.stylizer.code_size:
        got = "none" if codes is None else f"of shape {tuple(codes.shape)}"
        raise CheckpointError(f"{path}: style codes {got}; wanted (n, {network.stylizer.code_size})")
    try:
        bank = StyleBank(tuple(tuple(pair) for pair in names), codes)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: the style bank cannot be used: {error}") from error
    return Checkpoint(network.eval(), bank, notes)


def read_tensors(path: Path, kind: Kind) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Metadata and fp32 tensors of a file of a kind and of a version that this code reads; nothing is unpickled.
    Raises CheckpointError."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            _check_kind(path, metadata, kind)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path}: truncated, or not a safetensors file ({error}); fetch it again"
        ) from error
    tensors = {name: t.float() if t.is_floating_point() else t for name, t in tensors.items()}
    if bad := [name for name, t in tensors.items() if not t.isfinite().all()]:
        raise CheckpointError(f"{path}: {bad[0]} holds values that are not finite; the file is damaged")
    return metadata, tensors


def _check_kind(path: Path, metadata: dict[str, str], kind: Kind) -> None:
    got, version = metadata.get("format"), metadata.get("version", "")
    if got != kind.format or not (version.isascii() and version.isdigit()):
        other = next((k for k in (CHECKPOINT, STYLE) if got == k.format != kind.format), None)
        found = f"a {other.what}, which is for {other.use}" if other else "a safetensors file"
        raise CheckpointError(f"{path}: {found}, but not a {kind.what}; give one made by {kind.maker}")
    if int(version) > kind.version:
        raise CheckpointError(
            f"{path}: format version {version}, this program reads up to {kind.version}; update unistyle"
        )


def _config(values: dict) -> NetworkConfig:
    encoder = {**values.pop("encoder"), "pretrained": False, "weights": None}
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return NetworkConfig(encoder=EncoderConfig(**encoder), **values)


def _load_weights(path: Path, network: UniStyleNetwork, tensors: dict[str, Tensor]) -> None:
    state = {name.removeprefix("network."): tensor for name, tensor in tensors.items()}
    try:
        missing, unexpected = network.load_state_dict(state, strict=False)
    except RuntimeError as error:  # a tensor of another shape
        raise CheckpointError(f"{path}: weights do not fit the configuration: {error}") from error
    if missing or unexpected:
        parts = {"missing": missing, "unexpected": unexpected}
        listed = "; ".join(f"{len(v)} {name}, such as {v[0]}" for name, v in parts.items() if v)
        raise CheckpointError(f"{path}: weights do not fit the configuration: {listed}")


def locate(source: str | Path, revision: str | None = None) -> Path:
    """The checkpoint file of a path, a folder or a hub id (`owner/name`, fetched once and cached)."""
    path = Path(source)
    if path.is_file():
        return path
    if path.is_dir():
        return _in_folder(path)
    if path.suffix == ".safetensors" or not re.fullmatch(r"[\w.-]+/[\w.-]+", str(source)):
        raise CheckpointError(
            f"{source}: no such file or folder; give a .safetensors file, a folder or a hub id"
        )
    try:
        return Path(huggingface_hub.hf_hub_download(str(source), FILE_NAME, revision=revision))
    except (HfHubHTTPError, HFValidationError, EntryNotFoundError, OSError) as error:
        reason = f"no such file or folder here, and as a hub id it gave: {error}"
        raise CheckpointError(f"{source}: {reason}") from error


def _in_folder(folder: Path) -> Path:
    files = sorted(folder.glob("*.safetensors"))
    if folder / FILE_NAME in files:
        return folder / FILE_NAME
    if len(files) != 1:
        found = ", ".join(file.name for file in files) or "none"
        raise CheckpointError(f"{folder}: wanted {FILE_NAME} or a single .safetensors file; found {found}")
    return files[0]
