"""Damaged and hostile files for the loaders: each either loads, or is refused by a CheckpointError that names it.

    python benchmarks/fuzz.py --files 100000

Of a checkpoint with random weights and of a style file every file is made by its number alone, so `--first 1234
--files 1` makes one of them again. Processes have an address-space limit and no network. Last lines: what came out,
files a second, the slowest, and the peak of memory. Exit code 1 if anything but a CheckpointError came.
"""

import argparse
import json
import multiprocessing
import resource
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import timm
import torch

from unistyle.checkpoint.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from unistyle.checkpoint.style_files import StyleFile, load_style, save_style
from unistyle.errors import CheckpointError
from unistyle.network.encoder import EncoderConfig
from unistyle.network.model import NetworkConfig, UniStyleNetwork
from unistyle.styles.bank import StyleBank
from unistyle.styles.codes import code_space

ROOT = Path(__file__).parent.parent

MEMORY = 2**30  # bytes that a process may need more than after a good file
TIME = 10  # seconds of a processor that a file may take
CHUNK = 100  # files a task
Rng = np.random.Generator


class Parts(NamedTuple):
    """A safetensors file: header (name -> dtype, shape, data_offsets; `__metadata__`), and the bytes after it."""

    header: dict
    data: bytes

    @classmethod
    def of(cls, blob: bytes) -> "Parts":
        end = 8 + int.from_bytes(blob[:8], "little")
        return cls(json.loads(blob[8:end]), blob[end:])

    def joined(self) -> bytes:
        text = json.dumps(self.header).encode("utf-8", "surrogatepass")
        return len(text).to_bytes(8, "little") + text + self.data

    def copy(self) -> "Parts":
        return Parts(json.loads(json.dumps(self.header)), self.data)

    def tensor(self, rng: Rng) -> dict:
        """The entry of one of the tensors."""
        return self.header[pick(rng, [name for name in self.header if name != "__metadata__"])]


def pick(rng: Rng, values: Iterable) -> object:
    values = list(values)
    return values[int(rng.integers(len(values)))]


# Damage to the bytes of a file: what disks and transfers do.


def flip_header(rng: Rng, blob: bytes) -> bytes:
    return _flip(rng, blob, 0, 8 + int.from_bytes(blob[:8], "little"))


def flip_length(rng: Rng, blob: bytes) -> bytes:
    return _flip(rng, blob, 0, 8)


def flip_data(rng: Rng, blob: bytes) -> bytes:
    return _flip(rng, blob, 8 + int.from_bytes(blob[:8], "little"), len(blob))


def _flip(rng: Rng, blob: bytes, start: int, stop: int) -> bytes:
    damaged = bytearray(blob)
    for at in rng.integers(start, stop, int(rng.integers(1, 9))):
        damaged[at] ^= 1 << int(rng.integers(8))
    return bytes(damaged)


def truncate(rng: Rng, blob: bytes) -> bytes:
    return blob[: int(rng.integers(len(blob)) ** rng.random())]


def insert(rng: Rng, blob: bytes) -> bytes:
    at = int(rng.integers(len(blob)) ** rng.random())
    return blob[:at] + rng.bytes(int(rng.integers(1, 100))) + blob[at:]


def cut_out(rng: Rng, blob: bytes) -> bytes:
    at = int(rng.integers(len(blob)) ** rng.random())
    return blob[:at] + blob[at + int(rng.integers(1, 100)) :]


def zeros(rng: Rng, blob: bytes) -> bytes:
    at, count = int(rng.integers(len(blob)) ** rng.random()), int(rng.integers(1, 5000))
    return (blob[:at] + bytes(count) + blob[at + count :])[: len(blob)]


def length_lies(rng: Rng, blob: bytes) -> bytes:
    true = int.from_bytes(blob[:8], "little")
    some = [true - 1, true + 1, len(blob), len(blob) - 8, 2**22, 2**22 + 1, 10**8, 2**31, 2**63, 2**64 - 1]
    return (pick(rng, [0, 1, 2, *some]) % 2**64).to_bytes(8, "little") + blob[8:]


