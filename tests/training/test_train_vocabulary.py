"""New materials by the command: whose photos and masks are used, what is refused, and all of it on a tiny set."""

from pathlib import Path

import pytest
from PIL import Image
from safetensors.torch import load_file

from tests.helpers import make_photo
from tests.training.making import differing, materials_in, noise
from unistyle.checkpoint.checkpoint import load_checkpoint
from unistyle.commands import infer, train
from unistyle.files.photos import read_mask
from unistyle.training.materials import vocabulary as new_materials
from unistyle.training.materials.config import VocabularyConfig
from unistyle.training.materials.vocabulary import VocabularyTrainer

MATERIALS = ("leather", "stone", "metal")  # of the tiny checkpoint


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(new_materials, "SIZES", [(64, 96)])


@pytest.fixture
def learn(checkpoint, contents, tmp_path, capsys):
    """Run `unistyle train vocabulary` in this process: exit code, printed text, error text."""

    def run(folder, *more):
        settings = dict(photos=folder, checkpoint=checkpoint, out=tmp_path / "out.safetensors",
                        contents=f"[{contents}]", steps=2, batch=2, device="cpu")  # fmt: skip
        code = train.main(["vocabulary", *(f"--{name}={value}" for name, value in settings.items()), *more])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def no_training(monkeypatch):
    def fail(*_):
        raise AssertionError("something is trained")

    monkeypatch.setattr(new_materials, "VocabularyTrainer", fail)
    monkeypatch.setattr(new_materials, "write_missing_masks", fail)


def test_materials_are_learned_and_used(learn, checkpoint, tmp_path, capsys):
    masks = tmp_path / "out-masks"
    root = materials_in(tmp_path / "mine", "slate", "stone", count=6, masks=masks)
    (root / "slate" / "broken.jpg").write_bytes(b"else")
    make_photo(20, 20).save(root / "stone" / "tiny.png")
    missing = masks / "slate" / "0.png"
    missing.unlink()
    given = {path: path.read_bytes() for path in masks.rglob("*.png")}
    code, printed, errors = learn(root)
    out = tmp_path / "out.safetensors"
    assert code == 1
    assert f"not used: {root / 'slate' / 'broken.jpg'}: cannot be read as an image" in errors
    assert f"not used: {root / 'stone' / 'tiny.png'}: 20x20 pixels" in errors
    assert f"leather, stone, metal, slate in {out}" in printed
    assert "of 2 found as their material" in printed
    assert Image.open(tmp_path / "out.png").size == (3 * 256, 16 + 2 * 192)
    assert read_mask(missing).size == (80, 72)
    assert {path: path.read_bytes() for path in given} == given
    assert set(masks.rglob("*.png")) == {*given, missing}

    before, after = load_file(checkpoint), load_file(out)
    kept = [name for name in before if name.startswith(("network.encoder.", "network.stylizer."))]
    assert all(after[name].equal(before[name]) for name in kept)
    assert not after["network.segmenter.project.weight"].equal(before["network.segmenter.project.weight"])
    assert after["bank.codes"][:3].equal(before["bank.codes"])
    made = load_checkpoint(out)
    assert made.network.config.materials == (*MATERIALS, "slate")
    assert made.bank.styles == ["stone", "metal", "slate"]
    assert made.bank.names[:3] == load_checkpoint(checkpoint).bank.names
    assert 1 <= len(made.bank.rows("slate")) <= 3

    results = tmp_path / "results"
    arguments = [str(root / "slate" / "1.png"), "--map", "slate=stone", "--out", str(results), "--save-mask"]
    assert infer.main([*arguments, "--checkpoint", str(out), "--device", "cpu"]) == 0
    assert Image.open(results / "1.png").size == (80, 72)


def test_a_known_material_alone_is_trained_further(learn, checkpoint, tmp_path):
    root = materials_in(tmp_path / "mine", "stone", masks=tmp_path / "masks")
    code, printed, _ = learn(root, f"--masks={tmp_path / 'masks'}", "--lr=0.01")
    assert (code, "leather, stone, metal in " in printed) == (0, True)
    before, after = load_file(checkpoint), load_file(tmp_path / "out.safetensors")
    changed = differing(before, after)
    assert changed
    assert all(name.startswith("network.segmenter.") for name in changed)
    assert "0.0 % of what is found moved" not in printed, "measured against what it was, not against itself"


def test_a_single_new_material_and_a_single_photo_of_anything(learn, tmp_path):
    root = materials_in(tmp_path / "mine", "slate", masks=tmp_path / "out-masks")
    (tmp_path / "out-masks" / "slate" / "3.png").unlink()
    (tmp_path / "one").mkdir()
    make_photo(72, 80).save(tmp_path / "one" / "a.png")
    code, printed, _ = learn(root, f"--contents=[{tmp_path / 'one'}]", "--exemplars=1", "--batch=1")
    assert (code, "leather, stone, metal, slate in" in printed) == (0, True)
    assert (tmp_path / "out-masks" / "slate" / "3.png").is_file()
    made = load_checkpoint(tmp_path / "out.safetensors")
    assert len(made.bank.rows("slate")) == 1


