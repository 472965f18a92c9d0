"""ICC profiles (ICC.1:2022) of RGB values, made of primaries, a white and a curve."""

import struct
from functools import lru_cache

import numpy as np

Chromaticities = tuple[float, ...]  # x and y of white, red, green and blue (CIE 1931)

D50 = (0.9642, 1.0, 0.8249)  # XYZ of the white of all profiles (ICC.1:2022, 7.2.16)
D65 = (0.3127, 0.3290)
REC709 = (*D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
ADOBE_RGB = (*D65, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def gamma_curve(exponent: float) -> bytes:
    """The curve `light = value ** exponent`, as a tag of a profile."""
    return _para(0, exponent)


def curve(exponent: float, offset: float, slope: float, below: float) -> bytes:
    """The curve of sRGB and its like, as a tag of a profile: `((value + offset) / (1 + offset)) ** exponent` and, for
    values under `below`, `value / slope`."""
    return _para(3, exponent, 1 / (1 + offset), offset / (1 + offset), 1 / slope, below)


def _para(kind: int, *numbers: float) -> bytes:
    """ICC.1:2022, 10.18."""
    return b"para\0\0\0\0" + struct.pack(">HH", kind, 0) + _fixed(*numbers)


@lru_cache(maxsize=64)
def rgb_profile(name: str, tone: bytes, where: Chromaticities = REC709) -> bytes:
    """A profile of RGB values. name: what programs show. tone: the curve of all channels, a tag of a profile. where:
    the chromaticities. Raises ValueError for chromaticities that no colours have."""
    red, green, blue = _colorants(where).T
    tags = {
        b"desc": _text(name), b"cprt": _text("CC0"),
        b"wtpt": _xyz(D50), b"chad": b"sf32\0\0\0\0" + _fixed(*_adapted(where)),
        b"rXYZ": _xyz(red), b"gXYZ": _xyz(green), b"bXYZ": _xyz(blue),
        b"rTRC": tone, b"gTRC": tone, b"bTRC": tone,
    }  # fmt: skip
    start, table, body = 132 + 12 * len(tags), b"", b""
    offsets: dict[bytes, int] = {}
    for tag, data in tags.items():
        if data not in offsets:  # tags may share what they hold
            offsets[data] = start + len(body)
            body += data + bytes(-len(data) % 4)
        table += tag + struct.pack(">II", offsets[data], len(data))
    size = start + len(body)
    header = struct.pack(">I4sI4s4s4s", size, b"", 0x04400000, b"mntr", b"RGB ", b"XYZ ")
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _fixed(*D50) + bytes(48)
    return header + struct.pack(">I", len(tags)) + table + body


def tag_of(profile: bytes, name: bytes) -> bytes | None:
    """What a tag of a profile holds; None where it has none of this name, or is cut off."""
    count = int.from_bytes(profile[128:132], "big")
    for at in range(132, 132 + 12 * min(count, 100), 12):
        if profile[at : at + 4] == name:
            start, size = struct.unpack(">II", profile[at + 4 : at + 12])
            data = profile[start : start + size]
            return data if len(data) == size else None
    return None


def grey_as_rgb(profile: bytes) -> bytes | None:
    """The profile of the same values as RGB, red, green and blue alike; None for a grey profile that is no curve."""
    tone = tag_of(profile, b"kTRC")
    if tone is None or profile[20:24] != b"XYZ " or tone[:4] not in (b"curv", b"para"):
        return None
    return rgb_profile("Grey of the photo", tone)


def _colorants(where: Chromaticities) -> np.ndarray:
    """XYZ of red, green and blue, a column each, seen under D50 (ICC.1:2022, annex E and F.3)."""
    xyz = _xyz_of(np.reshape(where, (4, 2)))
    white, primaries = xyz[0], xyz[1:].T
    try:
        columns = primaries * np.linalg.solve(primaries, white)
    except np.linalg.LinAlgError as error:
        raise ValueError(f"primaries {where[2:]} lie on one line") from error
    found = np.reshape(_adapted(where), (3, 3)) @ columns
    if not (np.abs(found) < 4).all():
        raise ValueError(f"no colours have the chromaticities {where}")
    return found


def _xyz_of(points: np.ndarray) -> np.ndarray:
    """XYZ of unit luminance for each x and y."""
    x, y = points.T
    if not ((x >= 0).all() and (y > 0.001).all() and (x + y <= 1.001).all()):
        raise ValueError(f"no colours have the chromaticities {points.tolist()}")
    return np.stack([x / y, np.ones_like(x), (1 - x - y) / y], -1)


def _adapted(where: Chromaticities) -> np.ndarray:
    """The matrix, flat, that turns colours under this white into those under D50."""
    white = _xyz_of(np.reshape(where[:2], (1, 2)))[0]
    scale = np.diag((BRADFORD @ D50) / (BRADFORD @ white))
    return (np.linalg.inv(BRADFORD) @ scale @ BRADFORD).ravel()


def _fixed(*numbers: float) -> bytes:
    return struct.pack(f">{len(numbers)}i", *(round(number * 65536) for number in numbers))


def _xyz(numbers) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(*numbers)


def _text(text: str) -> bytes:
    """ICC.1:2022, 10.15."""
    encoded = text.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(encoded), 28) + encoded
