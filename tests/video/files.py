"""Video files for several tests."""

import json
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unistyle.video.clips import Clip, Frame, Reader

av = pytest.importorskip("av", reason="videos need PyAV: pip install -e '.[video]'")


def make_video(
    path: Path,
    pictures: Sequence[Image.Image],
    times: Sequence[int] | None = None,
    sound: str | None = "aac",
    rotation: int | None = None,
    codec: str = "libx264",
    settings: dict[str, str] | None = None,
    prepare: Callable[["av.VideoStream"], None] = lambda stream: None,
) -> Path:
    """A video of pictures, at times in 1/25 s, with a tone. settings: of the container. prepare: what is done to the
    stream of pictures first."""
    with av.open(str(path), "w", container_options=settings or {}) as container:
        picture = container.add_stream(codec, rate=25, options={"crf": "1"} if codec == "libx264" else {})
        picture.width, picture.height = pictures[0].size
        odd = any(side % 2 for side in pictures[0].size)
        picture.pix_fmt = "yuv444p" if odd else "yuv420p"
        picture.codec_context.time_base = Fraction(1, 25)
        if rotation is not None:
            picture.set_display_rotation(rotation)
        prepare(picture)
        other = sound and container.add_stream(sound, rate=44100, bit_rate=64_000)
        for i, image in enumerate(pictures):
            frame = av.VideoFrame.from_image(image)
            frame.pts, frame.time_base = (times or range(len(pictures)))[i], Fraction(1, 25)
            container.mux(picture.encode(frame))
        container.mux(picture.encode(None))
        if other:
            wave = 8000 * np.sin(np.arange(1764 * len(pictures)) * 440 * 2 * np.pi / 44100)
            tone = av.AudioFrame.from_ndarray(wave.astype(np.int16).repeat(2)[None], "s16", "stereo")
            tone.rate, tone.pts = 44100, 0
            container.mux(other.encode(tone))
            container.mux(other.encode(None))
    return path


def decoded(path: Path) -> tuple[np.ndarray, list[float]]:
    """Frames and their times in seconds."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return np.stack([frame.to_ndarray(format="rgb24") for frame in frames]).astype(int), [
        f.time for f in frames
    ]


def sound_of(path: Path) -> list[tuple]:
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(audio=0) if p.dts is not None]
    return [(bytes(p), p.pts * p.time_base, p.duration * p.time_base) for p in packets]


def frames_of(path: Path) -> tuple[Clip, list[Frame]]:
    """What is read of a file, as the command reads it."""
    with Reader(path, path) as reader:
        clip = reader.clip()
    with Reader(path, path) as reader:
        return clip, [part for part in reader.read(clip) if isinstance(part, Frame)]


def lines(out: Path) -> dict[str, dict]:
    records = map(json.loads, (out / "manifest.jsonl").read_text().splitlines())
    return {Path(record["input"]).name: record for record in records}
