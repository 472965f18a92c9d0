"""The header of a checkpoint, checked before anything is built from it: a file may be damaged or hostile.

Everything here raises ValueError with the reason alone; the functions of `checkpoint` add the file's name.
"""

import json
import re
from dataclasses import fields
from pathlib import Path
from reprlib import repr as shown
from typing import TypeVar

from torch import Tensor

from unistyle.network.encoder import EncoderConfig, backbone_size
from unistyle.network.model import NetworkConfig

MOST = 2**22  # bytes of a header; ours have 40 thousand, and 10,000 exemplars would add a million
MESSAGE = 500  # characters of a reason: names in a file may be of any length
FIRST_LEVELS = [64, 96, 192]  # of the stylizer, in files that do not name them
T = TypeVar("T")
UNSPEAKABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # controls, and halves of characters


def brief(error: object) -> str:
    """A reason that can be printed, whatever it quotes."""
    text = UNSPEAKABLE.sub("?", str(error).replace("\n", " "))
    return text if len(text) <= MESSAGE else f"{text[:MESSAGE]} ... ({len(text)} characters)"


def is_name(value: object) -> bool:
    """Whether a value from a file can stand for a material, a style or an exemplar."""
    return isinstance(value, str) and bool(value) and not UNSPEAKABLE.search(value)


def check_size(path: Path) -> None:
    """Raises for a header that is larger than any real one: reading it would take far more memory than its size."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
    if size > MOST:
        raise ValueError(f"a header of {size} bytes; wanted {MOST} at most")


def part(metadata: dict[str, str], name: str, kind: type[T]) -> T:
    """A part of a header's metadata that is JSON of a kind: dict or list."""
    try:
        value = json.loads(metadata[name])
    except KeyError as error:
        raise ValueError(f"it has no {name!r}") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its {name!r} is not JSON ({error})") from error
    if not isinstance(value, kind):
        raise ValueError(f"its {name!r} is a {type(value).__name__}; wanted a {kind.__name__}")
    return value


def network_config(values: dict) -> NetworkConfig:
    """The configuration in a header. It does not say where the training began, so nothing is fetched."""
    if unknown := values.keys() - {field.name for field in fields(NetworkConfig)}:
        raise ValueError(f"this program does not know its setting {min(unknown)!r}")
    encoder = values.get("encoder")
    if not isinstance(encoder, dict) or not is_name(encoder.get("name")):
        raise ValueError(f"its encoder is {shown(encoder)}; wanted one with a name")
    if not isinstance(main := values.get("main", False), bool):  # which files before 0.2 do not have
        raise ValueError(f"its setting 'main' is {shown(main)}; wanted true or false")
    materials, threshold = values.get("materials"), values.get("threshold")
    if not isinstance(materials, list) or not all(map(is_name, materials)):
        raise ValueError(f"its materials are {shown(materials)}; wanted a list of names")
    if len(set(materials)) < len(materials):
        raise ValueError("two of its materials have the same name")
    # No comparison of a number with NaN holds.
    if not isinstance(threshold, int | float) or isinstance(threshold, bool) or not 0 < threshold < 1:
        raise ValueError(f"its threshold is {shown(threshold)}; wanted a number between 0 and 1")
    levels = values.get("levels", FIRST_LEVELS)
    if (
        not isinstance(levels, list)
        or len(levels) != 3
        or not all(type(n) is int and 0 < n <= 1024 for n in levels)
    ):
        raise ValueError(f"its levels are {shown(levels)}; wanted three numbers of channels")
    encoder = {**encoder, "pretrained": False, "weights": None}
    try:
        built = {"encoder": EncoderConfig(**encoder), "materials": tuple(materials), "main": main}
        built |= {"levels": tuple(levels)}
        return NetworkConfig(**{**values, **built})
    except TypeError as error:  # a setting that does not exist
        raise ValueError(str(error)) from error


def bank_names(pairs: list) -> tuple[tuple[str, str], ...]:
    """The [style, exemplar] pairs in a header."""
    for pair in pairs:
        if not (isinstance(pair, list) and len(pair) == 2 and all(map(is_name, pair))):
            raise ValueError(f"its bank has {shown(pair)}; wanted [style, exemplar] pairs of names")
    return tuple(map(tuple, pairs))


def check_plausible(config: NetworkConfig, state: dict[str, Tensor]) -> None:
    """Raises for a configuration whose network would be far larger than the tensors of the file: a header may ask for
    a network that no memory holds."""
    bias = state.get("segmenter.classify.bias")
    if bias is not None and bias.numel() != 1 + len(config.materials) + config.main:
        got = bias.numel() - 1 - config.main
        raise ValueError(f"size mismatch: {len(config.materials)} materials; the weights are of {got}")
    # Twice, because the batch norms of the backbone are folded away in a file.
    size, stored = backbone_size(config.encoder.name), sum(tensor.numel() for tensor in state.values())
    if size > 2 * stored:
        raise ValueError(
            f"size mismatch: encoder {config.encoder.name!r} has {size} numbers, the file {stored}"
        )


def check_fit(wanted: dict[str, Tensor], state: dict[str, Tensor]) -> None:
    """Raises for a state whose names, shapes or kinds of number are not the wanted ones."""
    missing, unexpected = ([*one.keys() - other.keys()] for one, other in ((wanted, state), (state, wanted)))
    if missing or unexpected:
        parts = {"missing": missing, "unexpected": unexpected}
        raise ValueError("; ".join(f"{len(v)} {name}, such as {min(v)}" for name, v in parts.items() if v))
    for name, value in wanted.items():
        if state[name].shape != value.shape or state[name].is_floating_point() != value.is_floating_point():
            got, like = (f"{tuple(t.shape)} of {t.dtype}" for t in (state[name], value))
            raise ValueError(f"size mismatch for {name}: got {got}; wanted {like}")