def test_masks_beside_photos_are_masks_and_come_first(loaded, tmp_path):
    root = materials_in(tmp_path / "mine", "slate", masks=tmp_path / "masks")
    beside = root / "slate" / "2.mask.png"
    Image.new("L", (80, 72), 255).save(beside)
    config = VocabularyConfig(str(root), "", "out.safetensors", masks=str(tmp_path / "masks"))
    photos, materials, problems = new_materials.own_photos(config, loaded.network)
    assert (len(photos), materials, problems) == (5, ("slate",), [])
    assert [photo.mask for photo in photos if photo.path.stem == "2"] == [beside]
    assert all(
        photo.mask.parent == tmp_path / "masks" / "slate" for photo in photos if photo.path.stem != "2"
    )


def test_photos_with_broken_masks_are_named(loaded, tmp_path):
    root = materials_in(tmp_path / "mine", "slate", count=6, masks=tmp_path / "masks")
    broken = tmp_path / "masks" / "slate" / "2.png"
    broken.write_bytes(b"else")
    config = VocabularyConfig(str(root), "", "out.safetensors", masks=str(tmp_path / "masks"))
    photos, _, problems = new_materials.own_photos(config, loaded.network)
    assert len(photos) == 5
    assert [problem.partition(": ")[0] for problem in problems] == [str(broken)]


def test_masks_are_beside_the_checkpoint_unless_a_folder_is_given():
    for out, masks, folder in (
        ("a/b.safetensors", None, "a/b-masks"),
        ("a/b", None, "a/b-masks"),
        (".", None, "new-masks"),
        ("a/b.safetensors", "c", "c"),
    ):
        assert new_materials.masks_folder(VocabularyConfig("", "", out, masks)) == Path(folder)


def test_too_few_photos(learn, no_training, tmp_path):
    root = materials_in(tmp_path / "mine", "slate", "fur")
    (root / "fur" / "1.png").write_bytes(b"else")
    code, _, errors = learn(root)
    assert code == 2
    assert "too few photos of fur (4): wanted 5 at least, better thirty" in errors
    assert f"\n  {root / 'fur' / '1.png'}: cannot be read as an image" in errors


def test_two_photos_that_share_a_stem(learn, no_training, tmp_path):
    root = materials_in(tmp_path / "mine", "slate")
    for other in ("2.bmp", "deep/2.png"):
        path = root / "slate" / other
        path.parent.mkdir(exist_ok=True)
        noise(0, 9).save(path)
        code, _, errors = learn(root)
        assert code == 2
        assert str(path) in errors
        assert f"would share the mask {tmp_path / 'out-masks' / 'slate' / '2.png'}: rename one" in errors
        path.unlink()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["--photos=nowhere"], "no folder nowhere"),
        (["--contents=[nowhere]"], "no photos in nowhere"),
        (["--steps=0"], "steps is 0; wanted a whole number from 1 up"),
        (["--exemplars=0"], "exemplars is 0"),
        (["--checkpoint=nowhere.safetensors"], "nowhere.safetensors: no such file or folder"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_trained(
    learn, no_training, tmp_path, settings, message
):
    code, printed, errors = learn(materials_in(tmp_path / "mine", "slate"), *settings)
    assert (code, printed) == (2, "")
    assert errors.startswith("unistyle train vocabulary: error: ")
    assert message in errors
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "holds no folder with photos: give one with one folder per material"),
        (["a.png"], "holds no folder with photos: give one with one folder per material"),
        (["a.png", "slate/a.png"], "move the photos into a folder of their own"),
        (["a,b/a.png"], "',' means something else"),
        (["slate/a.png", "fur/a.txt"], "no photos that can be read in"),
    ],
)
def test_folders_that_are_no_materials(learn, no_training, tmp_path, names, message):
    (tmp_path / "mine").mkdir()
    for name in names:
        path = tmp_path / "mine" / name
        path.parent.mkdir(exist_ok=True)
        if path.suffix == ".png":
            noise(0, 0).save(path)
        else:
            path.write_text("no photo")
    code, _, errors = learn(tmp_path / "mine")
    assert (code, message in errors) == (2, True), errors


def test_a_photo_of_anything_that_is_broken_is_named(learn, no_training, tmp_path):
    (tmp_path / "anything").mkdir()
    broken = tmp_path / "anything" / "a.png"
    broken.write_bytes(b"else")
    code, _, errors = learn(materials_in(tmp_path / "mine", "slate"), f"--contents=[{broken.parent}]")
    assert (code, f"{broken}: cannot be read" in errors) == (2, True)


def test_an_unknown_setting_is_named(learn, tmp_path):
    code, _, errors = learn(tmp_path, "--whole=true")
    assert (code, "whole" in errors) == (2, True)


def test_no_checkpoint_is_written_where_training_ends_early(learn, monkeypatch, tmp_path):
    def step(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(VocabularyTrainer, "step", step)
    root = materials_in(tmp_path / "mine", "slate", masks=tmp_path / "out-masks")
    code, _, errors = learn(root)
    assert (code, "stopped: interrupted" in errors) == (130, True)
    assert not list(tmp_path.glob("out.*"))