def garbage(rng: Rng, blob: bytes) -> bytes:
    return rng.bytes(int(rng.integers(5000)))


def garbage_header(rng: Rng, blob: bytes) -> bytes:
    deep = 10 ** int(rng.integers(1, 6))
    text = pick(rng, [
        b"{}", b"[]", b"null", b"{", b"\xff\xfe{}", b'{"a":' * deep + b"1" + b"}" * deep, b"[" * deep,
        b'{"__metadata__":{}}', b'{"__metadata__":null}', b'{"a":{}}', b" " * 5000, b'{"a":1e999}',
    ])  # fmt: skip
    return len(text).to_bytes(8, "little") + text + blob[-int(rng.integers(1, 3000)) :]


# Lies about tensors.

NUMBERS = [0, 1, 2, 3, 7, 24, 192, 255, 2**16, 2**31, 2**32, 2**53, 2**62, 2**63, 2**64 - 1, 2**64, -1, 10**30, 0.5,
           1e300, None, "1", [], {}, True]  # fmt: skip
DTYPES = ["BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F4", "F6_E2M3", "I16", "U16", "F16", "BF16", "I32",
          "U32", "F32", "C64", "F64", "I64", "U64", "", "f32", "F128", None, 3, []]  # fmt: skip


def shape_lies(rng: Rng, parts: Parts) -> Parts:
    entry = parts.tensor(rng)
    if entry["shape"] and rng.random() < 0.7:
        entry["shape"][int(rng.integers(len(entry["shape"])))] = pick(rng, NUMBERS)
    else:
        entry["shape"] = [pick(rng, NUMBERS) for _ in range(int(rng.integers(0, 70)))]
    return parts


def same_count(rng: Rng, parts: Parts) -> Parts:
    """Another shape of as many numbers."""
    entry = parts.tensor(rng)
    count = int(np.prod(entry["shape"]))
    entry["shape"] = pick(rng, [[count], [1, count], [count, 1], [1] * 40 + [count], entry["shape"][::-1]])
    return parts


def offset_lies(rng: Rng, parts: Parts) -> Parts:
    entry = parts.tensor(rng)
    if rng.random() < 0.3:
        entry["data_offsets"] = parts.tensor(rng)["data_offsets"]
    else:
        entry["data_offsets"][int(rng.integers(2))] = pick(rng, NUMBERS)
    return parts


def dtype_lies(rng: Rng, parts: Parts) -> Parts:
    parts.tensor(rng)["dtype"] = pick(rng, DTYPES)
    return parts


def same_bytes(rng: Rng, parts: Parts) -> Parts:
    """Other kinds of numbers of as many bytes, in one tensor or in all."""
    like = {"F16": ["U16", "I16", "BF16"], "F32": ["U32", "I32", "F32"]}
    entries = [value for name, value in parts.header.items() if name != "__metadata__"]
    for entry in entries if rng.random() < 0.3 else [parts.tensor(rng)]:
        entry["dtype"] = pick(rng, like.get(entry["dtype"], ["F64", "I64"]))
    return parts


def tensor_names(rng: Rng, parts: Parts) -> Parts:
    """A tensor is lost, is called otherwise, or is too many."""
    names = [name for name in parts.header if name != "__metadata__"]
    entry = parts.header.pop(pick(rng, names))
    if rng.random() < 0.7:
        others = ["", "x" * 10**5, "network.", "bank.codes", "\x1b[2J", "語", pick(rng, names)]
        parts.header[pick(rng, others)] = entry
    return parts


def extra_tensor(rng: Rng, parts: Parts) -> Parts:
    """Without content, of a shape that may be absurd."""
    shape = pick(rng, [[0], [0, 10**18], [0, 2**63 - 1, 4], [10**9, 0, 10**9], [0] * 100])
    here = [len(parts.data)] * 2
    dtype = pick(rng, ["F32", "F16", "I64"])
    parts.header["network.extra"] = {"dtype": dtype, "shape": shape, "data_offsets": here}
    return parts


