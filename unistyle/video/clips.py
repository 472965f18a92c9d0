"""Video files: their frames upright as RGB with the time of each, their sound as it is, and back.

PyAV, the extra `video`, decodes and encodes. What is written is H.264 of high quality; sound and subtitles are copied
packet by packet where the container takes them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np

from unistyle.errors import ImageError
from unistyle.files.folders import VIDEO_FORMATS
from unistyle.files.places import Place
from unistyle.video.colors import exact, matrix, written_as
from unistyle.video.orientation import Orientation, orientation
from unistyle.video.whole import lack

try:
    import av
    from av.video.reformatter import ColorRange
except ImportError:  # the extra `video`, without which a video is refused by name
    av = None

MISSING = "videos need PyAV: pip install -e '.[video]'"
# Of x264. A constant quantiser, and one four times as fine for key frames: their error is then below what the frames
# after them, as differences, can say, and a still picture stays still. With `crf` it moves by 4 of 255.
QUALITY = {"qp": "20", "x264-params": "ipratio=4"}
SOUND = "aac"  # where a container does not take the sound as it is
ALPHA = (
    "its transparency is not kept, because H.264 has none: what was hidden shows, and is restyled. For transparency, "
    "restyle its frames as photos"
)
USUAL_RATE = 25  # frames per second, where a file does not say
USUAL_SOUND = 48_000  # samples per second, where the rate of a file is one that SOUND does not take
# Of the notes of a file.
KEPT = {"title", "artist", "album", "date", "comment", "creation_time", "copyright", "location"}


class Clip(NamedTuple):
    """What holds for a whole video."""

    width: int
    """In pixels, upright."""

    height: int
    """In pixels, upright."""

    orientation: Orientation
    """How a frame is brought upright."""

    frames: int | None
    """The number of frames; None: the file does not tell."""

    remarks: tuple[str, ...] = ()
    """In words, what is not read as it is."""


class Frame(NamedTuple):
    """One picture of a video."""

    rgb: np.ndarray
    """uint8 `h w 3`, upright."""

    start: int
    """When it is shown first, in units."""

    duration: int
    """How long it is shown, in units; 0: unknown."""

    unit: Fraction
    """In seconds."""


@contextmanager
def _reading(path: Place) -> Iterator[None]:
    """What goes wrong with a file that is read, as ImageError "PATH: REASON"."""
    try:
        yield
    except av.FFmpegError as error:
        raise ImageError(f"{path}: cannot be read as a video: {error.strerror or error}") from error


class Reader:
    """Reads a video file. Raises ImageError, "PATH: REASON", where it cannot be read or has no picture."""

    def __init__(self, path: Path, name: Place):
        """name: what the file is called in messages."""
        if av is None:
            raise ImageError(f"{name}: {MISSING}")
        if not path.is_file():  # to open a pipe would be to wait for its other end
            raise ImageError(f"{name}: no such file, or no regular one")
        self.name, self.path = name, path
        self._last: int | None = None
        with _reading(name):
            self.container = av.open(str(path))
        # A cover is a stream of pictures as well.
        pictures = [s for s in self.container.streams.video if not s.disposition & s.disposition.attached_pic]
        if not pictures or pictures[0].codec_context is None:
            self.container.close()
            raise ImageError(f"{name}: no picture that can be decoded: sound alone, or an unknown codec")
        self.video = pictures[0]
        self.video.thread_type = "AUTO"
        self.others = [
            s for s in (*self.container.streams.audio, *self.container.streams.subtitles) if s.codec_context
        ]

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_) -> None:
        self.container.close()

    @property
    def unit(self) -> Fraction:
        """The unit of the times of frames, in seconds."""
        return self.video.time_base or Fraction(1, 90_000)

    def clip(self) -> Clip:
        """What holds for the video, by its first frame. This takes packets out: open the file anew to read all. Raises
        ImageError for a file that is cut off as well."""
        with _reading(self.name):
            frame = next(self.container.decode(self.video), None)
            if frame is None:
                raise ImageError(f"{self.name}: cannot be read as a video: there is not one frame in it")
            with av.open(str(self.path)) as anew:  # decoders take packets ahead
                missing = lack(self.path, anew)
        if missing:
            raise ImageError(f"{self.name}: {missing}")
        turned = orientation(frame)
        size = (frame.height, frame.width) if turned.turns % 2 else (frame.width, frame.height)
        return Clip(*size, turned, self.video.frames or self._expected(), (ALPHA,) * self._has_alpha(frame))

    def _has_alpha(self, frame: "av.VideoFrame") -> bool:
        # WebM has its alpha beside the frames, and FFmpeg's own decoders of VP8 and VP9 pass it by.
        beside = {k.lower(): v for k, v in self.video.metadata.items()}.get("alpha_mode") == "1"
        return beside or any(component.is_alpha for component in frame.format.components)

    @property
    def late(self) -> Fraction:
        """When the file begins, in seconds after 0. MPEG streams begin anywhere; what counts is the time since then."""
        return max(Fraction(0), Fraction(self.container.start_time or 0, av.time_base))

    def _expected(self) -> int | None:
        rate, end = self.video.average_rate, self.container.duration
        return round(end * rate / av.time_base) if rate and end else None

    def read(self, clip: Clip) -> Iterator:
        """Frames (`Frame`) and the packets of sound and subtitles (`av.Packet`), in the order of the file. Times count
        from the start of the file, so that what starts late does not begin with nothing."""
        late = self.late
        with _reading(self.name):
            for packet in self.container.demux([self.video, *self.others]):
                if late:
                    _earlier(packet, late)
                if packet.stream is self.video:
                    yield from (self._frame(frame, clip) for frame in packet.decode())
                else:
                    yield packet

    def _frame(self, frame: "av.VideoFrame", clip: Clip) -> Frame:
        try:
            colorspace = matrix(frame.colorspace)
        except ImageError as error:
            raise ImageError(f"{self.name}: {error}") from error
        rgb = frame.reformat(format="rgb24", src_colorspace=colorspace,
                             src_color_range=frame.color_range, interpolation=exact()).to_ndarray()  # fmt: skip
        rgb = clip.orientation.upright(rgb)
        if rgb.shape[:2] != (clip.height, clip.width):
            size = f"{rgb.shape[1]}x{rgb.shape[0]}"
            raise ImageError(
                f"{self.name}: frames of {size} after frames of {clip.width}x{clip.height}; cut it there"
            )
        return Frame(rgb, self._start(frame.pts), frame.duration or 0, self.unit)

    def _start(self, start: int | None) -> int:
        """The time of the next frame; where the file tells none, or one that is over, it follows the last."""
        if start is None:
            rate = self.video.average_rate or Fraction(USUAL_RATE)
            start = 0 if self._last is None else self._last + round(1 / (rate * self.unit))
        last = self._last = start if self._last is None else max(start, self._last + 1)
        return last


def _earlier(packet: "av.Packet", seconds: Fraction) -> None:
    """Put the times of a packet so much earlier."""
    if packet.dts is None and packet.pts is None:  # the last packet of a stream is empty
        return
    by = round(seconds / packet.time_base)
    packet.pts = None if packet.pts is None else packet.pts - by
    packet.dts = None if packet.dts is None else packet.dts - by


class Writer:
    """Writes a file with frames of its own, and the sound and subtitles of another. `remarks` says what is not kept as
    it was."""

    def __init__(self, path: Path, kind: str, clip: Clip, like: Reader, sound: bool = True):
        """kind: a suffix of VIDEO_FORMATS. clip: the size of the frames. like: the other file. sound: whether its sound
        and subtitles come along."""
        format = VIDEO_FORMATS[kind]
        self.remarks: list[str] = []
        # Matroska's own default would make tracks of its choice the default ones.
        options = {"default_mode": "passthrough"} if format == "matroska" else {"movflags": "+faststart"}
        self.container = av.open(str(path), "w", format=format, container_options=options)
        self.video = self._picture(clip, like)
        self.others: dict[
            int, tuple
        ] = {}  # of the other file's streams: the own one, whether packets are copied
        self._samples: dict[int, int] = {}
        for stream in like.others if sound else ():
            self._take(stream, kind)
        if sound:
            self.container.metadata.update({k: v for k, v in like.container.metadata.items() if k in KEPT})

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *_) -> None:
        self.container.close()

    def _picture(self, clip: Clip, like: Reader):
        video = self.container.add_stream(
            "libx264", rate=like.video.average_rate or USUAL_RATE, options=QUALITY
        )
        video.width, video.height, context = clip.width, clip.height, video.codec_context
        # Colour at half the size, which every player takes, has no odd sizes.
        video.pix_fmt = "yuv444p" if clip.width % 2 or clip.height % 2 else "yuv420p"
        context.time_base = video.time_base = like.unit
        if (aspect := like.video.sample_aspect_ratio) and aspect > 0:
            context.sample_aspect_ratio = 1 / aspect if clip.orientation.turns % 2 else aspect
        context.color_range = ColorRange.MPEG
        source, stored = like.video.codec_context, like.video.codec_context.format
        from_rgb = stored is not None and (stored.is_rgb or stored.has_palette)
        self.colorspace = written_as(source.colorspace, from_rgb)
        context.colorspace = self.colorspace
        context.color_primaries, context.color_trc = source.color_primaries, source.color_trc
        video.disposition = like.video.disposition
        return video

    def _take(self, stream, kind: str) -> None:
        """Make room for a stream of sound or subtitles: as it is, or as the container takes it."""
        name = stream.codec_context.name
        try:
            own, copied = self.container.add_stream_from_template(stream), True
        except ValueError:  # which this container does not take
            if stream.type != "audio":
                self.remarks.append(f"subtitles ({name}) are left out, which {kind} does not take")
                return
            rates = av.Codec(SOUND, "w").audio_rates
            rate = stream.rate if stream.rate in rates else USUAL_SOUND
            layout = "mono" if stream.channels == 1 else "stereo"
            own, copied = self.container.add_stream(SOUND, rate=rate, layout=layout), False
            self.remarks.append(
                f"sound ({name}) is written as {SOUND}, {layout}: {kind} does not take it as it is"
            )
        own.metadata.update(stream.metadata)
        own.disposition = stream.disposition  # which of them plays by default, and which always
        self.others[stream.index] = own, copied

    def frame(self, frame: Frame) -> None:
        """Write the next frame, of the size of the clip."""
        picture = av.VideoFrame.from_ndarray(frame.rgb, format="rgb24")
        picture = picture.reformat(format=self.video.pix_fmt, dst_colorspace=matrix(self.colorspace),
                                   dst_color_range=ColorRange.MPEG, interpolation=exact())  # fmt: skip
        picture.pts, picture.duration, picture.time_base = frame.start, frame.duration, frame.unit
        self.container.mux(self.video.encode(picture))

    def packet(self, packet: "av.Packet") -> None:
        """A packet of one of the other streams: copied, or encoded anew."""
        own, copied = self.others.get(packet.stream.index, (None, True))
        if not copied:
            for frame in packet.decode():
                self.container.mux(own.encode(self._in_samples(frame, packet.stream.index)))
        elif own is not None and packet.dts is not None:  # the last packet of a stream is empty
            packet.stream = own
            self.container.mux(packet)

    def _in_samples(self, frame: "av.AudioFrame", index: int) -> "av.AudioFrame":
        """The frame with its time in samples: the times of old containers are too coarse to follow each other."""
        start = round((frame.time or 0) * frame.sample_rate)
        frame.pts, frame.time_base = self._samples.setdefault(index, start), Fraction(1, frame.sample_rate)
        self._samples[index] += frame.samples
        return frame

    def finish(self) -> None:
        """Write what the encoders hold back; the file is whole once it is closed after this."""
        for stream in (self.video, *(own for own, copied in self.others.values() if not copied)):
            self.container.mux(stream.encode(None))
