"""What is in a folder, and files that are complete or absent."""

from pathlib import Path

import pytest

from unistyle.files import folders
from unistyle.files.atomic import atomic
from unistyle.files.folders import _entries, list_images, walk


def test_list_images_is_sorted_recursive_and_passes_hidden_files_by(tmp_path):
    for name in ("b.JPG", "a/c.png", "a/notes.txt", "._b.JPG", ".hidden/d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [p.relative_to(tmp_path).as_posix() for p in list_images(tmp_path)] == ["a/c.png", "b.JPG"]


def test_walk_follows_links_once_and_tells_what_it_could_not_search(tmp_path, monkeypatch):
    (tmp_path / "a" / "closed").mkdir(parents=True)
    for name in ("a/b.png", "a.png", "a/notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "outside").symlink_to(tmp_path / "a")
    (tmp_path / "itself").symlink_to("itself")
    entries = _entries
    closed = PermissionError(13, "Permission denied")

    def refuse(folder):
        if folder.endswith("closed"):
            raise closed
        return entries(folder)

    monkeypatch.setattr(folders, "_entries", refuse)
    files, problems = walk(tmp_path)
    assert files == [tmp_path / name for name in ("a/b.png", "a/notes.txt", "a.png", "itself")]
    assert problems == [f"{tmp_path / 'a' / 'closed'}: cannot be searched: Permission denied"]
    assert list_images(str(tmp_path)) == [tmp_path / "a/b.png", tmp_path / "a.png"]
    assert walk(Path("nowhere")) == ([], ["nowhere: cannot be searched: No such file or directory"])


def test_atomic_leaves_the_old_file_and_nothing_else_after_an_error(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def half_way():
        with atomic(path) as temporary:
            temporary.write_text("new")
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        half_way()
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "old"
