"""Which files are photos, which are masks of photos, and where results may go."""

import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers import files, make_photo, pixels
from unistyle.batch.jobs import collect
from unistyle.commands import infer
from unistyle.errors import UsageError
from unistyle.files.folders import list_images

NFC, NFD = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(checkpoint, capsys):
    def call(*arguments, to="stone"):
        given = [*arguments, "--checkpoint", checkpoint, "--device", "cpu"] + (["--to", to] if to else [])
        return infer.main([str(a) for a in given]), *capsys.readouterr()

    return call


def photo(name: str, format: str | None = None, seed: int = 0) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    make_photo(seed=seed).save(path, format)
    return path


def mask(name: str, column: int = 20) -> np.ndarray:
    path, values = Path(name), np.zeros((48, 64), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    values[:, :column] = 255
    Image.fromarray(values).save(path)
    return values


def jobs(inputs: list, out: str = "out", **options) -> dict[str, str | None]:
    """What is worked on: the file that is written -> the mask."""
    found = collect(inputs, out, **options).jobs
    return {str(job.output): job.mask and str(job.mask) for job in found}


# Where results go.


@pytest.mark.parametrize(("given", "out", "wanted"), [
    ("photos", ".", ["a.png", "sub/b.png"]),
    ("photos", "..", ["../a.png", "../sub/b.png"]),
    ("photos/sub", "photos", ["photos/b.png"]),
    ("{here}/photos", ".", ["a.png", "sub/b.png"]),
    ("photos", "{here}", ["{here}/a.png", "{here}/sub/b.png"]),
])  # fmt: skip
def test_the_output_folder_may_lie_above_the_photos(here, given, out, wanted, monkeypatch):
    photo("in/photos/a.jpg")
    photo("in/photos/sub/b.jpg")
    monkeypatch.chdir("in")
    for _ in range(2):
        found = jobs([given.format(here=here / "in")], out.format(here=here / "in"))
        assert list(found) == [path.format(here=here / "in") for path in wanted]


def test_results_above_the_photos_are_written_and_skipped(run):
    photo("photos/a.jpg")
    assert run("photos", "--out", ".")[0] == 0
    assert "1 skipped" in run("photos", "--out", ".")[1]
    assert files(Path()) == ["a.png", "manifest.jsonl", "photos/a.jpg"]


def test_results_above_the_photos_never_come_among_them():
    photo("photos/photos/a.jpg")
    with pytest.raises(UsageError, match="among the photos"):
        collect(["photos"], ".")


def test_photos_that_all_lie_in_the_output_folder_are_counted():
    photo("photos/out/a.jpg")
    with pytest.raises(UsageError, match="1 in --out photos/out"):
        collect(["photos"], "photos/out")


# Masks beside photos.


def test_a_mask_beside_a_photo_is_its_mask_and_no_photo(run):
    photo("mine/a.jpg")
    photo("mine/b.jpg", seed=1)
    wanted = mask("mine/a.mask.png")
    code, printed, _ = run("mine", "--save-mask", "--out", "out")
    assert code == 0
    assert "1 masks beside their photos" in printed
    assert files(Path("out")) == ["a.mask.png", "a.png", "b.mask.png", "b.png", "manifest.jsonl"]
    np.testing.assert_array_equal(pixels("out/a.mask.png"), wanted)
    assert not (pixels("out/a.png") != pixels("mine/a.jpg")).any(-1)[:, 20:].any()
    assert run("mine", "--mask", "mine/a.mask.png", "--out", "given")[0] == 0
    np.testing.assert_array_equal(pixels("given/a.png"), pixels("out/a.png"))


def test_masks_beside_photos_in_every_way_of_giving_them():
    for name in ("mine/a.jpg", "mine/sub/b.png", "mine/c.mask.png", "mine/d.v2.webp"):
        photo(name)
    for name in ("mine/a.mask.png", "mine/a.mask.jpg", "mine/sub/b.mask.tif", "mine/d.v2.MASK.PNG"):
        mask(name)
    wanted = {"out/a.png": "mine/a.mask.png", "out/d.v2.png": "mine/d.v2.MASK.PNG"}
    # A mask of no photo is a photo.
    assert jobs(["mine"]) == wanted | {"out/c.mask.png": None, "out/sub/b.png": "mine/sub/b.mask.tif"}
    assert jobs(["mine/a.jpg"]) == {"out/a.png": "mine/a.mask.png"}
    assert jobs(sorted(Path("mine").glob("*.*"))) == wanted | {"out/c.mask.png": None}
    assert jobs(["mine/a.mask.png"]) == {"out/a.mask.png": None}
    assert set(jobs(["mine"], beside=False).values()) == {None}
    assert jobs(["mine"], mask="mine/sub/b.mask.tif")["out/a.png"] == "mine/sub/b.mask.tif"


def test_photos_of_one_size_with_and_without_masks_in_one_pass(run):
    for seed, name in enumerate("abcd"):
        photo(f"mine/{name}.png", seed=seed)
    wanted = {name: mask(f"mine/{name}.mask.png", 10 * (1 + ord(name) % 3)) for name in "bd"}
    assert run("mine", "--save-mask", "--batch-size", 4, "--out", "out")[0] == 0
    for name, values in wanted.items():
        np.testing.assert_array_equal(pixels(f"out/{name}.mask.png"), values)


def test_several_styles_leave_masks_beside_photos_alone(run):
    photo("mine/a.jpg")
    mask("mine/a.mask.png")
    code, printed, _ = run("mine", "--map", "leather=stone", "--map", "stone=metal", "--out", "out", to=None)
    assert (code, "1 written" in printed) == (0, True)
    assert "1 masks beside photos are left alone" in printed
    assert "1 masks beside photos are left alone" in run("mine", "--everywhere", "--out", "around")[1]
    assert run("mine", "--find-only", "--out", "found", to=None)[0] == 0
    assert files(Path("found")) == ["a.materials.png", "legend.txt"]


def test_masks_of_videos_are_no_videos():
    for name in ("a.mp4", "a.mask.mp4", "b.mov"):
        Path(name).touch()
    mask("b.mask.png")
    assert jobs(sorted(Path().iterdir())) == {
        "out/a.mp4": None,
        "out/b.mov": "b.mask.png",
    }


@pytest.mark.parametrize("given", ["photos/masks", "{here}/photos/masks", "photos/../photos/masks/"])
def test_a_folder_of_masks_inside_that_of_the_photos_holds_no_photos(here, given):
    photo("photos/a.jpg")
    photo("photos/sub/b.jpg")
    mask("photos/masks/a.png")
    mask("photos/masks/sub/b.png")
    folder = given.format(here=here)
    found = {name: path and os.path.relpath(path) for name, path in jobs(["photos"], mask=folder).items()}
    assert found == {"out/a.png": "photos/masks/a.png", "out/sub/b.png": "photos/masks/sub/b.png"}


def test_masks_above_the_photos_and_among_them():
    photo("data/photos/a.jpg")
    mask("data/a.png")
    assert jobs(["data/photos"], mask="data") == {"out/a.png": "data/a.png"}
    mask("data/photos/m.png")
    assert jobs(["data/photos"], mask="data/photos/m.png") == {"out/a.png": "data/photos/m.png"}
    mask("data/photos/a.mask.png")
    assert jobs(["data/photos"], mask="data/photos") == {
        "out/a.png": "data/photos/a.mask.png",
        "out/m.png": None,
    }


# Given twice.


@pytest.mark.parametrize("given", [
    ["one/a.png", "one/a.png"],
    ["one", "one/a.png"],
    ["one/a.png", "one"],
    ["one", "{here}/one"],
    ["one", "./one/../one/"],
    ["one", "link"],
    ["one/a.png", "two/link.png"],
])  # fmt: skip
def test_a_photo_given_twice_is_done_once(here, given):
    photo("one/a.png")
    Path("link").symlink_to("one")
    Path("two").mkdir()
    Path("two/link.png").symlink_to("../one/a.png")
    outputs = [str(job.output) for job in collect([name.format(here=here) for name in given], "out").jobs]
    assert outputs in (["out/a.png"], ["out/a.png", "out/link.png"])
    assert len(outputs) == 1 + ("two" in given[1])


def test_two_photos_of_one_name_are_still_refused():
    photo("one/a.png")
    photo("two/a.png", seed=1)
    with pytest.raises(UsageError, match="1 results would be written by two photos"):
        collect(["one", "two"], "out")


# Names.


@pytest.mark.parametrize(("one", "other"), [(NFC, NFD), (NFD, NFC)])
def test_names_are_the_same_in_both_forms_of_their_signs(one, other):
    photo(f"p/{one}.png")
    mask(f"masks/{other}.png")
    mask(f"beside/{other}.mask.png")
    photo(f"beside/{one}.jpg")
    assert list(jobs(["p"], mask="masks").values()) == [f"masks/{other}.png"]
    assert list(jobs(["beside"]).values()) == [f"beside/{other}.mask.png"]
    assert list(jobs([f"beside/{one}.jpg"]).values()) == [f"beside/{other}.mask.png"]
    assert len(jobs([f"p/{other}.png"])) == 1
    photo(f"{one}/a.png")
    assert len(jobs([other])) == 1


# What is a photo.


@pytest.mark.parametrize(("name", "format"), [
    ("a.HIF", "PNG"), ("a.jpe", "JPEG"), ("a.dib", "DIB"), ("a.apng", "PNG"), ("a.pnm", "PPM"), ("a.j2k", "JPEG2000"),
    ("a.pbm", "PPM"), ("a.jpx", "JPEG2000"), ("a", "JPEG"), ("a", "PNG"), ("a", "BMP"), ("a", "TIFF"), ("a", "GIF"),
    ("a", "WEBP"), ("a", "AVIF"), ("a", "PPM"), ("a", "JPEG2000"), ("a.jpg_large", "JPEG"), ("a.5", "WEBP"),
    ("a.image", "PNG"),
])  # fmt: skip
def test_what_a_file_is_counts_in_a_folder(name, format):
    photo(f"p/{name}", format)
    assert len(jobs(["p"])) == 1
    assert list_images("p") == [Path("p") / name]


@pytest.mark.parametrize(("name", "content"), [
    ("a", b"BM Notes of a meeting, with some more text in it"), ("a", b"P5 is a postcode"), ("a", b"II. The second"),
    ("a", b""), ("a.txt", b"hello"), ("a.cr2", b"II*\0\x10\0\0\0CR\2\0"), ("a.json", b"{}"), ("a.pdf", b"%PDF-1.7"),
    ("a.mp3", b"ID3"), ("a.svg", b"<svg>"),
])  # fmt: skip
def test_what_is_no_photo_is_passed_by(name, content):
    photo("p/b.png")
    Path("p", name).write_bytes(content)
    search = collect(["p"], "out")
    assert ([str(job.source) for job in search.jobs], search.others) == (["p/b.png"], 1)


@pytest.mark.parametrize("name", ["a.THM", "a.jpg.part", "a.jpg~", "a.jpg.bak", "a.jpg.crdownload"])
def test_small_copies_and_unfinished_files_are_no_photos(name):
    photo("p/a.jpg")
    photo(f"p/{name}", "JPEG")
    assert list(jobs(["p"])) == ["out/a.png"]


def test_names_without_an_ending_keep_what_only_looks_like_one():
    photo("p/5.6.2024", "JPEG")
    photo("p/7.6.2024", "JPEG")
    assert list(jobs(["p"])) == ["out/5.6.2024.png", "out/7.6.2024.png"]


@pytest.mark.parametrize("folder", ["@eaDir", "__MACOSX", "#recycle", "$RECYCLE.BIN", "sub/@eaDir/a.jpg"])
def test_folders_of_other_programs_are_passed_by(run, folder):
    photo("p/a.jpg")
    photo(f"p/{folder}/SYNOPHOTO_THUMB_M.jpg", seed=1)
    Path("p/Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    assert list(jobs(["p"])) == ["out/a.png"]
    assert list_images("p") == [Path("p/a.jpg")]
    assert len(jobs([f"p/{folder}"])) == 1  # whoever names one means it
