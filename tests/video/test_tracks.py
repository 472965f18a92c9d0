"""What a video has beside its pictures: which tracks play by default, and when all of it starts."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.helpers import make_photo
from tests.video.files import av, decoded
from unistyle.video.clips import Reader

SECOND = 44100


def make(
    path: Path, flags=(), start: float = 0, sound_start: float | None = None, words: bool = False
) -> Path:
    """A video of ten frames of a photo, with a track of sound for each of `flags`, names of dispositions, and then
    one of subtitles. Pictures begin at `start` in seconds, and so does sound unless it has a start of its own."""
    options = {"default_mode": "passthrough"} if path.suffix == ".mkv" else {}
    with av.open(str(path), "w", container_options=options) as container:
        picture = container.add_stream("libx264", rate=25, options={"bf": "0"})
        picture.width, picture.height = 64, 48
        sounds = [container.add_stream("aac", rate=SECOND, layout="stereo") for _ in flags]
        for each, flag in zip(sounds, flags, strict=True):
            each.disposition = sum(getattr(av.stream.Disposition, name) for name in flag)
        if words:
            subtitles = container.add_mux_stream("subrip", time_base=Fraction(1, 1000))
            subtitles.disposition = av.stream.Disposition.forced
        for i in range(10):
            frame = av.VideoFrame.from_image(make_photo())
            frame.pts, frame.time_base = i + round(start * 25), Fraction(1, 25)
            container.mux(picture.encode(frame))
        container.mux(picture.encode(None))
        for each in sounds:
            tone = av.AudioFrame.from_ndarray(np.zeros((1, 2 * 17640), np.int16), "s16", "stereo")
            begin = start if sound_start is None else sound_start
            tone.rate, tone.pts, tone.time_base = SECOND, round(begin * SECOND), Fraction(1, SECOND)
            container.mux([*each.encode(tone), *each.encode(None)])
        if words:
            packet = av.Packet(b"hello")
            packet.stream, packet.time_base = subtitles, Fraction(1, 1000)
            packet.pts = packet.dts = 100 + round(start * 1000)
            packet.duration = 200
            container.mux(packet)
    return path


def flags_of(path: Path) -> list[tuple[str, set[str]]]:
    """The kind of each track, and which of its dispositions are set."""
    with av.open(str(path)) as container:
        return [
            (s.type, {d.name for d in av.stream.Disposition if s.disposition & d}) for s in container.streams
        ]


def out_of(folder: Path, name: str) -> Path:
    """What becomes of a file; of what is not written as it was read it is MP4."""
    return folder / "out" / name.replace(".mts", ".mp4")


def starts(path: Path) -> list[float]:
    """When each track begins, in seconds."""
    first: dict[int, float] = {}
    with av.open(str(path)) as container:
        for packet in container.demux():
            if packet.pts is not None:
                first.setdefault(packet.stream.index, float(packet.pts * packet.time_base))
    return [time for _, time in sorted(first.items())]


@pytest.mark.parametrize(
    ("suffix", "flags", "words"),
    [
        (".mp4", [(), ("default",)], False),
        (".mkv", [(), ("default",)], True),
        (".mkv", [("default",), ("forced", "default"), ("comment",)], False),
        (".mkv", [(), ()], True),
        (".mov", [(), (), ("default",)], False),
        (".mkv", [("hearing_impaired",), ("default", "original")], False),
    ],
)
def test_flags_of_tracks_are_kept(run, tmp_path, suffix, flags, words):
    source = make(tmp_path / f"clip{suffix}", flags, words=words)
    before = flags_of(source)
    assert len(before) == 1 + len(flags) + words
    assert run(source)[0] == 0
    assert flags_of(tmp_path / f"out/clip{suffix}") == before


def test_flags_of_sound_that_is_written_anew(run, tmp_path):
    source = tmp_path / "clip.mkv"
    make(source, [(), ("default",)])
    copy = tmp_path / "copy.mov"
    with av.open(str(source)) as old, av.open(str(copy), "w") as new:  # sound that MP4 does not take
        video = new.add_stream_from_template(old.streams.video[0])
        sounds = [new.add_stream("pcm_s16le", rate=SECOND, layout="stereo") for _ in range(2)]
        sounds[1].disposition = av.stream.Disposition.default
        for packet in old.demux():
            if packet.dts is None:
                continue
            if packet.stream.type == "video":
                packet.stream = video
                new.mux(packet)
            else:
                for frame in packet.decode():
                    new.mux(sounds[packet.stream.index - 1].encode(frame))
    copy.rename(tmp_path / "copy.m4v")
    assert run(tmp_path / "copy.m4v")[0] == 0
    assert [flags for _, flags in flags_of(tmp_path / "out/copy.m4v")] == [{"default"}, set(), {"default"}]


@pytest.mark.parametrize(
    ("name", "start"), [("a.mts", 1.6), ("a.mkv", 5.0), ("a.mp4", 0.4), ("a.mts", 3600.0)]
)
def test_a_file_that_starts_late_starts_at_once(run, tmp_path, name, start):
    source = make(tmp_path / name, [("default",)], start)
    before = starts(source)
    assert min(before) > start - 0.1
    assert run(source, "--save-mask")[0] == 0
    result = out_of(tmp_path, name)
    after = starts(result)
    assert min(after) == pytest.approx(0, abs=0.03)  # priming of AAC
    assert np.diff(after) == pytest.approx(np.diff(before), abs=0.002)  # picture and sound stay together
    times = decoded(result)[1]
    assert np.diff(times) == pytest.approx(0.04, abs=0.0011)
    with av.open(str(result)) as container:
        assert container.duration / 1e6 == pytest.approx(0.4, abs=0.08)
    assert decoded(next((tmp_path / "out").glob("a.mask.*")))[1] == pytest.approx(times, abs=0.001)


@pytest.mark.parametrize("name", ["a.mts", "a.mkv"])
def test_sound_that_starts_before_the_pictures_stays_before(run, tmp_path, name):
    source = make(tmp_path / name, [("default",)], start=2.4, sound_start=2.0)
    assert run(source)[0] == 0
    picture, sound = starts(out_of(tmp_path, name))
    assert sound == pytest.approx(0, abs=0.03)
    assert picture - sound == pytest.approx(np.subtract(*starts(source)), abs=0.002)


def test_subtitles_come_along(run, tmp_path):
    source = make(tmp_path / "a.mkv", [("default",)], start=5, words=True)
    assert run(source)[0] == 0
    before, after = starts(source), starts(tmp_path / "out/a.mkv")
    assert np.diff(after) == pytest.approx(np.diff(before), abs=0.002)


def test_a_file_that_starts_at_0_stays_as_it_is(tmp_path):
    source = make(tmp_path / "a.mp4", [("default",)], start=0.4, sound_start=0)
    with Reader(source, source) as reader:
        assert reader.late == 0
