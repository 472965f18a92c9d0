"""Videos are shown as FFmpeg shows them: turned, and mirrored, in all eight ways."""

from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from tests.helpers import make_photo
from tests.video.files import av, decoded, frames_of, make_video
from unistyle.video.orientation import Orientation, orientation

# Where x and y go, (a, b) and (c, d), and what FFmpeg does to a stored frame then.
EIGHT = {
    "stored": ((1, 0, 0, 1), lambda x: x),
    "hflip": ((-1, 0, 0, 1), lambda x: x[:, ::-1]),
    "vflip": ((1, 0, 0, -1), lambda x: x[::-1]),
    "hflip and vflip": ((-1, 0, 0, -1), lambda x: x[::-1, ::-1]),
    "transpose=cclock_flip": ((0, 1, 1, 0), lambda x: x.swapaxes(0, 1)),
    "transpose=clock_flip": ((0, -1, -1, 0), lambda x: x[::-1, ::-1].swapaxes(0, 1)),
    "transpose=clock": ((0, 1, -1, 0), lambda x: x[::-1].swapaxes(0, 1)),
    "transpose=cclock": ((0, -1, 1, 0), lambda x: x[:, ::-1].swapaxes(0, 1)),
}


def matrix(a: float, b: float, c: float, d: float, x: int = 0, y: int = 0) -> list[int]:
    """A display matrix as a file has it, which moves the picture by x and y as well."""
    one = 1 << 16
    return [int(v) for v in (a * one, b * one, 0, c * one, d * one, 0, x * one, y * one, 1 << 30)]


def video(path, numbers, **options):
    return make_video(path, [make_photo()] * 2, prepare=lambda s: s.set_display_matrix(numbers), **options)


def differs(a, b) -> float:
    assert a.shape == b.shape
    return np.abs(a.astype(int) - b).mean()


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("name", EIGHT)
def test_all_eight_orientations(tmp_path, name, suffix):
    numbers, shown = EIGHT[name]
    source = video(tmp_path / f"clip{suffix}", matrix(*numbers), sound=None)
    clip, frames = frames_of(source)
    wanted = shown(decoded(source)[0][0])
    assert (clip.height, clip.width) == wanted.shape[:2]
    assert differs(frames[0].rgb, wanted) < 4  # of other ways to enlarge colour
    others = [each for other, (_, each) in EIGHT.items() if other != name]
    looks = [each(decoded(source)[0][0]) for each in others]
    assert all(differs(frames[0].rgb, look) > 10 for look in looks if look.shape == wanted.shape)


@pytest.mark.parametrize("name", ["hflip", "vflip", "transpose=cclock_flip"])
def test_a_mirrored_video_comes_out_as_it_is_shown(run, tmp_path, name):
    numbers, shown = EIGHT[name]
    source = video(tmp_path / "front.mp4", matrix(*numbers))
    wanted = shown(decoded(source)[0][0])
    mask = np.zeros(wanted.shape[:2], np.uint8)  # as it is shown: the left quarter alone
    mask[:, : mask.shape[1] // 4] = 255
    Image.fromarray(mask).save(tmp_path / "left.png")
    assert run(source, "--mask", tmp_path / "left.png", "--save-mask")[0] == 0
    with av.open(str(tmp_path / "out/front.mp4")) as container:
        frame = next(container.decode(video=0))
    assert orientation(frame) == Orientation()
    after, masks = (decoded(tmp_path / f"out/{name}")[0][0] for name in ("front.mp4", "front.mask.mp4"))
    right = slice(mask.shape[1] // 4 + 4, None)
    assert differs(after[:, right], wanted[:, right]) < 6  # the codec, and nothing restyled
    assert differs(masks[..., 0], mask) < 6


def test_pixels_that_are_no_squares_turn_with_a_mirrored_picture(run, tmp_path):
    def prepare(stream):
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        stream.set_display_matrix(matrix(*EIGHT["transpose=clock_flip"][0]))

    source = make_video(tmp_path / "wide.mp4", [make_photo()] * 2, prepare=prepare)
    assert run(source)[0] == 0
    with av.open(str(tmp_path / "out/wide.mp4")) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(3, 4)


@pytest.mark.parametrize(
    ("numbers", "name"),
    [
        (matrix(-2, 0, 0, 2), "hflip"),  # enlarged, which no player does
        (matrix(-1, 0, 0, 1, x=64), "hflip"),  # moved back to where it was, as phones write
        (matrix(0.02, 0.999, 0.999, -0.02, y=5), "transpose=cclock_flip"),  # not quite upright
        (matrix(0, 0, 0, 0), "stored"),  # of no use
    ],
)
def test_odd_matrices(tmp_path, numbers, name):
    source = video(tmp_path / "clip.mp4", numbers, sound=None)
    assert differs(frames_of(source)[1][0].rgb, EIGHT[name][1](decoded(source)[0][0])) < 4
