"""A video file that was cut off fails and is named; a whole one of any kind is not taken for one."""

from pathlib import Path

import pytest

from tests.helpers import files, make_photo
from tests.video.files import av, frames_of, lines, make_video
from tests.video.frames import moving
from unistyle.errors import ImageError

# Suffix -> codec, settings of the container, sound. The index of MP4 stands before what it tells of, as on the web.
KINDS = {
    "web.mp4": ("libx264", {"movflags": "faststart"}, "aac"),
    "plain.mov": ("mpeg4", {"movflags": "faststart"}, None),
    "fragments.mp4": ("libx264", {"movflags": "frag_keyframe+empty_moov"}, "aac"),
    "phone.3gp": ("mpeg4", {"movflags": "faststart"}, None),
    "clip.mkv": ("libx264", {}, "aac"),
    "live.mkv": ("libx264", {"live": "1"}, None),
    "clip.webm": ("libvpx-vp9", {}, None),
    "old.avi": ("mpeg4", {}, "mp3"),
    "old.wmv": ("wmv2", {}, "wmav2"),
    "old.flv": ("flv", {}, None),
    "clip.ogv": ("libvpx", {}, None),
    "disc.mpg": ("mpeg2video", {}, "mp2"),
    "camera.mts": ("libx264", {}, "aac"),
}
# These do not say how long they are.
SILENT = {"disc.mpg", "camera.mts", "live.mkv"}


def make(path: Path, count: int = 30) -> Path:
    codec, options, sound = KINDS[path.name]
    pictures = moving(count)

    def prepare(stream):
        stream.gop_size = 10

    return make_video(path, pictures, codec=codec, settings=options, sound=sound, prepare=prepare)


@pytest.mark.parametrize("name", KINDS)
def test_a_whole_file_is_whole(tmp_path, name):
    assert len(frames_of(make(tmp_path / name))[1]) == 30


@pytest.mark.parametrize("share", [0.5, 0.8])
@pytest.mark.parametrize("name", [name for name in KINDS if name not in SILENT])
def test_a_file_that_was_cut_off_is_named(tmp_path, name, share):
    path = make(tmp_path / name)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ImageError, match=f"{name}: cut off: .* are there of .*; copy or download it again"):
        frames_of(path)


@pytest.mark.parametrize("name", ["web.mp4", "clip.mkv", "clip.webm", "old.avi", "old.flv"])
def test_a_download_whose_rest_is_empty_is_named(tmp_path, name):
    path = make(tmp_path / name)
    data = path.read_bytes()
    half = len(data) // 2
    path.write_bytes(data[:half] + bytes(len(data) - half))
    with pytest.raises(ImageError, match=f"{name}: (cut off|cannot be read as a video)"):
        frames_of(path)


def test_the_last_byte_counts(tmp_path):
    path = make(tmp_path / "web.mp4")
    with av.open(str(path)) as container:
        end = max(e.pos + e.size for s in container.streams for e in s.index_entries)
    path.write_bytes(path.read_bytes()[: end - 1])
    with pytest.raises(ImageError, match=f"cut off: {end - 1} bytes are there of {end} or more"):
        frames_of(path)


def test_nothing_is_written_and_the_others_are(run, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    data = make(folder / "web.mp4").read_bytes()
    (folder / "web.mp4").write_bytes(data[: len(data) // 2])
    make_video(folder / "good.mp4", [make_photo()] * 2)
    code, printed, errors = run(folder, "--save-mask")
    assert code == 1
    assert "1 written, 0 skipped, 1 failed" in printed
    assert "web.mp4: cut off: " in errors
    assert files(tmp_path / "out") == ["good.mask.mp4", "good.mp4", "manifest.jsonl"]
    assert "cut off" in lines(tmp_path / "out")["web.mp4"]["reason"]


def test_what_stands_after_the_end_does_no_harm(tmp_path):
    for name, more in (("web.mp4", b"notes of a phone"), ("clip.mkv", bytes(100)), ("old.avi", bytes(7))):
        path = make(tmp_path / name)
        path.write_bytes(path.read_bytes() + more)
        assert len(frames_of(path)[1]) == 30


@pytest.mark.parametrize("name", ["clip.mkv", "old.avi", "old.flv"])
def test_pictures_that_stand_for_long_are_no_cut(tmp_path, name):
    codec, options, _ = KINDS[name]
    path = make_video(
        tmp_path / name, moving(4), (0, 50, 100, 150), codec=codec, settings=options, sound=None
    )
    assert len(frames_of(path)[1]) == 4
