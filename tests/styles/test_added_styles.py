"""New styles from folders of photos, by the command that adds them."""

import numpy as np
import pytest
from safetensors.torch import load_file

from tests.helpers import make_photo
from tests.styles.making import half_mask, photo_of, save
from unistyle import UniStyle
from unistyle.checkpoint.checkpoint import load_checkpoint


def test_a_style_is_added_and_used(add, rust, checkpoint, tmp_path):
    out = tmp_path / "out.safetensors"
    code, printed, _ = add(rust)
    bank = load_checkpoint(out).bank
    new = [name for name in bank.names if name[0] == "rust"]
    assert code == 0
    assert (
        printed == f"added {', '.join('/'.join(n) for n in new)} (of 4 photos, 0 with masks); "
        f"3 styles with {3 + len(new)} exemplars in {out}\n"
    )
    assert bank.styles == ["stone", "metal", "rust"]
    assert 1 <= len(new) <= 3
    photo = make_photo()
    model = UniStyle.from_pretrained(out, device="cpu")
    assert np.asarray(model.restyle(photo, "rust").image).shape == np.asarray(photo).shape
    assert not np.array_equal(np.asarray(model.restyle(photo, "rust").image), np.asarray(photo))


def test_all_else_stays_as_it_was(add, rust, checkpoint, tmp_path):
    assert add(rust)[0] == 0
    before, after = load_file(checkpoint), load_file(tmp_path / "out.safetensors")
    assert after.keys() - before.keys() == {"bank.tiles", "bank.structure"}  # which the rust has
    assert after["bank.structure"].tolist() == [0, 0, 0, 1, 1, 1]
    for name in before.keys() - {"bank.codes"}:
        assert after[name].dtype == before[name].dtype, name
        assert after[name].equal(before[name]), name
    assert after["bank.codes"][:3].equal(before["bank.codes"])
    old, new = load_checkpoint(checkpoint), load_checkpoint(tmp_path / "out.safetensors")
    assert (new.bank.names[:3], new.notes) == (old.bank.names, old.notes)
    assert new.network.config == old.network.config


def test_exemplars_asked_for(add, rust, tmp_path):
    for count in (1, 4, 9):
        assert add(rust, "--exemplars", count)[0] == 0
        bank = load_checkpoint(tmp_path / "out.safetensors").bank
        assert len(bank.rows("rust")) == min(count, 4)
    code, _, errors = add(rust, "--exemplars", "0")
    assert (code, "wanted a whole number from 1 up" in errors) == (2, True)


def test_a_broken_photo_is_named_and_the_rest_added(add, rust, tmp_path):
    (rust / "rust" / "2.png").write_bytes(b"else")
    save(half_mask((80, 72)), rust / "rust" / "3.mask.png")
    code, printed, errors = add(rust)
    assert code == 1
    assert printed.startswith("added rust/0, rust/1, rust/3 (of 3 photos, 1 with masks); ")
    assert f"not used: {rust / 'rust' / '2.png'}: cannot be read as an image" in errors
    assert (tmp_path / "out.safetensors").is_file()


def test_nothing_is_written_where_a_style_has_no_usable_photo(add, rust, tmp_path):
    photo_of(rust, "felt", "small.png", size=(20, 20))
    code, printed, errors = add(rust)
    assert (code, printed) == (2, "")
    assert "no usable photo for felt; give at least one" in errors
    assert f"{rust / 'felt' / 'small.png'}: 20x20 pixels; wanted 64 or more on each side" in errors
    assert not (tmp_path / "out.safetensors").exists()


def test_a_name_that_is_taken(add, rust, checkpoint, tmp_path):
    out = tmp_path / "out.safetensors"
    (rust / "rust").rename(rust / "stone")
    code, printed, errors = add(rust)
    assert (code, printed, out.exists()) == (2, "", False)
    assert "the bank has other styles of the name 'stone'; rename them" in errors
    code, printed, _ = add(rust, "--replace", "--exemplars", 1)
    assert (code, printed.startswith("added stone/")) == (0, True)
    bank = load_checkpoint(out).bank
    assert len(bank.rows("stone")) == 1
    assert not bank.rows("stone/quarry")


def test_the_same_folder_twice(add, run, rust, tmp_path):
    out = tmp_path / "out.safetensors"
    assert add(rust)[0] == 0
    once = load_checkpoint(out).bank
    code, printed, _ = run("add", out, "--styles", rust, "--out", out)
    assert (code, printed.partition(" (")[0]) == (0, "added nothing, as all of it was there")
    twice = load_checkpoint(out).bank
    assert twice.names == once.names, "written onto its input"
    assert twice.codes.equal(once.codes)


def test_a_photo_more_joins_a_style_of_few(run, add, rust, tmp_path):
    out = tmp_path / "out.safetensors"
    for seed in (1, 2, 3):
        (rust / "rust" / f"{seed}.png").rename(tmp_path / f"{seed}.png")
    assert add(rust)[0] == 0
    (tmp_path / "2.png").rename(rust / "rust" / "2.png")
    code, printed, _ = run("add", out, "--styles", rust, "--out", out)
    assert (code, printed.partition(";")[0]) == (0, "added rust/2 (of 2 photos, 0 with masks)")


def test_whole_photos_or_what_is_found(add, rust, tmp_path):
    codes = []
    for options in ([], ["--whole"]):
        assert add(rust, "--exemplars", 4, *options)[0] == 0
        bank = load_checkpoint(tmp_path / "out.safetensors").bank
        codes.append(bank.codes[bank.rows("rust")])
    assert not any(found.equal(whole) for found, whole in zip(*codes, strict=True))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        ([], "holds no photos"),
        (["loose.png", "rust/a.png"], "beside folders (rust)"),
        (["a,b/a.png"], "cannot be the name of a style: ',' means"),
    ],
)
def test_folders_that_no_style_is_made_of(add, tmp_path, make, message):
    (tmp_path / "bad").mkdir()
    for name in make:
        photo_of(tmp_path, "bad", name)
    code, printed, errors = add(tmp_path / "bad")
    assert (code, printed) == (2, "")
    assert message in errors
    assert "style photos" not in errors, "before any photo is read"
    assert not (tmp_path / "out.safetensors").exists()
