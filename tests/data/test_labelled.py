"""Photos in folders: materials, splits, masks."""

import pytest

from unistyle.data.labelled import material_photos, materials_of

MATERIALS = ("brick", "wool")  # as in conftest


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
