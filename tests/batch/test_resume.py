"""Results that exist: whether they are of this photo, this mask and these settings, however they are typed."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers import infer_with, make_photo, pixels
from unistyle.batch.manifest import key
from unistyle.commands import infer


@pytest.fixture
def photos(tmp_path, monkeypatch) -> Path:
    """Two photos in the folder `photos` of the current folder."""
    monkeypatch.chdir(tmp_path)
    folder = Path("photos")
    (folder / "sub").mkdir(parents=True)
    make_photo(40, 50, seed=1).save(folder / "a.png")
    make_photo(40, 60, seed=2).save(folder / "sub" / "b.png")
    return folder


@pytest.fixture
def run(checkpoint, capsys):
    return infer_with(checkpoint, capsys)


def mask_of(column: int, path: Path, size: tuple[int, int] = (50, 40)) -> np.ndarray:
    """Write a mask that is white left of a column."""
    mask = np.zeros(size[::-1], np.uint8)
    mask[:, :column] = 255
    Image.fromarray(mask).save(path)
    return mask


def records(out: str) -> dict[str, dict]:
    return {
        line["name"]: line
        for line in map(json.loads, (Path(out) / "manifest.jsonl").read_text().splitlines())
    }


@pytest.mark.parametrize(
    "typed", ["{here}/o/a", "o/../o/a", "./o/a/", "link", "file://{here}/o/a", "from a folder"]
)
def test_another_style_is_noticed_however_the_output_folder_is_typed(
    run, photos, tmp_path, typed, monkeypatch
):
    assert run(photos, "--out", "o/a")[0] == 0
    Path("link").symlink_to("o/a")
    out = typed.format(here=tmp_path)
    if typed == "from a folder":
        monkeypatch.chdir(tmp_path / "o")
        out, photos = "a", Path("../photos")
    code, _, errors = run(photos, "--out", out, to="metal")
    assert code == 2
    assert "styles was {'*': 'stone'} and is {'*': 'metal'} now" in errors
    code, printed, _ = run(photos, "--out", out)
    assert (code, "0 written, 2 skipped" in printed) == (0, True)
    assert sorted(records(tmp_path / "o/a")) == ["a.png", "sub/b.png"]


def test_a_folder_of_results_that_was_moved_keeps_its_records(run, photos):
    assert run(photos, "--out", "o")[0] == 0
    shutil.move("o", "elsewhere")
    assert run(photos, "--out", "elsewhere", "--strength", "0.5")[0] == 2
    assert "2 skipped" in run(photos, "--out", "elsewhere")[1]


@pytest.mark.parametrize(
    ("output", "out"),
    [("o/a/x/b.png", "o/a"), ("{here}/o/a/x/b.png", "o/a"), ("x/b.png", "o/a"), ("a/x/b.png", "{here}/o/a")],
)
def test_records_of_older_versions_are_found_however_they_were_typed(tmp_path, monkeypatch, output, out):
    monkeypatch.chdir(tmp_path)
    Path("o/a").mkdir(parents=True)
    old = dict(input="p/x/b.png", output=output.format(here=tmp_path))
    assert key(old, Path(out.format(here=tmp_path))) == "x/b.png"


def test_a_style_photo_is_the_same_however_it_is_typed(run, photos, tmp_path):
    make_photo(64, 64, seed=7).save("wall.png")
    assert run(photos, "--out", "o", to="wall.png")[0] == 0
    assert "2 skipped" in run(photos, "--out", "o", to=tmp_path / "wall.png")[1]
    assert next(iter(records("o").values()))["settings"]["styles"] == {"*": str(tmp_path / "wall.png")}
    make_photo(64, 64, seed=8).rotate(90).save("wall.png")
    assert run(photos, "--out", "o", to="./wall.png")[0] == 2


def test_masks_are_the_same_however_their_folder_is_typed(run, photos, tmp_path):
    Path("masks").mkdir()
    mask_of(20, Path("masks/a.png"))
    mask_of(20, Path("masks/b.png"), (60, 40))
    assert run(photos, "--mask", "masks", "--out", "o")[0] == 0
    assert "2 skipped" in run(photos, "--mask", tmp_path / "masks", "--out", "o")[1]
    assert "masked was True and is False now" in run(photos, "--out", "o")[2]


def test_another_photo_of_the_same_name_is_restyled(run, photos):
    assert run(photos, "--out", "o", "--strength", "0")[0] == 0
    make_photo(40, 50, seed=9).save(photos / "a.png")
    code, printed, _ = run(photos, "--out", "o", "--strength", "0")
    assert code == 0
    assert "1 results are made anew" in printed
    assert "1 written, 1 skipped" in printed
    np.testing.assert_array_equal(pixels("o/a.png"), pixels(photos / "a.png"))
    assert "2 skipped" in run(photos, "--out", "o", "--strength", "0")[1]


def test_a_photo_of_equal_size_in_bytes_is_noticed_by_its_time(run, photos):
    for seed in (1, 2):
        make_photo(40, 50, seed=seed).save(photos / "a.bmp")
        (photos / "a.png").unlink(missing_ok=True)
        assert "written" in run(photos, "--out", "o", "--strength", "0")[1]
    np.testing.assert_array_equal(pixels("o/a.png"), pixels(photos / "a.bmp"))


def test_a_link_that_leads_to_another_photo_is_noticed(run, photos):
    make_photo(40, 50, seed=5).save("five.png")
    make_photo(40, 50, seed=6).save("six.png")
    Path(photos / "link.png").symlink_to("../five.png")
    run(photos, "--out", "o", "--strength", "0")
    (photos / "link.png").unlink()
    Path(photos / "link.png").symlink_to("../six.png")
    assert "1 written, 2 skipped" in run(photos, "--out", "o", "--strength", "0")[1]
    np.testing.assert_array_equal(pixels("o/link.png"), pixels("six.png"))


def test_another_mask_of_the_same_name_is_used(run, photos):
    mask_of(20, Path("m.png"))
    given = (photos / "a.png", "--mask", "m.png", "--save-mask", "--out", "o")
    assert run(*given)[0] == 0
    mask = mask_of(35, Path("m.png"))
    code, printed, _ = run(*given)
    assert (code, "1 written, 0 skipped" in printed) == (0, True)
    np.testing.assert_array_equal(pixels("o/a.mask.png"), mask)
    changed = (pixels("o/a.png") != pixels(photos / "a.png")).any(-1)
    assert changed[:, 20:35].mean() > 0.9
    assert not changed[:, 35:].any()
    # Where the mask is none that is written, too.
    mask_of(10, Path("m.png"))
    assert "1 written" in run(photos / "a.png", "--mask", "m.png", "--out", "o")[1]


def test_a_mask_that_comes_beside_a_photo_or_goes_is_noticed(run, photos):
    run(photos, "--out", "o", "--save-mask")
    mask = mask_of(20, photos / "a.mask.png")
    assert "1 written, 1 skipped" in run(photos, "--out", "o", "--save-mask")[1]
    np.testing.assert_array_equal(pixels("o/a.mask.png"), mask)
    (photos / "a.mask.png").unlink()
    assert "1 written, 1 skipped" in run(photos, "--out", "o", "--save-mask")[1]
    assert (pixels("o/a.mask.png") != mask).any()


def test_a_photo_of_another_folder_does_not_pass_for_this_one(run, photos, tmp_path):
    Path("other").mkdir()
    make_photo(40, 50, seed=3).save("other/a.png")
    assert run(photos / "a.png", "--out", "o")[0] == 0
    before = Path("o/a.png").read_bytes()
    code, _, errors = run("other/a.png", "--out", "o")
    assert code == 2
    assert f"photo was '{tmp_path}/photos/a.png' and is '{tmp_path}/other/a.png' now" in errors
    assert Path("o/a.png").read_bytes() == before
    shutil.move("photos", "moved")  # the same photo, in another place
    assert "1 skipped" in run("moved/a.png", "--out", "o")[1]


def test_a_photo_that_is_broken_now_is_tried_until_it_is_whole(run, photos):
    whole = (photos / "a.png").read_bytes()
    run(photos, "--out", "o")
    (photos / "a.png").write_bytes(whole[:300])
    for _ in range(2):
        code, printed, _ = run(photos, "--out", "o")
        assert (code, "0 written, 1 skipped, 1 failed" in printed) == (1, True)
    (photos / "a.png").write_bytes(whole)
    assert "1 written, 1 skipped" in run(photos, "--out", "o")[1]


def test_results_of_before_inputs_were_recorded_are_skipped(run, photos):
    run(photos, "--out", "o")
    lines = records("o")
    for line in lines.values():
        del line["name"], line["read"]
        line["settings"]["mask"] = None
        del line["settings"]["masked"]
    Path("o/manifest.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines.values()))
    assert "2 skipped" in run(photos, "--out", "o")[1]
    os.utime(photos / "a.png", (1, 1))  # from then on they are known
    assert "1 written, 1 skipped" in run(photos, "--out", "o")[1]
    assert len(records("o")) == 2


def test_what_is_found_is_found_anew_where_the_photo_is_another(run, photos, checkpoint, capsys):
    given = ["photos", "--find-only", "--checkpoint", str(checkpoint), "--device", "cpu", "--out", "o"]
    assert infer.main(given) == 0
    make_photo(40, 50, seed=9).save(photos / "a.png")
    assert infer.main(given) == 0
    assert "1 written, 1 skipped" in capsys.readouterr().out
    assert infer.main(given) == 0
    assert "0 written, 2 skipped" in capsys.readouterr().out
    Path("o/legend.txt").write_text("0 other\n1 felt\n")  # of another checkpoint
    assert infer.main(given) == 2
    assert "the pictures in o are of other materials" in capsys.readouterr().err
    assert infer.main([*given, "--overwrite"]) == 0
