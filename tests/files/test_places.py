"""Photos, masks and results at addresses of fsspec."""

import json
import os
import uuid

import fsspec
import numpy as np
import pytest
from PIL import Image

import unistyle.batch.manifest
from tests.helpers import infer_with, make_photo
from unistyle.batch.jobs import collect
from unistyle.files.places import forget, is_local, place, remove_leftovers, search, stamp


@pytest.fixture
def run(checkpoint, capsys):
    return infer_with(checkpoint, capsys)


@pytest.fixture
def root() -> str:
    """A folder of its own in memory, with three photos and their masks."""
    root = f"memory://{uuid.uuid4().hex}"
    for i, name in enumerate(("a", "sub/b", "sub/c")):
        with fsspec.open(f"{root}/photos/{name}.png", "wb") as file:
            make_photo(seed=i).save(file, "PNG")
        mask = Image.new("L", (64, 48), 0)
        mask.paste(255, (0, 0, 30, 48))
        with fsspec.open(f"{root}/masks/{name}.png", "wb") as file:
            mask.save(file, "PNG")
    with fsspec.open(f"{root}/photos/.hidden.png", "wb") as file:
        file.write(b"hidden")
    return root


def files(address: str) -> dict[str, bytes]:
    fs, path = fsspec.url_to_fs(address)
    return {name.removeprefix(path + "/"): fs.cat_file(name) for name in fs.find(path)}


def lines(address: str) -> list[dict]:
    return [json.loads(line) for line in files(address)["manifest.jsonl"].splitlines()]


def test_everything_at_addresses(run, root, tmp_path):
    given = (f"{root}/photos", "--mask", f"{root}/masks", "--save-mask", "--out", f"{root}/out")
    code, printed, _ = run(*given)
    assert code == 0
    assert "3 written, 0 skipped" in printed
    wanted = {f"{name}{ending}.png" for name in ("a", "sub/b", "sub/c") for ending in ("", ".mask")}
    assert set(files(f"{root}/out")) == wanted | {"manifest.jsonl"}
    assert sorted(line["output"] for line in lines(f"{root}/out")) == [
        f"{root}/out/{name}.png" for name in ("a", "sub/b", "sub/c")
    ]
    # The same on this machine gives the same bytes.
    for name, data in files(root).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    here = tmp_path / "here"
    assert run(tmp_path / "photos", "--mask", tmp_path / "masks", "--save-mask", "--out", here)[0] == 0
    assert all(
        (here / name).read_bytes() == data for name, data in files(f"{root}/out").items() if name in wanted
    )


def test_skip_and_go_on(run, root, monkeypatch):
    given = (f"{root}/photos", "--out", f"{root}/out")
    monkeypatch.setattr(unistyle.batch.manifest, "SECONDS", 0)  # a part for each photo
    assert run(*given)[0] == 0
    fsspec.filesystem("memory").rm(f"{root.removeprefix('memory:/')}/out/sub/b.png")
    before = files(f"{root}/out")
    code, printed, _ = run(*given)
    assert (code, "1 written, 2 skipped" in printed) == (0, True)
    assert files(f"{root}/out")["a.png"] == before["a.png"]
    assert sorted(line["status"] for line in lines(f"{root}/out")) == ["skipped", "skipped", "written"]
    assert not [name for name in files(f"{root}/out") if name.startswith("manifest.") and name.count(".") > 1]
    assert run(*given, "--strength", "0.5")[0] == 2


def test_results_below_the_photos_are_no_photos(run, root):
    for _ in range(2):
        assert "3 written" in run(f"{root}/photos", "--out", f"{root}/photos/out", "--overwrite")[1]


def test_from_an_address_to_this_machine_and_back(run, root, tmp_path):
    assert run(f"{root}/photos/a.png", "--out", tmp_path / "out")[0] == 0
    assert run(tmp_path / "out" / "a.png", "--out", f"{root}/again", "--format", "webp")[0] == 0
    assert set(files(f"{root}/again")) == {"a.webp", "manifest.jsonl"}


