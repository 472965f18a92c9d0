"""One safetensors file for weights, configuration, vocabulary and style bank.

The header's metadata holds `format`, `version`, and as JSON `config` (NetworkConfig, with the vocabulary),
`bank` (the [style, exemplar] pairs) and `notes`; the tensors are `network.*`, `bank.codes` and the samples of the bank
(`unistyle.checkpoint.samples`). Nothing is unpickled.
"""

import difflib
import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit
from urllib.request import getproxies

import huggingface_hub
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HFValidationError
from torch import Tensor, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from unistyle.checkpoint.header import bank_names, brief, check_fit, check_plausible, network_config, part
from unistyle.checkpoint.samples import sample_tensors, with_samples
from unistyle.checkpoint.tensors import CHECKPOINT, read_tensors, write_tensors
from unistyle.errors import CheckpointError
from unistyle.network.model import UniStyleNetwork
from unistyle.styles.bank import StyleBank

FILE_NAME = "model.safetensors"  # inside a folder or a hub repository
NAMER = "segmenter.name."  # in the names of its tensors
# Endings of files in which other programs keep weights, or something else; a folder may have any other.
OTHER_FILES = {
    *(
        ".pt",
        ".pth",
        ".bin",
        ".ckpt",
        ".pkl",
        ".pickle",
        ".h5",
        ".npz",
        ".onnx",
        ".gguf",
        ".pt2",
        ".safetensor",
        ".tar",
    ),
    *(".zip", ".gz", ".json", ".yaml", ".yml", ".txt", ".png", ".jpg", ".jpeg"),
}


@dataclass(frozen=True)
class Checkpoint:
    """All that a checkpoint file holds."""

    network: UniStyleNetwork
    """In evaluation mode, fp32, on the CPU."""
    bank: StyleBank
    """The styles, whose codes belong to this network."""
    notes: dict = field(default_factory=dict)
    """What its maker wrote about it, such as the recipe and the photos' terms, in values that JSON can hold."""


def checkpoint_file(path: str | Path) -> Path:
    """The file that a checkpoint is written to: the path itself if it ends in `.safetensors`, and otherwise
    `model.safetensors` in the folder of that name. Raises CheckpointError for a name that is meant as a file of
    another kind."""
    path = Path(path)
    if path.suffix.lower() == ".safetensors":
        return path
    if path.suffix.lower() in OTHER_FILES and not path.is_dir():
        better = path.with_suffix(".safetensors").name
        raise CheckpointError(
            f"{path}: checkpoints are .safetensors files, not {path.suffix}; give {better}, or a folder"
        )
    return path / FILE_NAME


def save_checkpoint(path: str | Path, checkpoint: Checkpoint, half: bool | None = True) -> Path:
    """Write a checkpoint, complete or not at all; returns the file.

    path: a `.safetensors` file, or a folder for `model.safetensors`. half: True stores matrices and kernels in fp16,
    which halves the file; biases, norms and style codes stay in fp32, and so does a tensor that fp16 cannot hold.
    None stores in fp16 only what it holds exactly, so that what was read from a file goes back as it was. Raises
    CheckpointError for a path that `checkpoint_file` refuses.
    """
    path = checkpoint_file(path)
    state, bank = plain_state(checkpoint.network), checkpoint.bank
    tensors = {f"network.{name}": _stored(value, half) for name, value in state.items()}
    tensors["bank.codes"] = _stored(bank.codes.float(), half=False)
    tensors |= sample_tensors(bank.swatches, "bank.")
    # Where the training began is of no use to a user, least of all a local path.
    config = cast(UniStyleNetwork, unwrapped(checkpoint.network)).config
    config = replace(config, encoder=replace(config.encoder, pretrained=False, weights=None))
    parts = {"config": asdict(config), "bank": bank.names, "notes": checkpoint.notes}
    return write_tensors(path, CHECKPOINT, tensors, {name: json.dumps(part) for name, part in parts.items()})


def _inner(module: nn.Module) -> str | None:
    """The name under which a wrapper, of `torch.compile` or for several devices, holds the module inside it."""
    if "_orig_mod" in module._modules:
        return "_orig_mod"
    return "module" if isinstance(module, DataParallel | DistributedDataParallel) else None


def unwrapped(module: nn.Module) -> nn.Module:
    """The module inside all of its wrappers."""
    while name := _inner(module):
        module = cast(nn.Module, getattr(module, name))
    return module


def plain_state(network: nn.Module) -> dict[str, Tensor]:
    """The state of a network, under the names that it has when neither it nor any part of it is wrapped."""
    state = network.state_dict()
    wrapped = [(path, name) for path, part in network.named_modules() if (name := _inner(part))]
    # The deepest first, as long as the names of those above are as they were.
    for path, name in sorted(wrapped, key=lambda pair: -len(pair[0])):
        outer = f"{path}." if path else ""
        inner = f"{outer}{name}."
        state = {outer + k.removeprefix(inner) if k.startswith(inner) else k: v for k, v in state.items()}
    return state


