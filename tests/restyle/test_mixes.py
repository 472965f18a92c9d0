"""Mixes of styles by weight."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers import make_photo
from unistyle import UniStyle
from unistyle.commands import infer


@pytest.fixture(scope="module")
def model(checkpoint) -> UniStyle:
    return UniStyle.from_pretrained(checkpoint, device="cpu")


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


@pytest.fixture
def mixed(model):
    """The names and codes that a text stands for."""
    return lambda text: (model.plan(text)[0].names, model.plan(text)[0].codes)


def test_mix_is_the_weighted_mean_of_codes(model, mixed):
    quarry, wall, plate = model.bank.codes
    names, codes = mixed("stone:0.7,metal:0.3")
    assert names == ("stone/quarry:0.7,metal/plate:0.3", "stone/wall:0.7,metal/plate:0.3")
    torch.testing.assert_close(codes, torch.stack([0.7 * quarry + 0.3 * plate, 0.7 * wall + 0.3 * plate]))
    names, codes = mixed("stone/quarry:2, stone/wall:1, metal:1e0")
    assert names == ("stone/quarry:0.5,stone/wall:0.25,metal/plate:0.25",)
    torch.testing.assert_close(codes[0], (2 * quarry + wall + plate) / 4)
    assert mixed("stone/quarry:1e308,metal:1e308")[0] == ("stone/quarry:0.5,metal/plate:0.5",)


def test_mix_of_equal_weights_has_no_order_and_small_ones_no_say(model, mixed):
    assert mixed("stone:1,metal:1")[1].equal(mixed("metal:3,stone:3")[1])
    photo, mask = make_photo(), Image.new("L", (64, 48), 255)
    one, other, almost, alone = (
        pixels(model.restyle(photo, to, mask).image)
        for to in ("stone:1,metal:1", "metal:1,stone:1", "stone/wall:1,metal:1e-9", "stone/wall")
    )
    np.testing.assert_array_equal(one, other)
    assert np.abs(almost - alone).max() <= 1
    assert np.abs(one - alone).max() > 1


def test_mix_with_photos_and_in_a_mapping(model, mixed, tmp_path):
    path = tmp_path / "a wall.png"
    make_photo(70, 50, seed=3).save(path)
    own = mixed(str(path))[1]
    names, codes = mixed(f"{path}:1,metal:3")
    assert names == (f"{path}:0.25,metal/plate:0.75",)
    torch.testing.assert_close(codes, own / 4 + 3 * model.bank.codes[2:] / 4)
    by_address = mixed(f"metal:3,file://{path}:1")
    torch.testing.assert_close(by_address[1], codes)
    leather, rest = model.plan({"leather": "stone:1,metal:1", "*": "stone"})
    assert leather.names == ("stone/quarry:0.5,metal/plate:0.5", "stone/wall:0.5,metal/plate:0.5")
    assert rest.names == ("stone/quarry", "stone/wall")


def test_a_name_and_a_file_come_before_a_mix(model, mixed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_photo().save("stone:1,metal:1", format="png")
    assert mixed("stone:1,metal:1")[0] == ("stone:1,metal:1",)
    assert mixed("stone:2,metal:2")[0][0] == "stone/quarry:0.5,metal/plate:0.5"
    odd = replace(model.bank, names=(("stone:1,metal:2", "a"), *model.bank.names[1:]))
    monkeypatch.setattr(model, "bank", odd)
    assert mixed("stone:1,metal:2")[0] == ("stone:1,metal:2/a",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stone:0.7", "a single style needs no weight; give stone, .*--strength 0.7"),
        ("stone,metal:0.3", "got 'stone' alone; wanted .* such as stone:0.7,wood:0.3"),
        ("stone:x,metal:0.3", "got weight 'x'; wanted .* such as stone:0.7,wood:0.3"),
        ("stone:-1,metal:1", "got weight '-1'"),
        ("stone:0,metal:1", "got weight '0'"),
        ("stone:nan,metal:1", "got weight 'nan'"),
        ("stone:1,metal:inf", "got weight 'inf'"),
        ("stone:1,", "got '' alone"),
        (":1,metal:1", "got '1' alone"),
        ("stone:1,metall:1", "unknown style 'metall'. Did you mean 'metal'"),
        ("stone:1:1,metal:1", "style 'stone:1': a single style needs no weight"),
        ("stone,metal", "unknown style 'stone,metal'"),
        ("stone:metal", "unknown style 'stone:metal'"),
        (",".join(["stone:1"] * 13), "8192 combinations of exemplars; wanted 256 at most: name exemplars"),
    ],
)
def test_unusable_mixes(model, text, message):
    with pytest.raises(ValueError, match=message):
        model.plan(text)


def test_mix_by_the_command(checkpoint, tmp_path, capsys):
    make_photo(64, 96).save(tmp_path / "a.png")
    command = [str(tmp_path / "a.png"), "--checkpoint", str(checkpoint), "--device", "cpu", "--out"]
    assert infer.main([*command, str(tmp_path / "1"), "--to", "stone/wall:3,metal:1"]) == 0
    record = json.loads((tmp_path / "1/manifest.jsonl").read_text())
    assert record["styles"] == {"*": "stone/wall:0.75,metal/plate:0.25"}
    mapping = [f"--map={material}=stone/wall:3,metal:1" for material in ("leather", "stone", "metal")]
    assert infer.main([*command, str(tmp_path / "2"), *mapping]) == 0
    used = json.loads((tmp_path / "2/manifest.jsonl").read_text())["styles"]
    assert set(used.values()) == {"stone/wall:0.75,metal/plate:0.25"}
    assert infer.main([*command, str(tmp_path / "3"), "--to", "stone,metal:1"]) == 2
    assert "wanted a weight above 0 for each style" in capsys.readouterr().err
    assert not (tmp_path / "3").exists()
