"""What the handlers of the page give."""

import shutil
import socket
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import ExifTags, Image

from tests.helpers import make_photo
from unistyle import UniStyle
from unistyle.commands import demo as demo_command
from unistyle.files.photos import read_photo
from unistyle.files.samples import sample_photo
from unistyle.web import layout
from unistyle.web.page import OWN, STAYS, Page, gr
from unistyle.web.pictures import find, tinted

ME = SimpleNamespace(session_hash="me")

needs_gradio = pytest.mark.skipif(gr is None, reason=layout.MISSING)


@pytest.fixture(scope="module")
def model(checkpoint) -> UniStyle:
    return UniStyle.from_pretrained(checkpoint, device="cpu")


@pytest.fixture
def root(tmp_path) -> Path:
    """The folder for the files of the page."""
    (tmp_path / "page").mkdir()
    return tmp_path / "page"


@pytest.fixture
def page(model, root) -> Page:
    return Page(model, root)


def upload(page, path: Path) -> str:
    """A file where Gradio puts what is dropped."""
    folder = page.visits.root / "0123"
    folder.mkdir(exist_ok=True)
    return str(shutil.copy(path, folder / path.name))


def odd_photo(path: Path) -> Path:
    """A photo that is stored on its side, has transparency, a profile-less EXIF block and an odd name."""
    photo = make_photo(160, 200)
    opacity = Image.new("L", photo.size, 255)
    opacity.paste(0, (0, 0, 40, 160))
    photo.putalpha(opacity)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    photo.save(path, exif=exif)
    return path


def files_below(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]


def look(page, path: Path) -> dict:
    """Drop a photo; material -> what its choice becomes."""
    _, shown, _, _, _, *choices = page.look(ME, upload(page, path))
    assert Path(shown).is_file()
    return {c["label"].removesuffix(" becomes"): c for c in choices if c["visible"]}


@needs_gradio
def test_result_and_mask_are_those_of_the_python_api(page, model, tmp_path):
    path = odd_photo(tmp_path / "a b.png")
    found = look(page, path)
    name = next(iter(found))
    choices = ["metal" if material == name else STAYS for material in model.materials]
    _, image, mask = page.restyle(ME, 0.8, 1, 1, True, *choices)
    wanted = model.restyle(path, {name: "metal"}, strength=0.8, color="keep")
    assert (Path(image).name, Path(mask).name) == ("a b-restyled.png", "a b-mask.png")
    with Image.open(image) as got:
        assert (got.mode, got.size) == ("RGBA", (160, 200))
        np.testing.assert_array_equal(got, wanted.image)
    with Image.open(mask) as got:
        np.testing.assert_array_equal(got, wanted.mask)


@needs_gradio
def test_found_are_the_materials_and_masks_of_the_pipeline(model):
    photo = read_photo(sample_photo())
    found = find(model, photo)
    shares = model.restyle(photo, "stone").materials
    assert {name: each.share for name, each in found.items()} == pytest.approx(shares, abs=1e-4)
    for name, each in found.items():
        wanted = model.restyle(photo, {name: "metal"}).mask
        np.testing.assert_allclose(np.asarray(each.mask, int), np.asarray(wanted, int), atol=1)
    colors = dict.fromkeys(model.materials, "#ff0000")
    shown = np.asarray(tinted(photo, found, colors).rgb)
    untouched = np.max([each.mask for each in found.values()], axis=0) == 0
    np.testing.assert_array_equal(shown[untouched], np.asarray(photo.rgb)[untouched])
    assert (shown[~untouched] != np.asarray(photo.rgb)[~untouched]).any(-1).mean() > 0.9


@needs_gradio
def test_own_style_photo(page, model, tmp_path):
    make_photo(70, 50, seed=3).save(tmp_path / "wall.png")
    name = next(iter(look(page, odd_photo(tmp_path / "a.png"))))
    choices = [OWN if material == name else STAYS for material in model.materials]
    with pytest.raises(gr.Error, match="drop it first"):
        page.restyle(ME, 1, 1, 1, False, *choices)
    page.take_style(ME, upload(page, tmp_path / "wall.png"))
    wanted = model.restyle(tmp_path / "a.png", {name: tmp_path / "wall.png"}).image
    np.testing.assert_array_equal(Image.open(page.restyle(ME, 1, 1, 1, False, *choices)[1]), wanted)
    page.take_style(ME, None)
    with pytest.raises(gr.Error, match="drop it first"):
        page.restyle(ME, 1, 1, 1, False, *choices)


