"""Photos in folders: materials, splits, masks."""

from pathlib import Path

import pytest

from tests.helpers import make_photo
from unistyle.data.labelled import folder_photos, material_photos, materials_of
from unistyle.training.config import DataConfig
from unistyle.training.preparation import find_photos

MATERIALS = ("brick", "wool")  # as in conftest


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    make_photo().save(path)


def test_materials_are_the_folder_names_in_order(photos, tmp_path):
    assert materials_of(photos / "materials/image") == MATERIALS
    with pytest.raises(FileNotFoundError, match="one folder per material"):
        materials_of(photos / "nowhere")
    with pytest.raises(ValueError, match="holds no folder with photos"):
        materials_of(tmp_path)


def test_a_split_takes_the_named_photos_alone(photos, tmp_path):
    split = tmp_path / "split.txt"
    split.write_text("wool/1\nbrick/2\n")
    found = material_photos(photos / "materials/image", split)
    assert [(p.path.parent.name, p.path.stem, p.label) for p in found] == [
        ("brick", "2", 0),
        ("wool", "1", 1),
    ]
    split.write_text("wool/9\n")
    with pytest.raises(ValueError, match=r"split\.txt"):
        material_photos(photos / "materials/image", split)


@pytest.mark.parametrize(
    "content",
    [
        "\ufeffold wood/a b\nstone/1\n".encode(),
        b"old wood/a b\r\nstone/1\r\n",
        "old wood/a b\nstone/1".encode("utf-16"),
        b"\n  old wood/a b \n\nstone\\1\n",
    ],
    ids=["BOM", "Windows", "UTF-16", "blanks"],
)
def test_a_split_may_hold_spaces_and_what_editors_add(tmp_path, content):
    for name in ("old wood/a b", "old wood/c", "stone/1", "stone/2"):
        picture(tmp_path / "image" / f"{name}.png")
    (tmp_path / "split.txt").write_bytes(content)
    found = material_photos(tmp_path / "image", tmp_path / "split.txt")
    assert [f"{p.path.parent.name}/{p.path.stem}" for p in found] == ["old wood/a b", "stone/1"]


def test_a_split_names_photos_in_either_form_of_their_signs(tmp_path):
    picture(tmp_path / "image" / "stone" / "cafe\u0301.png")
    (tmp_path / "split.txt").write_text("stone/caf\u00e9\n", encoding="utf-8")
    assert len(material_photos(tmp_path / "image", tmp_path / "split.txt")) == 1


def test_a_split_that_is_no_text_is_named(tmp_path):
    picture(tmp_path / "image" / "stone" / "1.png")
    (tmp_path / "split.txt").write_bytes(b"stone/\xff\xfe1")
    with pytest.raises(ValueError, match=r"split\.txt is no UTF-8 text"):
        material_photos(tmp_path / "image", tmp_path / "split.txt")


def test_masks_beside_photos_are_masks_and_no_photos(tmp_path):
    for name in ("stone/1.jpg", "stone/1.mask.png", "stone/2.jpg", "wood/3.png", "wood/3.mask.tif"):
        picture(tmp_path / "image" / name)
    for masks, second in ((None, None), (tmp_path / "masks", tmp_path / "masks" / "stone" / "2.png")):
        found = material_photos(tmp_path / "image", masks=masks)
        assert [p.path.name for p in found] == ["1.jpg", "2.jpg", "3.png"]
        beside = [tmp_path / "image" / name for name in ("stone/1.mask.png", "wood/3.mask.tif")]
        assert [p.mask for p in found] == [beside[0], second, beside[1]]
    contents = folder_photos([tmp_path / "image" / "stone"], tmp_path / "masks")
    assert [p.mask for p in contents] == [beside[0], tmp_path / "masks" / "stone" / "2.jpg.png"]


def test_the_masks_of_joint_training_may_lie_beside_the_photos(tmp_path):
    """As its settings give them: no mask is a photo, and those that are there are not made anew."""
    for name in ("stone/1.jpg", "stone/1.mask.png", "wood/2.jpg", "wood/2.mask.png"):
        picture(tmp_path / "image" / name)
    photos = find_photos(DataConfig(photos=tmp_path / "image", masks=tmp_path / "masks"))
    assert [(p.path.name, p.mask.name) for p in photos.own] == [
        ("1.jpg", "1.mask.png"),
        ("2.jpg", "2.mask.png"),
    ]


def test_folders_of_other_programs_are_no_materials(tmp_path):
    for name in (
        "stone/1.jpg",
        "@eaDir/1.jpg/THUMB.jpg",
        "__MACOSX/stone/1.jpg",
        ".cache/1.jpg",
        "stone/@eaDir/1.jpg",
    ):
        picture(tmp_path / name)
    assert materials_of(tmp_path) == ("stone",)
    assert len(material_photos(tmp_path)) == 1


def test_lines_of_a_split_that_name_no_photo_are_said(tmp_path):
    for name in ("stone/1", "stone/2"):
        picture(tmp_path / "image" / f"{name}.png")
    (tmp_path / "split.txt").write_text("stone/1.png\nstone/3\nslate/1\n")
    with pytest.warns(UserWarning, match=r"split\.txt names 2 photos that are not in .*, such as slate/1"):
        assert [p.path.name for p in material_photos(tmp_path / "image", tmp_path / "split.txt")] == ["1.png"]
