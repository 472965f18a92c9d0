"""What a run learns from: photos that cannot be read are named and left out, and a folder belongs to one run."""

import json
import shutil

import pytest
import torch
from PIL import Image

from tests.training.making import materials_in
from unistyle.checkpoint.checkpoint import load_checkpoint
from unistyle.commands import train
from unistyle.data.labelled import LabelledPhoto
from unistyle.data.views import unreadable, without
from unistyle.errors import ImageError, UsageError
from unistyle.training import state
from unistyle.training.preparation import find_photos, make_accelerator, prepare


@pytest.fixture
def own(photos, tmp_path):
    """A copy of the photos, to spoil."""
    return shutil.copytree(photos, tmp_path / "own")


@pytest.fixture
def settings(recipe, own):
    """The recipe, of that copy."""
    data = {"data.photos": own / "materials/image", "data.masks": own / "materials/mask"}
    data |= {"data.annotated": own / "materials/mask", "data.objects": own / "objects"}
    return lambda steps, **more: recipe(steps, **(data | more))


def cut_off(path):
    path.write_bytes(path.read_bytes()[:200])


def test_a_broken_photo_is_named_at_the_start_and_left_out(settings, own, tmp_path, capsys):
    cut_off(own / "materials/image/wool/0.png")
    assert train.main(settings(2)) == 1
    errors = capsys.readouterr().err
    assert errors.count("not used: ") == 1
    assert errors.index("image/wool/0.png: ") < errors.index("training:")
    assert (tmp_path / "c.safetensors").is_file()


@pytest.mark.parametrize(
    ("broken", "kind", "count"),
    [("materials/mask/brick/0.png", "own", 5), ("materials/image/brick/2.png", "annotated", 1),
     ("objects/image/b.png", "objects", 1), ("more/b.png", "contents", 1), ("more/b.png", "styles", 1),
     ("more/b.png", "reliefs", 1)],
)  # fmt: skip
def test_broken_photos_of_every_kind_are_left_out(broken, kind, count, settings, own):
    for folder in ("objects/image", "objects/mask", "more"):
        (own / folder).mkdir(exist_ok=True)
        for name in ("a.png", "b.png"):
            shutil.copy(own / "materials/image/wool/1.png", own / folder / name)
    cut_off(own / broken)
    more = {
        "data.contents": f"[{own / 'more'}]",
        "data.styles": f"[{own / 'more'}]",
        "data.reliefs": own / "more",
    }
    found = find_photos(train.parse(settings(1, **more)).data)
    assert len(getattr(found, kind)) == count
    assert len(found.problems) == 1
    assert broken in found.problems[0]


def test_a_material_without_any_photo_left_is_refused(settings, own, tmp_path, capsys):
    for path in (own / "materials/image/wool").iterdir():
        cut_off(path)
    assert train.main(settings(1)) == 2
    errors = capsys.readouterr().err
    assert "no photo of" in errors
    assert all(f"wool/{i}.png: " in errors for i in range(3))
    assert not (tmp_path / "run").exists()


def test_photos_that_can_be_read_are_all_kept(photos):
    each = [LabelledPhoto(path) for path in sorted((photos / "materials/image").rglob("*.png"))]
    assert unreadable(each) == {}
    assert without(each, {}) == each
    with pytest.raises(ImageError, match=r"no photo of .*; mend them, or give others:\n  a: broken"):
        without(each[:1], {each[0]: "a: broken"})


@pytest.fixture
def begun(settings, tmp_path):
    """A run that left its state."""
    assert train.main(settings(1)) == 0
    assert (tmp_path / "run/state").is_dir()
    return (tmp_path / "run/config.json").read_bytes()


def other_materials(own):
    (own / "materials/image/wool").rename(own / "materials/image/felt")
    (own / "materials/mask/wool").rename(own / "materials/mask/felt")


def another_photo(own):
    Image.new("RGB", (80, 60), "red").save(own / "materials/image/wool/0.png")


def one_photo_more(own):
    for kind in ("image", "mask"):
        shutil.copy(own / f"materials/{kind}/wool/0.png", own / f"materials/{kind}/wool/9.png")


def another_object(own):
    Image.new("RGB", (50, 50), "red").save(own / "objects/image/a.png")


