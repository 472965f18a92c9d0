"""Videos: every frame, its time and the sound come through; what stands still stays still."""

import numpy as np
import pytest
from PIL import Image

from tests.helpers import files, make_photo
from tests.video.files import av, decoded, lines, make_video, sound_of
from tests.video.frames import moving
from unistyle import UniStyle
from unistyle.video import clips
from unistyle.video.memory import Memory

EVERY = (0, 1, 2, 4, 7, 8)  # times of frames, as a phone records them


@pytest.fixture
def written(monkeypatch) -> dict[str, list[np.ndarray]]:
    """Frames by the suffix of their file, before they are encoded."""
    seen: dict[str, list[np.ndarray]] = {"image": [], "mask": []}
    encode = clips.Writer.frame

    def note(self, frame):
        kind = "mask" if (frame.rgb == frame.rgb[..., :1]).all() else "image"
        seen[kind].append(frame.rgb.astype(int))
        encode(self, frame)

    monkeypatch.setattr(clips.Writer, "frame", note)
    return seen


@pytest.fixture(scope="module")
def model(checkpoint) -> UniStyle:
    return UniStyle.from_pretrained(checkpoint, device="cpu")


@pytest.mark.parametrize(
    ("height", "width", "suffix"), [(48, 64, ".mp4"), (47, 63, ".mkv"), (50, 34, ".mov")]
)
def test_size_times_and_sound_are_kept(run, tmp_path, height, width, suffix):
    source = make_video(tmp_path / f"clip{suffix}", moving(6, height, width), EVERY)
    code, printed, errors = run(source)
    assert code == 0, errors
    assert "1 written" in printed
    result = tmp_path / "out" / source.name
    (before, times), (after, new_times) = decoded(source), decoded(result)
    assert after.shape == before.shape == (6, height, width, 3)
    assert new_times == times
    assert np.abs(after - before).mean() > 2
    assert sound_of(result) == sound_of(source) != []
    line = lines(tmp_path / "out")["clip" + suffix]
    assert (line["status"], line["frames"]) == ("written", 6)
    assert line["styles"] == {"*": "stone/quarry"}
    assert line["settings"]["smoothing"] == 0.8
    assert line["seconds"] > 0
    assert all(0 < share <= 1 for share in line["materials"].values())


