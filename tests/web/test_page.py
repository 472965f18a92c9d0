"""What the handlers of the page give."""

import shutil
import socket
from concurrent.futures import ThreadPoolExecutor
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
from unistyle.web.page import OWN, STAYS, USUAL, Page, gr
from unistyle.web.pictures import find, tinted

ME = SimpleNamespace(session_hash="me")

httpx = pytest.importorskip("httpx") if gr else None  # which Gradio brings
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


def other(name: str) -> SimpleNamespace:
    """What the page has of another visitor."""
    return SimpleNamespace(session_hash=name)


@pytest.fixture
def address(model, root, monkeypatch):
    """Where the page is served from this process."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", "")  # which is put back at the end
    monkeypatch.setattr(gr.route_utils, "GradioUploadFile", gr.route_utils.GradioUploadFile)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    blocks = layout.serve(model, root, port=port)
    yield f"http://127.0.0.1:{port}/gradio_api"
    blocks.close()


def send(address: str, *files: tuple[str, bytes]) -> list[str]:
    """Upload files as a browser does; where they lie."""
    body = [("files", (name, data, "image/png")) for name, data in files]
    response = httpx.post(f"{address}/upload", files=body, timeout=60)
    assert response.status_code == 200, response.text
    return response.json()


@needs_gradio
def test_uploads_of_equal_content_are_apart(page, address, tmp_path):
    data = odd_photo(tmp_path / "a.png").read_bytes()
    with ThreadPoolExecutor(6) as pool:
        sent = [path for (path,) in pool.map(lambda _: send(address, ("a.png", data)), range(6))]
    sent += send(address, ("a.png", data), ("b.png", data), ("a.png", data))  # and in one request
    assert len({Path(path).parent for path in sent}) == len(sent) == 9
    assert {Path(path).name for path in sent} == {"a.png", "b.png"}
    for i, path in enumerate(sent):
        page.look(other(str(i)), path)
        page.leave(other(str(i)))  # each is gone before the next is looked at
    assert [name for name in files_below(page.visits.root) if "a.png" in name or "b.png" in name] == []


@needs_gradio
def test_visitors_who_drop_the_same_file_have_each_their_own(page, tmp_path):
    """Also where both name one place, as Gradio would have it."""
    path = odd_photo(tmp_path / "a.png")
    names = [other(str(i)) for i in range(3)]
    sent = [upload(page, path) for _ in names]
    assert len(set(sent)) == 1
    mine = [page.look(who, place)[0] for who, place in zip(names, sent, strict=True)]
    assert len(set(mine)) == 3
    assert all(Path(each).read_bytes() == path.read_bytes() for each in mine)
    page.leave(names[0])
    choices = ["stone"] * len(page.model.materials)
    assert Path(page.restyle(names[1], 1, 1, 1, False, *choices)[1]).is_file()
    for who in names[1:]:
        page.leave(who)
    assert list(page.visits.root.iterdir()) == []
    with pytest.raises(gr.Error, match="drop it again"):
        page.look(names[0], sent[0])


@needs_gradio
def test_the_same_file_as_photo_and_style(page, tmp_path):
    path = odd_photo(tmp_path / "a.png")
    sent = upload(page, path)
    page.look(ME, sent)
    page.take_style(ME, sent)
    page.look(other("you"), sent)
    choices = [OWN] * len(page.model.materials)
    assert Path(page.restyle(ME, 1, 1, 1, False, *choices)[1]).is_file()


@needs_gradio
@pytest.mark.parametrize("empty", [0, 1, 2])
def test_a_field_that_was_emptied_is_as_at_first(page, tmp_path, empty):
    look(page, odd_photo(tmp_path / "a.png"))
    choices = ["stone"] * len(page.model.materials)
    numbers = [None if i == empty else 1 for i in range(3)]
    wanted = Image.open(page.restyle(ME, 1, 1, 1, False, *choices)[1])
    wanted.load()
    np.testing.assert_array_equal(Image.open(page.restyle(ME, *numbers, False, *choices)[1]), wanted)


@needs_gradio
def test_sliders_let_an_empty_field_pass_and_nothing_else(page):
    sliders = [each for each in layout.layout(page).blocks.values() if isinstance(each, gr.Slider)]
    assert [each.label for each in sliders] == ["Strength", "The style's own texture", "Size of that texture"]
    for each in sliders:
        assert each.value == USUAL
        assert each.preprocess(None) is None
        assert each.preprocess(0.5) == 0.5
        for number in (-1, 5):
            with pytest.raises(gr.Error):
                each.preprocess(number)


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