def test_the_state_of_other_photos_is_not_taken_over(begun, settings, photos, own, tmp_path, capsys):
    (tmp_path / "c.safetensors").unlink()
    more = {"data.calibrate": "null", "data.annotated": "null"}
    for change in (other_materials, another_photo, one_photo_more, another_object):
        shutil.rmtree(own)
        shutil.copytree(photos, own)
        change(own)
        assert train.main(settings(1, **more)) == 2, change
        assert f"{tmp_path / 'run'} is a run on other photos" in capsys.readouterr().err
        assert (tmp_path / "run/config.json").read_bytes() == begun
        assert not (tmp_path / "c.safetensors").exists()


def test_the_state_of_other_settings_is_not_taken_over(begun, settings, capsys):
    for name, value in (("seed", 1), ("optimizer.steps", 3), ("data.crops", [48]), ("loss.style", 1.5)):
        assert train.main(settings(1, **{name: value})) == 2, name
        errors = capsys.readouterr().err
        assert f"is a run with other settings: {name} was " in errors
        assert f"and is {value}" in errors


def test_a_run_of_an_earlier_version_is_known_by_its_settings(begun, settings, own, tmp_path, capsys):
    (tmp_path / "run/photos.json").unlink()
    moved = shutil.copytree(own / "materials/image", tmp_path / "moved")
    assert train.main(settings(1, **{"data.photos": moved})) == 2
    assert "is a run on other photos: data.photos was" in capsys.readouterr().err
    assert train.main(settings(1)) == 0


def test_photos_that_were_moved_are_the_same(begun, settings, own, tmp_path):
    moved = shutil.copytree(own / "materials/image", tmp_path / "moved")
    assert train.main(settings(1, **{"data.photos": moved, "save_minutes": 3, "exemplars": 1})) == 0


def test_without_a_state_a_folder_is_anybodys(begun, settings, own, tmp_path):
    shutil.rmtree(tmp_path / "run/state")
    another_photo(own)
    config = train.parse(settings(1))
    prepare(config, make_accelerator(config.optimizer))
    assert set(json.loads((tmp_path / "run/photos.json").read_text())) == {
        "materials", "photos", "contents", "styles", "objects", "reliefs"
    }  # fmt: skip


def test_what_a_kill_between_two_renames_leaves_is_a_state_too(begun, settings, tmp_path):
    (tmp_path / "run/state").rename(tmp_path / "run/state.old")
    with pytest.raises(UsageError, match="other settings"):
        state.begin(train.parse(settings(2)), ("brick", "wool"), {})


@pytest.mark.parametrize(("count", "split"), [(1, None), (3, "brick/0\n"), (3, "brick/0\nwool/1\n")])
def test_few_photos_are_enough_or_refused(count, split, settings, own, tmp_path, capsys):
    for path in (own / "materials/image").rglob("*.png"):
        if int(path.stem) >= count:
            path.unlink()
    more = {"data.calibrate": "null", "data.annotated": "null"}
    if split:
        (tmp_path / "train.txt").write_text(split)
        more["data.split"] = tmp_path / "train.txt"
    code = train.main(settings(1, **more))
    assert code in (0, 2)
    assert "Traceback" not in capsys.readouterr().err
    assert torch.get_default_dtype() == torch.float32


@pytest.mark.parametrize("broken", ["wool/0.png", "objects"])
def test_the_segmenter_leaves_broken_photos_out_too(broken, settings, own, tmp_path, capsys):
    more = materials_in(tmp_path / "large", "brick", "wool", count=2)
    if broken == "objects":
        cut_off(own / "objects/image/a.png")
    else:
        cut_off(more / broken)
    shutil.copy(own / "materials/image/wool/1.png", own / "objects/image/b.png")
    text = (
        f"photos: x\ncheckpoint: x\nout: x\nsteps: 1\nrounds: 1\nunlabelled: [{own / 'objects' / 'image'}]\n"
    )
    (tmp_path / "segmenter.yaml").write_text(text)
    large = {"data.photos": more, "data.masks": "null", "data.annotated": "null", "data.calibrate": "null"}
    large |= {"data.objects": "null", "segmenter": tmp_path / "segmenter.yaml", "exemplars": 1}
    assert train.main(settings(1, **large)) == 1
    assert capsys.readouterr().err.count("not used: ") == 1
    assert "segmenter" in load_checkpoint(tmp_path / "c.safetensors").notes