@pytest.mark.parametrize("protocol", ["file", "local"])
def test_addresses_of_this_machine_are_paths(run, tmp_path, protocol):
    """For which a file is complete or absent."""
    make_photo().save(tmp_path / "a.png")
    assert is_local(place(f"{protocol}://{tmp_path}"))
    assert run(f"{protocol}://{tmp_path}/a.png", "--out", f"{protocol}://{tmp_path}/out")[0] == 0
    assert np.asarray(Image.open(tmp_path / "out" / "a.png")).shape == (48, 64, 3)


@pytest.mark.parametrize(
    ("address", "message"), [("nope://bucket/a.png", "nope"), ("s3://bucket/a.png", "s3fs")]
)
def test_file_systems_that_are_not_there(run, root, tmp_path, monkeypatch, address, message):
    monkeypatch.setitem(__import__("sys").modules, "s3fs", None)  # as where it is not installed
    for given in ([address, "--out", tmp_path / "out"], [f"{root}/photos", "--out", address]):
        code, _, errors = run(*given)
        assert code == 2
        assert address in errors
        assert message in errors
    assert not (tmp_path / "out").exists()


def test_writing_that_fails_is_a_failed_photo(run, root, monkeypatch):
    """With an error of the file system's own."""

    def fail(self, path, value, **_):
        if path.endswith("a.png"):
            raise RuntimeError("403")
        return write(self, path, value)

    kind = type(fsspec.filesystem("memory"))
    write = kind.pipe_file
    monkeypatch.setattr(kind, "pipe_file", fail)
    code, printed, errors = run(f"{root}/photos", "--out", f"{root}/out")
    assert code == 1
    assert "2 written, 0 skipped, 1 failed" in printed
    assert "RuntimeError: 403" in errors


def test_a_long_listing(root):
    found, problems = search(place(f"{root}/photos"))
    assert [path.name for path in found] == ["a.png", "b.png", "c.png"]
    assert problems == []


def test_only_old_temporary_files_are_removed(tmp_path):
    old, new = (tmp_path / f".{letter * 32}.tmp" for letter in "ab")
    other = tmp_path / ".notes.tmp"
    for path in (old, new, other):
        path.touch()
    os.utime(old, (0, 0))
    os.utime(other, (0, 0))
    remove_leftovers(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([new, other])


def test_another_photo_mask_or_style_at_an_address_is_noticed(run, root):
    given = (f"{root}/photos", "--mask", f"{root}/masks", "--out", f"{root}/out")
    assert run(*given)[0] == 0
    assert "0 written, 3 skipped" in run(*given)[1]
    with fsspec.open(f"{root}/photos/sub/b.png", "wb") as file:
        make_photo(seed=9).save(file, "PNG")
    assert "1 written, 2 skipped" in run(*given)[1]
    with fsspec.open(f"{root}/masks/a.png", "wb") as file:
        Image.new("L", (64, 48), 255).save(file, "PNG")
    assert "1 written, 2 skipped" in run(*given)[1]
    assert "styles was" in run(*given, to="metal")[2]


def test_stamps_of_a_listing_are_those_of_single_files(root, monkeypatch):
    """So that a run asks for all photos at once, and what it notes is what another one finds."""
    listed = {path: stamp(path) for path in search(place(f"{root}/photos"))[0]}
    forget()
    assert {path: stamp(path) for path in listed} == listed
    assert all(each["size"] and each["time"] for each in listed.values())
    search(place(f"{root}/photos"))
    monkeypatch.setattr(type(fsspec.filesystem("memory")), "info", None)
    assert {path: stamp(path) for path in listed} == listed
    assert stamp(place(f"{root}/photos/none.png")) is None


def test_folders_of_other_programs_at_addresses_are_passed_by(root):
    for name in ("@eaDir/a.png/THUMB.png", "sub/__MACOSX/a.png"):
        with fsspec.open(f"{root}/photos/{name}", "wb") as file:
            make_photo().save(file, "PNG")
    with fsspec.open(f"{root}/photos/scan", "wb") as file:
        make_photo().save(file, "PNG")
    found = collect([f"{root}/photos"], f"{root}/out")
    assert [job.source.name for job in found.jobs] == ["a.png", "scan", "b.png", "c.png"]