def test_without_sound_and_with_a_sound_that_the_container_does_not_take(run, tmp_path):
    make_video(tmp_path / "silent.mp4", moving(), sound=None)
    make_video(tmp_path / "old.avi", moving(), sound="wmav2", codec="mpeg4")
    code, _, errors = run(tmp_path / "silent.mp4", tmp_path / "old.avi")
    assert code == 0
    assert "old.avi: sound (wmav2) is written as aac" in errors
    assert files(tmp_path / "out") == ["manifest.jsonl", "old.mp4", "silent.mp4"]
    with av.open(str(tmp_path / "out/silent.mp4")) as container:
        assert not container.streams.audio
    with av.open(str(tmp_path / "out/old.mp4")) as container:
        assert len(list(container.decode(video=0))) == 6
        container.seek(0)
        samples = sum(frame.samples for frame in container.decode(audio=0))
    assert abs(samples - 6 * 1764) < 3 * 2048  # whole packets


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_frames_come_out_upright(run, tmp_path, rotation):
    source = make_video(tmp_path / "phone.mp4", moving(3), rotation=rotation)
    Image.new("L", (48, 64) if rotation % 180 else (64, 48), 0).save(tmp_path / "none.png")
    assert run(source, "--mask", tmp_path / "none.png")[0] == 0
    with av.open(str(tmp_path / "out/phone.mp4")) as container:
        frames = list(container.decode(video=0))
    assert {frame.rotation for frame in frames} == {0}
    wanted = np.rot90(decoded(source)[0][0], rotation // 90 % 4)
    got = frames[0].to_ndarray(format="rgb24").astype(int)
    assert got.shape == wanted.shape
    assert np.abs(got - wanted).mean() < 6  # the codec, and nothing restyled


def test_broken_ones_are_named_and_the_others_written(run, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    good = make_video(folder / "good.mp4", moving()).read_bytes()
    (folder / "cut.mp4").write_bytes(good[: len(good) // 2])
    (folder / "empty.mkv").write_bytes(b"")
    (folder / "text.avi").write_text("hello")
    make_photo().save(folder / "photo.png")
    with av.open(str(folder / "sound.mov"), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 8820), np.int16), "s16", "stereo")
        tone.rate = 44100
        container.mux([*stream.encode(tone), *stream.encode(None)])
    code, printed, errors = run(folder)
    assert code == 1
    assert "2 written, 0 skipped, 4 failed" in printed
    for name in ("cut.mp4", "empty.mkv", "text.avi"):
        assert f"{name}: cannot be read as a video" in errors
    assert "sound.mov: no picture" in errors
    assert files(tmp_path / "out") == ["good.mp4", "manifest.jsonl", "photo.png"]
    assert "Invalid data" in lines(tmp_path / "out")["cut.mp4"]["reason"]


def test_a_damaged_picture_is_named(run, tmp_path):
    data = bytearray(make_video(tmp_path / "clip.mp4", moving(20)).read_bytes())
    start = data.index(b"mdat") + 1000
    data[start : start + 20_000] = bytes(20_000)
    (tmp_path / "clip.mp4").write_bytes(data)
    code, _, errors = run(tmp_path / "clip.mp4")
    assert code == 1
    assert "clip.mp4: cannot be read as a video" in errors
    assert files(tmp_path / "out") == ["manifest.jsonl"]


def test_without_the_extra_videos_are_named_and_photos_written(run, tmp_path, monkeypatch):
    make_video(tmp_path / "clip.mp4", moving(2))
    make_photo().save(tmp_path / "photo.png")
    monkeypatch.setattr(clips, "av", None)
    code, printed, errors = run(tmp_path)
    assert code == 1
    assert "1 written, 0 skipped, 1 failed" in printed
    assert "clip.mp4: videos need PyAV: pip install -e '.[video]'" in errors


def test_a_still_video_comes_out_still(run, tmp_path, written):
    make_video(
        tmp_path / "still.mkv", [make_photo()] * 50, codec="ffv1"
    )  # without loss: each frame is the same
    assert run(tmp_path / "still.mkv", to="stone")[0] == 0
    assert len(written["image"]) == 50
    assert all((frame == written["image"][0]).all() for frame in written["image"])
    frames, _ = decoded(tmp_path / "out/still.mkv")
    assert np.abs(np.diff(frames, axis=0)).max() <= 1


def test_masks(run, tmp_path, written):
    source = make_video(tmp_path / "clip.mp4", moving())
    assert run(source, "--save-mask")[0] == 0
    assert files(tmp_path / "out") == ["clip.mask.mp4", "clip.mp4", "manifest.jsonl"]
    masks, times = decoded(tmp_path / "out/clip.mask.mp4")
    assert times == decoded(source)[1]
    assert np.abs(masks - np.stack(written["mask"])).max() < 60  # edges of a lossy codec
    assert np.abs(masks - np.stack(written["mask"])).mean() < 3
    with av.open(str(tmp_path / "out/clip.mask.mp4")) as container:
        assert not container.streams.audio
    # Outside the mask a frame is what was decoded, before it is encoded anew.
    with clips.Reader(source, source) as reader:
        clip = reader.clip()
    with clips.Reader(source, source) as reader:
        frames = [part.rgb for part in reader.read(clip) if isinstance(part, clips.Frame)]
    for frame, image, mask in zip(frames, written["image"], written["mask"], strict=True):
        outside = mask[..., 0] == 0
        assert 0 < outside.mean() < 1
        np.testing.assert_array_equal(image[outside], frame[outside])


def test_a_given_mask_holds_for_all_frames(run, tmp_path, written):
    source = make_video(tmp_path / "clip.mp4", moving())
    mask = Image.new("L", (64, 48), 0)
    mask.paste(255, (0, 0, 20, 48))
    mask.save(tmp_path / "clip.png")
    assert run(source, "--mask", tmp_path / "clip.png", "--save-mask")[0] == 0
    assert all((frame[..., 0] == np.asarray(mask)).all() for frame in written["mask"])
    assert run(source, "--mask", tmp_path / "clip.mp4", out=tmp_path / "other")[0] == 1


def test_smoothing_0_is_what_each_frame_gives_by_itself(run, model, tmp_path, written):
    source = make_video(tmp_path / "clip.mp4", moving())
    assert run(source, "--smoothing", "0")[0] == 0
    with clips.Reader(source, source) as reader:
        clip = reader.clip()
    with clips.Reader(source, source) as reader:
        frames = [Image.fromarray(f.rgb) for f in reader.read(clip) if isinstance(f, clips.Frame)]
    for frame, got in zip(frames, written["image"], strict=True):
        np.testing.assert_array_equal(got, np.asarray(model.restyle(frame, "stone/quarry").image))
    # Smoothed it is another, and has its own place in the record.
    code, _, errors = run(source)
    assert code == 2
    assert "smoothing was 0.0 and is 0.8 now" in errors
    assert run(source, "--overwrite")[0] == 0
    assert any((a != b).any() for a, b in zip(written["image"][:6], written["image"][6:], strict=True))


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError("a bug"), OSError(28, "No space left")])
def test_what_stops_leaves_no_file(run, tmp_path, monkeypatch, stop):
    source = make_video(tmp_path / "clip.mp4", moving())
    frame, count = clips.Writer.frame, []

    def fail(self, part):
        count.append(part)
        if len(count) == 4:
            raise stop
        frame(self, part)

    monkeypatch.setattr(clips.Writer, "frame", fail)
    code, _, errors = run(source, "--save-mask")
    assert code == (130 if stop is KeyboardInterrupt else 1)
    assert [name for name in files(tmp_path / "out") if name != "manifest.jsonl"] == []
    if stop is KeyboardInterrupt:
        assert "the same command goes on" in errors
    assert run(source)[0] == 0
    assert "1 skipped" in run(source)[1]
    assert "0 written, 1 skipped" in run(source)[1]


def test_two_videos_of_one_name_stop_before_any_work(run, tmp_path):
    make_video(tmp_path / "clip.mp4", moving(2))
    make_video(tmp_path / "clip.avi", moving(2), codec="mpeg4", sound=None)
    assert run(tmp_path)[0] == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("smoothing", ["1", "-0.1", "x"])
def test_smoothing_out_of_range(run, tmp_path, smoothing):
    source = make_video(tmp_path / "clip.mp4", moving(2))
    code, _, errors = run(source, "--smoothing", smoothing)
    assert code == 2
    assert f"got '{smoothing}'" in errors
    if smoothing != "x":
        with pytest.raises(ValueError, match="from 0"):
            Memory(float(smoothing))
