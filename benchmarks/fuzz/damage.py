"""Damage to the bytes and to the tensors of a safetensors file."""

import json
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

Rng = np.random.Generator


class Parts(NamedTuple):
    """A safetensors file."""

    header: dict
    """dtype, shape and data_offsets of each tensor by its name, and `__metadata__`."""
    data: bytes
    """What comes after the header."""

    @classmethod
    def of(cls, blob: bytes) -> "Parts":
        end = 8 + int.from_bytes(blob[:8], "little")
        return cls(json.loads(blob[8:end]), blob[end:])

    def joined(self) -> bytes:
        text = json.dumps(self.header).encode("utf-8", "surrogatepass")
        return len(text).to_bytes(8, "little") + text + self.data

    def tensor(self, rng: Rng) -> dict:
        """The entry of one of the tensors."""
        return self.header[pick(rng, [name for name in self.header if name != "__metadata__"])]


def pick(rng: Rng, values: Iterable) -> object:
    """One of some values."""
    values = list(values)
    return values[int(rng.integers(len(values)))]


# Damage to the bytes of a file: what disks and transfers do.


def flip_header(rng: Rng, blob: bytes) -> bytes:
    return flip(rng, blob, 0, 8 + int.from_bytes(blob[:8], "little"))


def flip_length(rng: Rng, blob: bytes) -> bytes:
    return flip(rng, blob, 0, 8)


def flip_data(rng: Rng, blob: bytes) -> bytes:
    return flip(rng, blob, 8 + int.from_bytes(blob[:8], "little"), len(blob))


def flip(rng: Rng, blob: bytes, start: int, stop: int) -> bytes:
    """Bits of the bytes from start to stop."""
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