def entry_lies(rng: Rng, parts: Parts) -> Parts:
    entries = [*NUMBERS, {"dtype": "F32"}, {"shape": [1], "data_offsets": [0, 4]}]
    parts.header[pick(rng, parts.header)] = pick(rng, entries)
    return parts


def special_numbers(rng: Rng, parts: Parts) -> Parts:
    """NaN, infinities and the largest numbers among the weights."""
    entry, data = parts.tensor(rng), bytearray(parts.data)
    start, stop = entry["data_offsets"]
    numbers = np.frombuffer(data, {"F16": "<f2", "F32": "<f4"}[entry["dtype"]], offset=start)[
        : max(0, stop - start)
    ]
    if len(numbers):
        numbers[: int(rng.integers(1, 100))] = pick(rng, [np.nan, np.inf, -np.inf, 65504.0, -0.0])
    return Parts(parts.header, bytes(data))


# Lies in the metadata: what a person may write.


def names(count: int, length: int) -> list[str]:
    return [f"{i:0{length}}" for i in range(count)]


@cache
def models() -> list[str]:
    return timm.list_models()


def hostile(rng: Rng) -> object:
    """A value of a type or a size that nothing expects."""
    deep: list = []
    for _ in range(int(rng.integers(1, 400))):
        deep = [deep]
    return pick(rng, [
        *NUMBERS, float("nan"), float("inf"), -1.5, False, "", " ", "x" * int(10 ** rng.uniform(1, 6)), "\ud800",
        "\x1b[31m", "\u202e", "語", "../../etc/passwd", "%s%n", "a\x00b", {"a": {}}, [None], ["a", "a"], [1, 2], deep,
        "0.5", "ab", ["leather", "stone", "metal"], [["a", "b"]], {"name": 1},
    ])  # fmt: skip


def encoder_name(rng: Rng) -> object:
    return pick(rng, [
        "hf-hub:timm/resnet18.a1_in1k", "hf_hub:owner/name", "local-dir:/etc", "HF-HUB:a/b", "timm/resnet18", "/etc",
        "https://example.com/a", "mobilenetv2_050.", "mobilenetv2_050.x", "mobilenetv2_050:", "regnety_2560",
        "vit_giant_patch14_dinov2", "convnextv2_huge", "os.system", "m" * 10**6, "\uff4dobilenetv2", "", None, 10**9,
        "__init__", pick(rng, models()), hostile(rng),
    ])  # fmt: skip


def config_lies(rng: Rng, parts: Parts) -> Parts:
    about = parts.header["__metadata__"]
    config = json.loads(about["config"])
    place = pick(rng, ["encoder", "name", "encoder.", "materials", "threshold", "more", "less", "whole"])
    value = hostile(rng)
    if place == "name":
        config["encoder"]["name"] = encoder_name(rng)
    elif place == "encoder.":
        config["encoder"][pick(rng, ["pretrained", "weights", "widths", "features_only", "name"])] = value
    elif place == "more":
        config[pick(rng, ["widths", "levels", "self", "__class__", "materials "])] = pick(
            rng, [10**9, [10**9], value]
        )
    elif place == "less":
        config.pop(pick(rng, config))
    elif place == "materials" and rng.random() < 0.5:
        lists = [names(2, 10**6), names(10**5, 7), names(3, 10**5), names(3, 1), names(10**6, 1)]
        config["materials"] = pick(rng, lists)
    elif place != "whole":
        config[place] = value
    about["config"] = json.dumps(value if place == "whole" else config)
    return parts


def bank_lies(rng: Rng, parts: Parts) -> Parts:
    about = parts.header["__metadata__"]
    bank, value = json.loads(about["bank"]), hostile(rng)
    row = int(rng.integers(len(bank)))
    kind = int(rng.integers(5))
    if kind < 2:
        bank[row] = pick(rng, [value, [value], [value, value], [*bank[row], value], bank[0]])
    elif kind < 4:
        bank[row][kind - 2] = value
    else:
        bank = pick(rng, [value, bank * 2, bank[1:], bank * 10**4, {}])
    about["bank"] = json.dumps(bank)
    return parts