def _stored(value: Tensor, half: bool | None) -> Tensor:
    value = value.detach().cpu().contiguous()
    if half is False or not value.is_floating_point() or value.ndim < 2 or not value.numel():
        return value
    small = value.half()
    return small if (small.isfinite().all() if half else small.to(value.dtype).equal(value)) else value


def load_checkpoint(source: str | Path, revision: str | None = None) -> Checkpoint:
    """Read a checkpoint from a file, a folder or a hub id. Raises CheckpointError, also for damaged and hostile
    files."""
    path = locate(source, revision)
    metadata, tensors = read_tensors(path, CHECKPOINT)
    try:
        return _checkpoint(metadata, tensors)
    except ValueError as error:
        raise CheckpointError(f"{path}: {brief(error)}") from error


def _checkpoint(metadata: dict[str, str], tensors: dict[str, Tensor]) -> Checkpoint:
    """The checkpoint that the parts of a file make. Raises ValueError."""
    with _because("the configuration in its header cannot be used"):
        config = network_config(part(metadata, "config", dict))
        names, notes = bank_names(part(metadata, "bank", list)), part(metadata, "notes", dict)
    bank = _bank(names, tensors)
    state = {name.removeprefix("network."): tensor for name, tensor in tensors.items()}
    with _because("weights do not fit the configuration"):
        check_plausible(config, state)
        network = UniStyleNetwork(config)
        if config.main and not any(name.startswith(NAMER) for name in state):
            # Of before there was one. It says nothing until it is trained.
            state |= {k: v for k, v in network.state_dict().items() if k.startswith(NAMER)}
        check_fit(network.state_dict(), state)
        network.load_state_dict(state)
    if bank.codes.shape[1] != (size := network.stylizer.code_size):
        raise ValueError(f"style codes of shape {tuple(bank.codes.shape)}; wanted (n, {size})")
    return Checkpoint(network.eval(), bank, notes)


def _bank(names: tuple[tuple[str, str], ...], tensors: dict[str, Tensor]) -> StyleBank:
    """The bank, whose tensors are taken out of those of the file."""
    codes = tensors.pop("bank.codes", None)
    if codes is None or codes.ndim != 2 or not codes.is_floating_point():
        got = "none" if codes is None else f"of shape {tuple(codes.shape)} and {codes.dtype}"
        raise ValueError(f"style codes {got}; wanted (n, d) of floats")
    with _because("the style bank cannot be used"):
        return StyleBank.of(names, with_samples(codes, tensors, "bank."))


@contextmanager
def _because(what: str) -> Iterator[None]:
    """Put in front of a ValueError what cannot be done for it."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from error


def locate(source: str | Path, revision: str | None = None) -> Path:
    """The checkpoint file of a path, a folder or a hub id (`owner/name`, fetched once and cached)."""
    path = Path(source)
    if path.is_file():
        return path
    if path.is_dir():
        return _in_folder(path)
    if (
        path.parent.is_dir() and len(path.parts) > 1
    ):  # of what is in a folder that is here, the hub knows nothing
        raise CheckpointError(f"{source}: no such file or folder{_near(path)}")
    if path.suffix == ".safetensors" or not re.fullmatch(r"[\w.-]+/[\w.-]+", str(source)):
        raise CheckpointError(
            f"{source}: no such file or folder; give a .safetensors file, a folder or a hub id"
        )
    try:
        with _no_waiting():
            return Path(huggingface_hub.hf_hub_download(str(source), FILE_NAME, revision=revision))
    except (HfHubHTTPError, HFValidationError, EntryNotFoundError, OSError) as error:
        reason = f"no such file or folder here, and as a hub id it gave: {error}"
        raise CheckpointError(f"{source}: {reason}") from error


@contextmanager
def _no_waiting() -> Iterator[None]:
    """Have the hub's client look into its cache alone where there is no way to the hub: it would try for half a
    minute."""
    constants, before = huggingface_hub.constants, huggingface_hub.constants.HF_HUB_OFFLINE
    try:
        if not getproxies():  # which may know the way
            socket.getaddrinfo(urlsplit(constants.ENDPOINT).hostname, 443)
    except OSError:
        constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _near(path: Path) -> str:
    """What else a path may mean that is not there."""
    names = sorted(
        other.name for other in path.parent.iterdir() if other.is_dir() or other.suffix == ".safetensors"
    )
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.5) or names[:1]
    found = f" Did you mean {str(path.parent / near[0])!r}?" if near else ""
    return f" in {path.parent}, which is a folder here.{found}"


def _in_folder(folder: Path) -> Path:
    files = sorted(folder.glob("*.safetensors"))
    if folder / FILE_NAME in files:
        return folder / FILE_NAME
    if len(files) != 1:
        others = sorted(path.name for path in folder.iterdir() if path.suffix in OTHER_FILES)[:3]
        found = ", ".join(file.name for file in files) or "none" + f", but {', '.join(others)}" * bool(others)
        raise CheckpointError(f"{folder}: wanted {FILE_NAME} or a single .safetensors file; found {found}")
    return files[0]
