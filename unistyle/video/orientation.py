"""How the frames of a video are to be turned and mirrored, by the display matrix of its file."""

import math
from typing import NamedTuple

import numpy as np


class Orientation(NamedTuple):
    """What brings a frame upright: it is turned, and then mirrored. One of eight."""

    turns: int = 0
    """Quarter turns counterclockwise, 0 to 3."""

    mirrored: bool = False
    """Whether left and right are exchanged after that."""

    def upright(self, rgb: np.ndarray) -> np.ndarray:
        """A stored frame `h w 3` as it is to be shown, contiguous; h and w are exchanged by an odd number of turns."""
        rgb = np.rot90(rgb, self.turns)
        return np.ascontiguousarray(rgb[:, ::-1] if self.mirrored else rgb)


def orientation(frame) -> Orientation:
    """How a frame (`av.VideoFrame`) is to be shown, as FFmpeg shows it. An angle between two quarter turns, which no
    camera writes, becomes the nearer one."""
    try:
        matrix = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV stumbles over side data that it does not know; it still has the angle
        return Orientation(round(frame.rotation / 90) % 4)
    if matrix is None:
        return Orientation()
    # Of what is stored, x goes to (a, b) and y to (c, d), with y downwards; fixed point, of which signs are enough.
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
    mirrored = a * d < b * c
    if mirrored:  # what is left is a turn
        a = -a
    return Orientation(round(-math.atan2(b, a) / (math.pi / 2)) % 4, mirrored)
