"""The command, end to end: what it writes, what it reports, how it ends."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers import ROOT, files, make_photo
from unistyle.commands import infer


@pytest.fixture
def run(checkpoint, capsys):
    """Run the command in this process: exit code, printed text, error text."""

    def call(*arguments, out=None, to="stone"):
        given = [*arguments, "--checkpoint", checkpoint, "--device", "cpu"]
        given += ["--out", out] if out else []
        given += ["--to", to] if to else []
        code = infer.main([str(argument) for argument in given])
        return code, *capsys.readouterr()

    return call


def records(out: Path) -> dict[str, dict]:
    lines = (out / "manifest.jsonl").read_text().splitlines()
    by_name = {Path(record["input"]).name: record for record in map(json.loads, lines)}
    assert len(by_name) == len(lines), "one line per photo"
    return by_name


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.fixture
def photos(tmp_path) -> Path:
    """A folder with a photo, one below it, a broken one and a text."""
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    make_photo(seed=1).save(folder / "a.png")
    make_photo(33, 21, seed=2).save(folder / "sub" / "b.c.jpg")
    (folder / "broken.jpg").write_bytes((folder / "sub" / "b.c.jpg").read_bytes()[:400])
    (folder / "notes.txt").write_text("hello")
    return folder


def test_in_a_fresh_process_without_a_teacher(photos, checkpoint, tmp_path):
    """The whole command and the list of a bank, that no training code is loaded for them, and that importing it all
    leaves the limit of Pillow as it is."""
    code = (
        "import sys; from PIL import Image; limit = Image.MAX_IMAGE_PIXELS\n"
        "import unistyle, infer; from unistyle.commands import bank; unistyle.UniStyle\n"
        "assert Image.MAX_IMAGE_PIXELS == limit\n"
        "code = infer.main(sys.argv[2:])\n"
        "assert bank.main(['list', sys.argv[1]]) == 0\n"
        "bad = [m for m in sys.modules if m.startswith(('unistyle.teachers', 'unistyle.training'))]\n"
        "print('loaded', bad); sys.exit(code)"
    )
    command = [sys.executable, "-c", code, checkpoint, photos, "--to", "stone", "--out", tmp_path / "out"]
    command += ["--checkpoint", checkpoint, "--device", "cpu", "--save-mask"]
    done = subprocess.run([str(c) for c in command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("device cpu, precision fp32")
    assert done.stdout.splitlines()[-1] == "loaded []"
    assert "stone: quarry, wall" in done.stdout
    assert "broken.jpg" in done.stderr
    assert files(tmp_path / "out") == [
        "a.mask.png",
        "a.png",
        "manifest.jsonl",
        "sub/b.c.mask.png",
        "sub/b.c.png",
    ]


def test_broken_file_among_good_ones(run, photos, tmp_path):
    code, printed, errors = run(photos, out=tmp_path / "out")
    assert code == 1
    assert "2 written, 0 skipped, 1 failed, 1 other files" in printed
    assert "broken.jpg" in errors
    assert "notes" not in errors
    assert files(tmp_path / "out") == ["a.png", "manifest.jsonl", "sub/b.c.png"]
    assert pixels(tmp_path / "out/sub/b.c.png").shape == (33, 21, 3)
    lines = records(tmp_path / "out")
    assert {name: line["status"] for name, line in lines.items()} == {
        "a.png": "written",
        "b.c.jpg": "written",
        "broken.jpg": "failed",
    }
    assert "cannot be read" in lines["broken.jpg"]["reason"]
    good = lines["a.png"]
    assert good["output"] == str(tmp_path / "out" / "a.png")
    assert good["styles"]["*"] in ("stone/quarry", "stone/wall")
    assert all(0 < share <= 1 for share in good["materials"].values())
    assert good["seconds"] > 0


def test_results_that_exist_are_skipped_and_said(run, photos, tmp_path):
    out = tmp_path / "out"
    (photos / "broken.jpg").unlink()
    assert run(photos, out=out)[0] == 0
    before = records(out)
    (out / "a.png").write_bytes(b"mine")
    code, printed, _ = run(photos, out=out)
    assert code == 0
    assert "0 written, 2 skipped" in printed
    assert (out / "a.png").read_bytes() == b"mine"
    after = records(out)["a.png"]
    assert after["status"] == "skipped"
    assert after["materials"] == before["a.png"]["materials"]
    # A mask that is wanted now and was not then is written, and the result beside it left alone.
    assert "2 written" in run(photos, "--save-mask", out=out)[1]
    assert (out / "a.png").read_bytes() == b"mine"
    assert (out / "a.mask.png").exists()
    assert "2 written" in run(photos, "--overwrite", out=out)[1]
    assert pixels(out / "a.png").shape == (48, 64, 3)


def test_manifest_keeps_other_photos_and_survives_half_a_line(run, photos, tmp_path):
    out = tmp_path / "out"
    run(photos / "a.png", out=out)
    with (out / "manifest.jsonl").open("a") as file:
        file.write('{"output": "x')
    run(photos / "sub", out=out)
    assert sorted(records(out)) == ["a.png", "b.c.jpg"]


def test_outputs_in_the_input_folder_are_no_inputs(run, photos):
    (photos / "broken.jpg").unlink()
    for _ in range(2):
        code, printed, _ = run(photos, "--overwrite", out=photos / "out")
        assert (code, printed.splitlines()[-1][:9]) == (0, "2 written")


def test_two_inputs_for_one_output_stop_before_any_work(run, photos, tmp_path):
    make_photo().save(photos / "a.jpg")
    code, _, errors = run(photos, out=tmp_path / "out")
    assert code == 2
    assert "a.jpg" in errors
    assert "a.png" in errors
    assert not (tmp_path / "out").exists()


def test_a_mask_output_can_collide_too(run, tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("a.jpg", "sub/a.mask.jpg"):  # in another folder, so that it is no mask of the first
        make_photo().save(tmp_path / name)
    given = (tmp_path / "a.jpg", tmp_path / "sub" / "a.mask.jpg")
    assert run(*given, "--save-mask", out=tmp_path / "out")[0] == 2
    assert run(*given, out=tmp_path / "out")[0] == 0


def test_inputs_and_masks_are_never_overwritten(run, photos, tmp_path):
    before = (photos / "a.png").read_bytes()
    code, _, errors = run(photos / "a.png", "--overwrite", out=photos)
    assert (code, (photos / "a.png").read_bytes()) == (2, before)
    assert "give another --out" in errors
    (tmp_path / "masks").mkdir()
    Image.new("L", (64, 48), 255).save(tmp_path / "masks" / "a.png")
    assert run(photos / "a.png", "--mask", tmp_path / "masks", "--overwrite", out=tmp_path / "masks")[0] == 2


def test_mask_folder_file_and_wrong_size(run, photos, tmp_path):
    (photos / "broken.jpg").unlink()
    masks, out = tmp_path / "masks", tmp_path / "out"
    masks.mkdir()
    mask = np.zeros((48, 64), np.uint8)
    mask[:, :20] = 255
    Image.fromarray(mask).save(masks / "a.png")
    Image.new("L", (5, 5)).save(masks / "b.c.png")  # for sub/b.c.jpg, by its stem
    code, _, errors = run(photos, "--mask", masks, "--save-mask", out=out)
    assert code == 1
    assert "mask of size (5, 5) for a photo of size (21, 33)" in errors
    np.testing.assert_array_equal(pixels(out / "a.mask.png"), mask)
    changed = (pixels(out / "a.png") != pixels(photos / "a.png")).any(-1)
    assert not changed[:, 20:].any()
    assert changed[:, :20].mean() > 0.9
    (masks / "b.c.png").unlink()
    assert "no mask b.c.*" in run(photos, "--mask", masks, out=tmp_path / "out2")[2]
    code, *_ = run(photos / "a.png", "--mask", masks / "a.png", "--from", "leather", out=tmp_path / "out3")
    assert code == 0
    np.testing.assert_array_equal(pixels(tmp_path / "out3/a.png"), pixels(out / "a.png"))


def test_saved_masks_can_be_given_back(run, photos, tmp_path):
    run(photos / "a.png", "--save-mask", out=tmp_path / "one")
    run(photos / "a.png", "--save-mask", "--mask", tmp_path / "one", out=tmp_path / "two")
    np.testing.assert_array_equal(pixels(tmp_path / "two/a.mask.png"), pixels(tmp_path / "one/a.mask.png"))


def test_rotated_transparent_and_deep_photos_come_back_exact_outside(run, tmp_path):
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = make_photo(40, 60)
    photo.save(source / "turned.png", exif=exif)
    clear = photo.copy()
    clear.putalpha(Image.linear_gradient("L").resize(photo.size))
    clear.save(source / "clear.png")
    Image.fromarray(np.linspace(0, 65535, 2400).astype(np.uint16).reshape(40, 60)).save(source / "deep.png")
    photo.convert("CMYK").save(source / "cmyk.tif")
    for name in ("turned", "clear", "deep", "cmyk"):  # inside on the left half of what a viewer shows
        size = (40, 60) if name == "turned" else (60, 40)
        mask = Image.new("L", size, 0)
        mask.paste(255, (0, 0, 20, size[1]))
        mask.save(tmp_path / f"{name}.mask.png")
    assert run(source, "--mask", tmp_path, "--batch-size", "3", out=out)[0] == 0
    deep = (np.linspace(0, 65535, 2400).astype(np.uint16).reshape(40, 60) / 257).round().astype(np.uint8)
    wanted = {
        "turned": np.rot90(np.asarray(photo), -1),
        "clear": np.asarray(clear),
        "deep": np.repeat(deep[..., None], 3, -1),
        "cmyk": np.asarray(photo.convert("CMYK").convert("RGB")),
    }
    for name, value in wanted.items():
        got = pixels(out / f"{name}.png")
        np.testing.assert_array_equal(got[:, 20:], value[:, 20:], err_msg=name)
        assert (got[:, :20] != value[:, :20]).any(), name


def test_batches_give_what_single_photos_give(run, tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    for i in range(5):
        make_photo(40, 40 if i % 2 else 48, seed=i).save(source / f"{i}.png")
    for size in ("1", "2"):
        assert run(source, "--batch-size", size, out=tmp_path / size)[0] == 0
    assert records(tmp_path / "2").keys() == records(tmp_path / "1").keys()
    for i in range(5):
        one, two = (pixels(tmp_path / size / f"{i}.png").astype(int) for size in ("1", "2"))
        assert np.abs(one - two).max() <= 1


def test_maps_style_photo_and_strength(run, photos, tmp_path):
    photo = photos / "a.png"
    code, *_ = run(photo, "--map", "leather=stone", "--map", "stone=metal", out=tmp_path / "1", to=None)
    assert code == 0
    assert set(records(tmp_path / "1")["a.png"]["styles"]) <= {"leather", "stone"}
    make_photo(30, 30, seed=9).save(tmp_path / "wall.jpg")
    assert (
        run(photo, "--strength", "0", "--color", "keep", to=tmp_path / "wall.jpg", out=tmp_path / "2")[0] == 0
    )
    np.testing.assert_array_equal(pixels(tmp_path / "2/a.png"), pixels(photo))
    assert records(tmp_path / "2")["a.png"]["styles"] == {"*": str(tmp_path / "wall.jpg")}


def test_samples_are_read_without_a_network(run, tmp_path, monkeypatch):
    import socket

    monkeypatch.setattr(socket, "socket", None)
    code, *_ = run("--samples", "--max-size", "64", out=tmp_path / "out")
    assert code == 0
    assert sorted(records(tmp_path / "out")) == ["astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg"]
    assert pixels(tmp_path / "out/coffee.png").shape == (400, 600, 3)


@pytest.mark.parametrize(
    ("arguments", "to", "message"),
    [
        (["{photos}/a.png"], "stoen", "Did you mean 'stone'?"),
        (["{photos}/a.png"], "no/such.jpg", "unknown style"),
        (["{photos}/a.png"], None, "give --to"),
        (["{photos}/a.png", "--from", "lether"], "stone", "unknown material 'lether'"),
        (["{photos}/a.png", "--from", "leather"], None, "give --to"),
        (["{photos}/a.png", "--map", "leather=stone", "--from", "leather"], "metal", "two styles"),
        (["{photos}/a.png", "--map", "leather"], None, "wanted MATERIAL=STYLE"),
        (
            ["{photos}/a.png", "--map", "leather=stone", "--map", "metal=stone", "--mask", "{photos}"],
            None,
            "one region",
        ),
        (["{photos}/a.png", "--strength", "2"], "stone", "got '2'"),
        (["{photos}/a.png", "--strength", "x"], "stone", "got 'x'"),
        (["{photos}/a.png", "--batch-size", "0"], "stone", "got '0'"),
        (["{photos}/a.png", "--color", "kept"], "stone", "choose from"),
        (["{photos}/a.png", "--precision", "int8"], "stone", "choose from"),
        (["{photos}/a.png", "--mask", "{photos}/none.png"], "stone", "no such file or folder"),
        (["{photos}/a.png", "--device", "gpu"], "stone", "device 'gpu'"),
        (["{photos}/a.png", "--device", "cuda:99"], "stone", "device 'cuda:99' is not usable here"),
        (["{photos}/a.png", "--checkpoint", "{photos}/notes.txt"], "stone", "not a safetensors file"),
        (["{photos}/none"], "stone", "no such file or folder"),
        (["{photos}/notes.txt"], "stone", "no image"),
        (["{photos}/a.png", "--samples"], "stone", "not both"),
        ([], "stone", "give INPUT or --samples"),
        (["{photos}/a.png", "--wat"], "stone", "--wat"),
        (["{photos}/a.png"], "{photos}/broken.jpg", "cannot be read"),
    ],
)
def test_bad_usage(run, photos, tmp_path, checkpoint, capsys, arguments, to, message):
    arguments = [a.format(photos=photos) for a in arguments]
    to = to and to.format(photos=photos)
    command = ["--checkpoint", str(checkpoint), "--device", "cpu", "--out", str(tmp_path / "out"), *arguments]
    assert infer.main(command + (["--to", to] if to else [])) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_out_that_is_a_file(run, photos):
    code, _, errors = run(photos / "a.png", out=photos / "notes.txt")
    assert code == 2
    assert "is a file" in errors


def test_a_run_of_an_older_version_goes_on(run, photos, tmp_path):
    """Its manifest also says that it did not compile the network."""
    out = tmp_path / "out"
    (photos / "broken.jpg").unlink()
    assert run(photos, out=out)[0] == 0
    lines = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    for line in lines:
        assert "compiled" not in line["settings"]
        line["settings"]["compiled"] = False
    (out / "manifest.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    code, printed, _ = run(photos, out=out)
    assert (code, "0 written, 2 skipped, 0 failed" in printed) == (0, True)


@pytest.mark.parametrize("to", ["STONE", "Stone/Quarry", "stone:1,Metal:1"])
def test_capitals_of_a_style_do_not_count(run, photos, tmp_path, to):
    assert run(photos / "a.png", "--from", "Leather", out=tmp_path / "out", to=to)[0] == 0


@pytest.mark.parametrize("typed", ["caf\u00e9.png", "cafe\u0301.png"])
def test_a_style_photo_is_found_in_either_form_of_its_signs(run, photos, tmp_path, typed):
    for name, seed in (("caf\u00e9.png", 9), ("cafe\u0301.png", 9)):
        (tmp_path / name).unlink(missing_ok=True)
        make_photo(64, 64, seed=seed).save(tmp_path / name)
        assert run(photos / "a.png", out=tmp_path / "out", to=tmp_path / typed)[0] == 0
        (tmp_path / name).unlink()