@needs_gradio
def test_what_cannot_be_done_is_a_message(page, model, tmp_path):
    nothing = [STAYS] * len(model.materials)
    with pytest.raises(gr.Error, match="There is no photo"):
        page.restyle(ME, 1, 1, 1, False, *nothing)
    broken = tmp_path / "<b>.png"
    broken.write_text("no photo")
    with pytest.raises(gr.Error, match=r"'&lt;b&gt;\.png: cannot be read as an image") as error:
        page.look(ME, upload(page, broken))
    assert str(tmp_path) not in str(error.value)
    with pytest.raises(gr.Error, match="drop it again"):
        page.look(ME, str(page.visits.root / "gone/a.png"))
    path = odd_photo(tmp_path / "a.png")
    look(page, path)
    with pytest.raises(gr.Error, match="choose what at least one"):
        page.restyle(ME, 1, 1, 1, False, *nothing)
    with pytest.raises(gr.Error, match="unknown style"):
        page.restyle(ME, 1, 1, 1, False, str(path), *nothing[1:])


@needs_gradio
def test_photo_that_is_too_large(model, root, tmp_path):
    page = Page(model, root, max_pixels=32000)
    look(page, odd_photo(tmp_path / "a.png"))
    make_photo(160, 201).save(tmp_path / "b.png")
    with pytest.raises(gr.Error, match=r"b\.png: 201x160 pixels; this page takes"):
        page.look(ME, upload(page, tmp_path / "b.png"))
    with pytest.raises(gr.Error, match="There is no photo"):
        page.restyle(ME, 1, 1, 1, False, *[STAYS] * len(model.materials))


@needs_gradio
def test_an_error_of_the_page_itself(model, root, tmp_path):
    page = Page(model, root, find=lambda model, photo: 1 / 0)
    with pytest.raises(gr.Error, match=r"Something went wrong \(ZeroDivisionError\)"):
        page.look(ME, upload(page, odd_photo(tmp_path / "a.png")))


@needs_gradio
def test_photo_without_any_material(model, root, tmp_path, monkeypatch):
    warnings = []
    monkeypatch.setattr(gr, "Warning", warnings.append)
    page = Page(model, root, find=lambda model, photo: {})
    assert look(page, odd_photo(tmp_path / "a.png")) == {}
    assert warnings == ["None of these was found in the photo: leather, stone, metal"]


@needs_gradio
def test_nothing_is_kept_after_the_visit(page, model, tmp_path):
    other = SimpleNamespace(session_hash="other")
    path = odd_photo(tmp_path / "a.png")
    page.look(other, upload(page, path))
    for _ in range(2):
        look(page, path)
        page.take_style(ME, upload(page, path))
        for _ in range(2):
            page.restyle(ME, 1, 1, 1, False, *["stone"] * len(model.materials))
    mine = sorted(Path(name).name for name in files_below(page.visits[ME.session_hash].folder))
    assert mine == sorted(
        ["a.png", "a.png", "found.webp", "before.webp", "after.webp", "a-restyled.png", "a-mask.png"]
    )
    page.leave(ME)
    assert sorted(Path(name).name for name in files_below(page.visits.root)) == ["a.png", "found.webp"]
    page.leave(other)
    assert list(page.visits.root.iterdir()) == []


def test_what_is_missing_is_said(model, root, monkeypatch):
    with pytest.raises(ValueError, match="no styles; add one: unistyle bank add"):
        Page(SimpleNamespace(styles=[], materials=()), root)
    monkeypatch.setattr(layout, "gr", None)
    with pytest.raises(ValueError, match="the page needs Gradio: pip install"):
        layout.serve(model, root)


@needs_gradio
def test_port_that_is_taken(checkpoint, capsys, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", "")  # which is put back at the end
    monkeypatch.setattr(demo_command.signal, "signal", lambda *_: None)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert (
            demo_command.main(["--checkpoint", str(checkpoint), "--device", "cpu", "--port", str(port)]) == 2
        )
    assert (
        f"cannot serve at 127.0.0.1:{port}, which may be taken; give another --port"
        in capsys.readouterr().err
    )