def metadata_lies(rng: Rng, parts: Parts) -> Parts:
    """A part of the metadata is another text, no text, or is lost."""
    about = parts.header["__metadata__"]
    name = pick(rng, about)
    kind = int(rng.integers(4))
    if kind == 0:
        del about[name]
    elif kind == 1:
        about[name] = json.dumps(hostile(rng))
    elif kind == 2:
        about[name] = pick(rng, ["", "{", "[" * 10**5, "9" * 5000, "²", "-1", "1e5", "NaN", "x" * 10**6, "\x00", "null",
                                 '{"a":' * 3000 + "1" + "}" * 3000])  # fmt: skip
    else:
        about[name] = hostile(rng)
    return parts


def style_lies(rng: Rng, parts: Parts) -> Parts:
    about, value = parts.header["__metadata__"], hostile(rng)
    name = pick(rng, ["style", "exemplars", "space"])
    about[name] = value if isinstance(value, str) and name != "exemplars" else json.dumps(value)
    return parts


def on_parts(change: Callable[[Rng, Parts], Parts]) -> Callable[[Rng, bytes], bytes]:
    return lambda rng, blob: change(rng, Parts.of(blob)).joined()


BYTES = (flip_header, flip_length, truncate, insert, cut_out, zeros, length_lies, garbage, garbage_header)
PARTS = (shape_lies, same_count, offset_lies, dtype_lies, same_bytes, tensor_names, extra_tensor, entry_lies,
         special_numbers, metadata_lies)  # fmt: skip
KINDS = {kind.__name__: kind for kind in BYTES} | {kind.__name__: on_parts(kind) for kind in PARTS}
OWN = {
    "checkpoint": {kind.__name__: on_parts(kind) for kind in (config_lies, bank_lies)}
    | {"flip_data": flip_data},
    "style": {"style_lies": on_parts(style_lies), "flip_data": flip_data},
}
LOADERS = {"checkpoint": load_checkpoint, "style": load_style}
SHARE = 0.5  # of the files that are checkpoints
# Weight of kinds in the choice, 1 for others: those after which a network is built each time take a hundred times as
# long.
WEIGHTS = {"config_lies": 4, "bank_lies": 2, "style_lies": 3, "metadata_lies": 2, "flip_data": 0.3, "same_bytes": 0.3,
           "extra_tensor": 0.3, "tensor_names": 0.5, "same_count": 0.4, "zeros": 0.5}  # fmt: skip


class Report(NamedTuple):
    """outcomes: (what, kind of damage, loaded or refused) -> files; failures: what is no CheckpointError, or none
    that names its file, or took too long; slowest: (seconds, file); peak: bytes of memory that a process used."""

    outcomes: Counter
    failures: list[str]
    slowest: tuple[float, str]
    peak: int


def make(number: int, bases: dict[str, bytes]) -> tuple[str, str, bytes]:
    """What the file of a number is, how it is damaged, and its bytes."""
    rng = np.random.default_rng(number)
    what = "checkpoint" if rng.random() < SHARE else "style"
    kinds = KINDS | OWN[what]
    weights = np.array([WEIGHTS.get(kind, 1) for kind in kinds])
    kind = str(rng.choice(list(kinds), p=weights / weights.sum()))
    return what, kind, kinds[kind](rng, bases[what])


def attack(numbers: Iterable[int], bases: dict[str, bytes], folder: Path) -> Report:
    """Load the files of these numbers, one after the other."""
    outcomes, failures, slowest = Counter(), [], (0.0, "none")
    for number in numbers:
        what, kind, blob = make(number, bases)
        path = folder / f"{number}.safetensors"
        path.write_bytes(blob)
        label, start = f"file {number} ({what}, {kind})", time.process_time()
        outcome = _load(LOADERS[what], path)
        seconds = time.process_time() - start
        path.unlink()
        outcomes[what, kind, outcome if outcome in ("loaded", "refused") else "FAILED"] += 1
        if outcome not in ("loaded", "refused"):
            failures.append(f"{label}: {outcome}")
        elif seconds > TIME:
            failures.append(f"{label}: {outcome}, but only after {seconds:.0f} s")
        slowest = max(slowest, (seconds, label))
    return Report(outcomes, failures, slowest, peak_memory())


