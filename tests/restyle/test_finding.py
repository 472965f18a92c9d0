"""What a photo is made of and where its main object is, in Python and from the command line."""

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers import make_photo
from unistyle import UniStyle
from unistyle.commands import infer
from unistyle.restyle.finding import MAIN, Found, indexed, legend, palette


@pytest.fixture(scope="module")
def model(checkpoint) -> UniStyle:
    return UniStyle.from_pretrained(checkpoint, device="cpu")


def test_masks_are_of_the_photos_size_and_of_what_is_found(model):
    photo = make_photo(60, 90)
    found = model.find(photo)
    assert found.materials
    assert list(found.masks) == list(found.materials)
    assert {mask.size for mask in [found.main, *found.masks.values()]} == {photo.size}
    assert {mask.mode for mask in [found.main, *found.masks.values()]} == {"L"}
    assert set(found.masks) <= set(model.materials)


def test_a_material_is_found_where_it_is_restyled(model):
    """`find` and a mapping agree: the mask by which a material is restyled alone is its mask."""
    photo = make_photo(60, 90)
    found = model.find(photo)
    for name, mask in found.masks.items():
        result = model.restyle(photo, {name: "metal"})
        np.testing.assert_allclose(np.asarray(mask, int), np.asarray(result.mask, int), atol=1)
        assert result.materials[name] == pytest.approx(found.materials[name], abs=1e-4)


def test_one_style_takes_the_main_object_and_everywhere_takes_all(model):
    photo = make_photo(60, 90)
    areas = [
        np.asarray(model.restyle(photo, "stone", **more).mask).mean() for more in ({}, {"everywhere": True})
    ]
    every = sum(model.find(photo).materials.values())
    assert areas[0] < areas[1]
    assert areas[1] / 255 == pytest.approx(every, abs=0.1)


def test_places_that_see_nothing_are_not_searched(model):
    photo = make_photo(60, 90)
    alpha = Image.new("L", photo.size)
    alpha.paste(255, (0, 0, 45, 60))
    photo.putalpha(alpha)
    found = model.find(photo)
    for mask in [found.main, *found.masks.values()]:
        assert np.asarray(mask)[:, 46:].max() == 0


def test_an_indexed_picture_holds_both_answers():
    names = ("leather", "stone", "metal")
    masks = {"stone": np.array([[255, 255, 100, 0]]), "metal": np.array([[0, 0, 120, 200]])}
    main = np.array([[255, 0, 255, 0]])
    found = Found({k: Image.fromarray(v.astype(np.uint8)) for k, v in masks.items()},
                  Image.fromarray(main.astype(np.uint8)), {})  # fmt: skip
    picture = indexed(found, names)
    assert picture.mode == "P"
    assert np.asarray(picture).tolist() == [[MAIN + 2, 2, MAIN, 3]]
    colors = np.frombuffer(palette(3), np.uint8).reshape(-1, 3)
    assert len(colors) == 256
    assert (colors[2] == colors[MAIN + 2] // 2).all(), "around the main object at half their strength"
    assert "2 stone\n" in legend(names)
    assert f"{MAIN + 2} stone, main object\n" in legend(names)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "photos/a").mkdir(parents=True)
    make_photo(48, 64).save(tmp_path / "photos/a/one.png")
    make_photo(64, 48, seed=1).save(tmp_path / "photos/two.jpg")
    return tmp_path / "photos"


def test_find_only_writes_one_picture_for_each_photo(folder, checkpoint, tmp_path, model, capsys):
    given = [str(folder), "--find-only", "--checkpoint", str(checkpoint), "--device", "cpu"]
    given += ["--out", str(tmp_path / "out")]
    assert infer.main(given) == 0
    assert "2 written, 0 skipped, 0 failed" in capsys.readouterr().out
    with Image.open(tmp_path / "out/a/one.materials.png") as picture:
        wanted = indexed(model.find(folder / "a/one.png"), model.materials)
        np.testing.assert_array_equal(np.asarray(picture), np.asarray(wanted))
        assert picture.text["legend"] == (tmp_path / "out/legend.txt").read_text() == legend(model.materials)
    assert infer.main(given) == 0
    assert "0 written, 2 skipped" in capsys.readouterr().out
    (folder / "broken.png").write_bytes(b"no photo")
    assert infer.main([*given, "--overwrite"]) == 1
    printed = capsys.readouterr()
    assert "2 written, 0 skipped, 1 failed" in printed.out
    assert "broken.png: cannot be read as an image" in printed.err


def test_find_only_restyles_nothing(folder, checkpoint, tmp_path, capsys):
    given = [str(folder), "--find-only", "--checkpoint", str(checkpoint), "--out", str(tmp_path / "out")]
    assert infer.main([*given, "--to", "stone"]) == 2
    assert "leave --to" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("beside", [["--from", "stone"], ["--mask", "photos"]])
def test_everywhere_is_for_one_style_alone(folder, checkpoint, tmp_path, capsys, beside):
    given = [str(folder), "--to", "metal", "--everywhere", "--checkpoint", str(checkpoint), *beside]
    assert infer.main([*given, "--out", str(tmp_path / "out")]) == 2
    assert "--everywhere says how far --to goes" in capsys.readouterr().err


def test_what_an_older_checkpoint_finds(model):
    """Without a main object of its own all that is a material is the main object: nothing is left around it."""
    photo = torch.from_numpy(np.asarray(make_photo(64, 64), np.float32) / 255).permute(2, 0, 1)[None]
    network = model.network
    logits = network.find(photo)[1]
    assert network.places(logits)[:, 3:].max() > 0
    config, network.config = (
        network.config,
        network.config.__class__(**{**vars(network.config), "main": False}),
    )
    try:
        assert network.places(logits[:, :-1])[:, 3:].max() == 0
    finally:
        network.config = config


def test_photos_in_which_nothing_is_restyled_are_counted(folder, checkpoint, tmp_path, capsys):
    black = Image.new("L", (64, 48))
    black.save(tmp_path / "mask.png")
    given = [str(folder / "a"), "--to", "stone", "--checkpoint", str(checkpoint), "--device", "cpu"]
    assert infer.main([*given, "--mask", str(tmp_path / "mask.png"), "--out", str(tmp_path / "out")]) == 0
    assert "1 of them stay as they were" in capsys.readouterr().out
    black.point(lambda _: 255).save(tmp_path / "mask.png")
    assert infer.main([*given, "--mask", str(tmp_path / "mask.png"), "--out", str(tmp_path / "white")]) == 0
    assert "stay as they were" not in capsys.readouterr().out
