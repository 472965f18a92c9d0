"""Colours of videos: the matrix that is written is the one that was used, and alpha that is lost is said to be."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers import make_photo
from tests.video.files import av, frames_of
from unistyle.errors import ImageError

BT709 = 1
# Of gbrp in H.264 the number of RGB is written, and all others leave it open.
RGB = {
    "screen.mp4": ("libx264rgb", "rgb24"),
    "screen.mkv": ("ffv1", "bgr0"),
    "screen.mov": ("qtrle", "rgb24"),
}
RGB |= {"screen.avi": ("png", "rgb24")}
ALPHA = {
    "a.webm": ("libvpx-vp9", "yuva420p"),
    "a.mov": ("qtrle", "argb"),
    "b.mov": ("prores_ks", "yuva444p10le"),
}
ALPHA |= {"a.mkv": ("ffv1", "bgra"), "old.webm": ("libvpx", "yuva420p"), "a.avi": ("png", "rgba")}
OPAQUE = {"a.webm": ("libvpx-vp9", "yuv420p"), "a.mkv": ("ffv1", "bgr0"), "a.mov": ("qtrle", "rgb24")}


def make(path: Path, codec: str, format: str, colorspace: int | None = None) -> Path:
    """A video of two frames of the same photo, the left half transparent where the format can say it."""
    image = make_photo()
    image.putalpha(Image.fromarray(np.repeat([[0] * 32 + [255] * 32], 48, 0).astype(np.uint8)))
    with av.open(str(path), "w") as container:
        options = {"libvpx": {"auto-alt-ref": "0"}, "libx264": {"crf": "1"}, "libx264rgb": {"crf": "1"}}
        stream = container.add_stream(codec, rate=25, options=options.get(codec, {}))
        stream.width, stream.height, stream.pix_fmt = *image.size, format
        if colorspace is not None:
            stream.codec_context.colorspace = colorspace
        if "yuva" in format and path.suffix == ".webm":
            stream.metadata["alpha_mode"] = "1"
        for i in range(2):
            frame = av.VideoFrame.from_ndarray(np.asarray(image), format="rgba").reformat(format=format)
            frame.pts, frame.time_base = i, Fraction(1, 25)
            if colorspace is not None:
                frame.colorspace = colorspace
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def untouched(run, tmp_path: Path, source: Path) -> Path:
    """What is written where nothing is restyled."""
    Image.new("L", (64, 48), 0).save(tmp_path / "none.png")
    code, _, errors = run(source, "--mask", tmp_path / "none.png")
    assert code == 0, errors
    return next((tmp_path / "out").glob(f"{source.stem}.m*[4v]"))


@pytest.mark.parametrize("name", RGB)
def test_rgb_becomes_yuv_with_a_matrix_that_yuv_may_have(run, tmp_path, name):
    result = untouched(run, tmp_path, make(tmp_path / name, *RGB[name]))
    with av.open(str(result)) as container:
        frame = next(container.decode(video=0))
    assert (frame.format.name, frame.colorspace) == ("yuv420p", BT709)
    got = frame.to_ndarray(format="rgb24", src_colorspace="ITU709")  # as players read what says so
    assert np.abs(got.astype(int) - np.asarray(make_photo())).mean() < 10  # of colour at half the size
    # Grey has no colour at half the size: what is left is the matrix.
    means = [np.asarray(each, int).mean((0, 1)) for each in (got, make_photo())]
    np.testing.assert_allclose(*means, atol=1.5)


def test_colors_of_a_palette_are_rgb(run, tmp_path):
    source = tmp_path / "palette.avi"
    colors = np.full((256, 4), [255, 200, 50, 20], np.uint8)  # alpha first
    with av.open(str(source), "w") as container:
        stream = container.add_stream("msrle", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "pal8"
        for i in range(2):
            frame = av.VideoFrame.from_ndarray((np.zeros((48, 64), np.uint8), colors), format="pal8")
            frame.pts, frame.time_base = i, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with av.open(str(untouched(run, tmp_path, source))) as container:
        frame = next(container.decode(video=0))
    assert frame.colorspace == BT709
    got = frame.to_ndarray(format="rgb24", src_colorspace="ITU709").reshape(-1, 3).mean(0)
    np.testing.assert_allclose(got, [200, 50, 20], atol=2)


@pytest.mark.parametrize("number", [0, 2, 3])
def test_yuv_without_a_matrix_of_its_own_gets_none(run, tmp_path, number):
    result = untouched(run, tmp_path, make(tmp_path / "odd.mkv", "ffv1", "yuv420p", number))
    with av.open(str(result)) as container:
        assert container.streams.video[0].codec_context.colorspace == 2


@pytest.mark.parametrize("number", [1, 5, 6, 9])
def test_the_matrix_of_yuv_is_kept(run, tmp_path, number):
    result = untouched(run, tmp_path, make(tmp_path / "clip.mkv", "libx264", "yuv420p", number))
    with av.open(str(result)) as container:
        assert container.streams.video[0].codec_context.colorspace == number


def test_a_matrix_that_is_not_read_is_named(tmp_path):
    with pytest.raises(ImageError, match=r"clip\.mkv: its colours have the matrix 8 of H.273"):
        frames_of(make(tmp_path / "clip.mkv", "libx264", "yuv444p", 8))


@pytest.mark.parametrize("name", ALPHA)
def test_alpha_that_is_lost_is_said_to_be(run, tmp_path, name):
    source = make(tmp_path / name, *ALPHA[name])
    code, printed, errors = run(source)
    assert code == 0, errors
    assert "1 written" in printed
    assert f"{name}: its transparency is not kept, because H.264 has none" in errors


@pytest.mark.parametrize("name", OPAQUE)
def test_without_alpha_nothing_is_said(run, tmp_path, name):
    assert "transparency" not in run(make(tmp_path / name, *OPAQUE[name]))[2]