def _load(load: Callable, path: Path) -> str:
    try:
        load(path)
    except CheckpointError as error:
        message = str(error)
        fine = path.name in message and len(message) < 1500 and message.isprintable()
        return "refused" if fine else f"refused without a name, at length or unprintably: {message[:300]!r}"
    # A panic of the parser is no Exception.
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return f"{type(error).__name__}: {str(error)[:300]!r}"
    return "loaded"


def peak_memory() -> int:
    """Bytes of memory that this process has used at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def bases(folder: Path) -> dict[str, bytes]:
    """A checkpoint with random weights, and a style file of it."""
    torch.manual_seed(0)
    encoder = EncoderConfig("mobilenetv2_050", pretrained=False)
    network = UniStyleNetwork(NetworkConfig(encoder, ("leather", "stone", "metal"))).eval()
    pairs = (("stone", "quarry"), ("stone", "wall"), ("metal", "plate"))
    bank = StyleBank(pairs, torch.randn(len(pairs), network.stylizer.code_size))
    checkpoint = save_checkpoint(folder / "base.safetensors", Checkpoint(network, bank, {"recipe": "random"}))
    style = save_style(folder / "style.safetensors", StyleFile(bank.only([0, 1]), code_space(network)))
    return {"checkpoint": checkpoint.read_bytes(), "style": style.read_bytes()}


def _no_network(*_, **__):
    raise AssertionError("a file made the loader ask the network")


def _prepare(folder: Path, spare: int) -> None:
    """A process: one thread, no network, and as much more address space than a good file takes."""
    torch.set_num_threads(1)
    socket.socket.connect = socket.getaddrinfo = _no_network
    load_checkpoint(folder / "base.safetensors")
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + spare, used + spare))


def _task(numbers: range, folder: Path) -> Report:
    here = folder / str(multiprocessing.current_process().pid)
    here.mkdir(exist_ok=True)
    blobs = {"checkpoint": folder / "base.safetensors", "style": folder / "style.safetensors"}
    return attack(numbers, {name: path.read_bytes() for name, path in blobs.items()}, here)


def run(numbers: range, processes: int, folder: Path) -> Iterator[Report]:
    """Reports of parts of the files. A process that dies raises BrokenProcessPool."""
    chunks = [numbers[i : i + CHUNK] for i in range(0, len(numbers), CHUNK)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, _prepare, (folder, MEMORY)) as pool:
        yield from pool.map(partial(_task, folder=folder), chunks)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=1000, help="(default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="number of the first (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=2, help="(default: %(default)s)")
    parser.add_argument(
        "--folder", type=Path, help="for the files, best in memory (default: a temporary one)"
    )
    args = parser.parse_args()
    outcomes, failures, slowest, peak, start = Counter(), [], (0.0, "none"), 0, time.perf_counter()
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        bases(folder)
        load_checkpoint(folder / "base.safetensors")
        good = peak_memory()
        for part in run(range(args.first, args.first + args.files), args.processes, folder):
            outcomes += part.outcomes
            failures += part.failures
            slowest, peak = max(slowest, part.slowest), max(peak, part.peak)
            print("\n".join([*part.failures, ""]), end="", flush=True)
            if outcomes.total() % 1000 == 0:
                print(f"{outcomes.total()} files, {len(failures)} failures, {time.perf_counter() - start:.0f} s, "
                      f"peak {peak / 2**20:.0f} MiB", flush=True)  # fmt: skip
    for (what, kind, outcome), count in sorted(outcomes.items()):
        print(f"{what:12}{kind:18}{outcome:10}{count:8}")
    seconds = time.perf_counter() - start
    print(f"{outcomes.total()} files, {len(failures)} failures; {outcomes.total() / seconds:.1f} files/s; slowest "
          f"{slowest[0]:.1f} s: {slowest[1]}; peak of a process {peak / 2**20:.0f} MiB, with a good "
          f"file alone {good / 2**20:.0f}")  # fmt: skip
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
