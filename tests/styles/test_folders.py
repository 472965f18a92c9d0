"""Which styles and photos there are in a folder."""

import os
import re
from pathlib import Path

import pytest

from tests.helpers import make_photo
from tests.styles.making import half_mask, photo_of, save
from unistyle.errors import StyleError
from unistyle.styles.exemplars import style_folders


def names(styles: dict[str, list[Path]]) -> dict[str, list[str]]:
    return {style: [path.name for path in paths] for style, paths in styles.items()}


def test_one_folder_per_style(tmp_path):
    for name in ("rust/b.png", "rust/a.jpg", "rust/deep/er/c.png", "old brick/wall.JPG", "もふもふ/猫.webp"):
        photo_of(tmp_path, name)
    (tmp_path / "rust" / "notes.txt").write_text("")
    assert names(style_folders(tmp_path)) == {
        "old brick": ["wall.JPG"],
        "rust": ["a.jpg", "b.png", "c.png"],
        "もふもふ": ["猫.webp"],
    }
    assert style_folders(str(tmp_path)) == style_folders(tmp_path)


def test_a_folder_without_photos_that_can_be_read_is_named(tmp_path):
    photo_of(tmp_path, "felt", "a.png")
    (tmp_path / "empty").mkdir()
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.cr2").write_bytes(b"raw")
    save(half_mask((80, 72)), tmp_path / "masks" / "a.mask.png")
    wanted = ", ".join(str(tmp_path / name) for name in ("empty", "masks", "raw"))
    with pytest.raises(
        StyleError, match=re.escape(f"no photos that can be read in {wanted}: put photos there")
    ):
        style_folders(tmp_path)


def test_photos_alone_are_one_style_named_after_their_folder(tmp_path, monkeypatch):
    for name in ("b.png", "a.png"):
        photo_of(tmp_path, "rust", name)
    assert names(style_folders(tmp_path / "rust")) == {"rust": ["a.png", "b.png"]}
    (tmp_path / "rust" / ".empty").mkdir()
    monkeypatch.chdir(tmp_path / "rust")
    for folder in (".", "../rust", "../rust/", ".empty/.."):
        assert names(style_folders(folder)) == {"rust": ["a.png", "b.png"]}, folder
        assert all(path.is_file() for path in style_folders(folder)["rust"])
    monkeypatch.chdir(tmp_path)
    assert names(style_folders(".")) == {"rust": ["a.png", "b.png"]}, "here one folder per style"


def test_photos_beside_folders_are_refused(tmp_path):
    for name in ("loose.png", "rust/a.png", "felt/b.png"):
        photo_of(tmp_path, name)
    with pytest.raises(
        StyleError, match=r"photos \(loose.png\) beside folders \(felt, rust\): move the photos"
    ):
        style_folders(tmp_path)


def test_hidden_files_and_masks_are_no_photos(tmp_path):
    for name in ("rust/a.png", "rust/.b.png", ".felt/c.png", "rust/.cache/d.png"):
        photo_of(tmp_path, name)
    save(half_mask((80, 72)), tmp_path / "rust" / "a.mask.png")
    assert names(style_folders(tmp_path)) == {"rust": ["a.png"]}


def test_folders_without_photos(tmp_path):
    save(half_mask((80, 72)), tmp_path / "masks" / "a.mask.png")
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(StyleError, match="holds no photos; give a folder with one folder per style"):
        style_folders(tmp_path)
    for path in (tmp_path / "none", tmp_path / "notes.txt"):
        with pytest.raises(StyleError, match=f"no folder {path}; give one with one folder per style"):
            style_folders(path)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a,b", "',' means"),
        ("a=b", "'=' means"),
        (" rust", "starts or ends with a space"),
        ("a\nb", "cannot be typed"),
        (os.fsdecode(b"caf\xe9"), "its name is not UTF-8"),
    ],
)
def test_folders_whose_name_no_style_can_have(tmp_path, name, reason):
    photo_of(tmp_path, "styles", "felt", "a.png")
    try:
        photo_of(tmp_path, "styles", name, "a.png")
    except (OSError, UnicodeError):
        pytest.skip("nor a folder of this file system")
    for folder in (tmp_path / "styles", tmp_path / "styles" / name):
        with pytest.raises(StyleError, match=re.escape(str(tmp_path / "styles" / name)) + f": .*{reason}"):
            style_folders(folder)


@pytest.mark.parametrize("folder", ["@eaDir/rust/a.png", "__MACOSX/rust", "#recycle", "rust/@eaDir/a.png"])
def test_folders_of_other_programs_are_no_styles(tmp_path, folder):
    photo_of(tmp_path, "rust/a.png")
    photo_of(tmp_path, f"{folder}/thumb.png")
    (tmp_path / "__MACOSX" / "empty").mkdir(parents=True, exist_ok=True)
    (tmp_path / "rust" / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    assert names(style_folders(tmp_path)) == {"rust": ["a.png"]}


@pytest.mark.parametrize("ending", ["HIF", "jpe", "dib", "apng", "pnm", "j2k", ""])
def test_style_photos_of_rare_endings_and_of_none(tmp_path, ending):
    make_photo(64, 64).save(tmp_path / "a.png")
    name = f"a.{ending}" if ending else "a"
    (tmp_path / "rust").mkdir()
    (tmp_path / "a.png").rename(tmp_path / "rust" / name)
    assert names(style_folders(tmp_path)) == {"rust": [name]}


def test_a_style_is_called_by_the_one_form_of_its_signs(tmp_path):
    photo_of(tmp_path, "cafe\u0301/a.png")
    assert list(style_folders(tmp_path)) == ["caf\u00e9"]
    assert list(style_folders(tmp_path / "cafe\u0301")) == ["caf\u00e9"]
