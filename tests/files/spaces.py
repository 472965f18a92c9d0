"""Colour spaces by the formulas of their specifications, and profiles and files that hold them, without the package."""

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageCms

from tests.helpers import chunk

D65, D50 = (0.3127, 0.3290), (0.3457, 0.3585)
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def srgb_light(v):
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


def srgb_value(light):
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)


def rec709_light(v):
    return np.where(v < 0.081, v / 4.5, ((v + 0.099) / 1.099) ** (1 / 0.45))


@dataclass(frozen=True)
class Space:
    """What values mean."""

    points: tuple = (*D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
    light: Callable = srgb_light

    def matrix(self) -> np.ndarray:
        """Linear values -> XYZ under D50."""
        xyz = np.array([[x / y, 1, (1 - x - y) / y] for x, y in np.reshape(self.points, (4, 2))])
        scale = np.linalg.solve(xyz[1:].T, xyz[0])
        white = np.array([D50[0] / D50[1], 1, (1 - sum(D50)) / D50[1]])
        cone = np.diag((BRADFORD @ white) / (BRADFORD @ xyz[0]))
        return np.linalg.inv(BRADFORD) @ cone @ BRADFORD @ (xyz[1:].T * scale)

    def seen(self, values: np.ndarray) -> np.ndarray:
        """uint8 values `... 3` -> sRGB, float from 0 to 255."""
        linear = self.light(values / 255) @ (np.linalg.inv(SRGB.matrix()) @ self.matrix()).T
        return srgb_value(linear).clip(0, 1) * 255

    def values(self, srgb: np.ndarray) -> np.ndarray:
        """uint8 of sRGB -> uint8 of this space, to the nearest."""
        linear = (srgb_light(srgb / 255) @ (np.linalg.inv(self.matrix()) @ SRGB.matrix()).T).clip(0, 1)
        steps = np.linspace(0, 1, 4096)
        return np.rint(np.interp(linear, self.light(steps), steps) * 255).astype(np.uint8)

    def profile(self, kind: bytes = b"RGB ") -> bytes:
        """Version 2, with curves of 4096 steps; kind: `b"GRAY"` for one curve alone."""
        curve = np.rint(self.light(np.linspace(0, 1, 4096)) * 65535).astype(">u2").tobytes()
        tone = b"curv\0\0\0\0" + struct.pack(">I", 4096) + curve
        tags = {
            b"desc": _desc("a space"),
            b"cprt": b"text\0\0\0\0none\0\0\0\0",
            b"wtpt": _xyz((0.9642, 1, 0.8249)),
        }
        if kind == b"GRAY":
            return written({**tags, b"kTRC": tone}, kind)
        colors = zip((b"rXYZ", b"gXYZ", b"bXYZ"), self.matrix().T, strict=True)
        tags |= {name: _xyz(color) for name, color in colors}
        return written({**tags, **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), tone)}, kind)


SRGB = Space()
SPACES = {
    "Display P3": Space((*D65, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)),
    "Adobe RGB": Space((*D65, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06), lambda v: v ** (563 / 256)),
    "ProPhoto": Space((*D50, 0.7347, 0.2653, 0.1596, 0.8404, 0.0366, 0.0001), lambda v: v**1.8),
    "linear": Space(light=lambda v: v),
    "BT.2020": Space((*D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046), rec709_light),
    "Apple RGB": Space((*D65, 0.625, 0.34, 0.28, 0.595, 0.155, 0.07), lambda v: v**1.8),
}
GREYS = {
    "linear": SPACES["linear"],
    "gamma 1.8": Space(light=lambda v: v**1.8),
    "gamma 2.2": Space(light=lambda v: v**2.2),
    "dot gain": Space(light=lambda v: (v + 0.25 * v * (1 - v)) ** 2.6),
}


def written(tags: dict[bytes, bytes], kind: bytes, purpose: bytes = b"mntr", pcs: bytes = b"XYZ ") -> bytes:
    """An ICC profile of version 2."""
    table, body, start = b"", b"", 132 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    header = struct.pack(">I4sI4s4s4s", start + len(body), b"", 0x02400000, purpose, kind, pcs)
    header += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    header += _xyz((0.9642, 1, 0.8249))[8:] + bytes(48)
    return header + struct.pack(">I", len(tags)) + table + body


def _xyz(numbers) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(float(n) * 65536) for n in numbers))


def _desc(text: str) -> bytes:
    return b"desc\0\0\0\0" + struct.pack(">I", len(text) + 1) + text.encode() + b"\0" + bytes(78)


def table_profile(kind: bytes, corners: np.ndarray, back: bool = False) -> bytes:
    """A profile of a table alone: XYZ, `2 ** n 3`, of the corners of the values' cube, the last channel fastest. back:
    also the way back, which finds black for everything."""
    channels = len(corners).bit_length() - 1

    def lut(inputs: int, outputs: int, values: np.ndarray) -> bytes:
        head = b"mft2\0\0\0\0" + bytes([inputs, outputs, 2, 0])
        head += struct.pack(">9i", *(65536 if i % 4 == 0 else 0 for i in range(9))) + struct.pack(">HH", 2, 2)
        ramp = struct.pack(">HH", 0, 65535)
        return head + ramp * inputs + np.rint(values).astype(">u2").tobytes() + ramp * outputs

    tags = {
        b"desc": _desc("a table"),
        b"cprt": b"text\0\0\0\0none\0\0\0\0",
        b"wtpt": _xyz((0.9642, 1, 0.8249)),
    }
    tags[b"A2B0"] = lut(channels, 3, (corners * 32768).clip(0, 65535))
    if back:
        tags[b"B2A0"] = lut(3, channels, np.zeros((8, channels)))
    return written(tags, kind, b"scnr" if kind == b"RGB " else b"prtr")


def corners(space: Space) -> np.ndarray:
    """XYZ of the corners of RGB."""
    return np.array([[r, g, b] for r in (0, 1) for g in (0, 1) for b in (0, 1)]) @ space.matrix().T


def cicp(primaries: int, transfer: int, matrix: int = 0, full: int = 1) -> bytes:
    return chunk(b"cICP", bytes([primaries, transfer, matrix, full]))


def gamma(number: float) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", round(number * 100000)))


def chromaticities(space: Space) -> bytes:
    return chunk(b"cHRM", struct.pack(">8I", *(round(n * 100000) for n in space.points)))


def with_chunks(data: bytes, *chunks: bytes) -> bytes:
    """A PNG with chunks after its header."""
    return data[:33] + b"".join(chunks) + data[33:]


def by_profile(image: Image.Image) -> np.ndarray:
    """What a picture shows, in sRGB, by LittleCMS and the profile that it has."""
    rgb = image.convert("RGB")
    if not (profile := image.info.get("icc_profile")):
        return np.asarray(rgb).astype(float)
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    found = ImageCms.profileToProfile(rgb, source, ImageCms.createProfile("sRGB"), renderingIntent=1)
    return np.asarray(found).astype(float)
