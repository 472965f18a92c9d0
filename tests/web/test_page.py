"""The page: what its handlers give, and the whole of it in a browser.

The README's picture of it: UNISTYLE_SCREENSHOT=docs/demo.png python -m pytest tests/test_demo.py -k browser
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import ExifTags, Image

from tests.helpers import ROOT, make_photo
from unistyle import UniStyle
from unistyle.commands import demo as demo_command
from unistyle.files.samples import sample_photo
from unistyle.web import page as demo

SCREENSHOT = os.environ.get("UNISTYLE_SCREENSHOT")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PATIENCE = 60  # seconds after which something hangs
ME = SimpleNamespace(session_hash="me")

needs_gradio = pytest.mark.skipif(demo.gr is None, reason=demo_command.MISSING)


@pytest.fixture(scope="module")
def model(checkpoint) -> UniStyle:
    return UniStyle.from_pretrained(checkpoint, device="cpu")


@pytest.fixture
def page(model, tmp_path) -> "demo.Page":
    root = tmp_path / "page"
    root.mkdir()
    return demo.Page(model, root)


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
    choices = ["metal" if material == name else demo.STAYS for material in model.materials]
    _, image, mask = page.restyle(ME, 0.8, True, *choices)
    wanted = model.restyle(path, {name: "metal"}, strength=0.8, color="keep")
    assert (Path(image).name, Path(mask).name) == ("a b-restyled.png", "a b-mask.png")
    with Image.open(image) as got:
        assert (got.mode, got.size) == ("RGBA", (160, 200))
        np.testing.assert_array_equal(got, wanted.image)
    with Image.open(mask) as got:
        np.testing.assert_array_equal(got, wanted.mask)


@needs_gradio
def test_found_are_the_materials_and_masks_of_the_pipeline(model):
    photo = demo.read(sample_photo())
    found = demo.find(model, photo)
    assert {name: each.share for name, each in found.items()} == model.restyle(photo, "stone").materials
    for name, each in found.items():
        np.testing.assert_array_equal(each.mask, model.restyle(photo, {name: "metal"}).mask)
    colors = dict.fromkeys(model.materials, "#ff0000")
    shown = np.asarray(demo.overlay(photo, found, colors).rgb)
    untouched = np.max([each.mask for each in found.values()], axis=0) == 0
    np.testing.assert_array_equal(shown[untouched], np.asarray(photo.rgb)[untouched])
    assert (shown[~untouched] != np.asarray(photo.rgb)[~untouched]).any(-1).mean() > 0.9


@needs_gradio
def test_own_style_photo(page, model, tmp_path):
    make_photo(70, 50, seed=3).save(tmp_path / "wall.png")
    name = next(iter(look(page, odd_photo(tmp_path / "a.png"))))
    choices = [demo.OWN if material == name else demo.STAYS for material in model.materials]
    with pytest.raises(demo.gr.Error, match="drop it first"):
        page.restyle(ME, 1, False, *choices)
    page.take_style(ME, upload(page, tmp_path / "wall.png"))
    wanted = model.restyle(tmp_path / "a.png", {name: tmp_path / "wall.png"}).image
    np.testing.assert_array_equal(Image.open(page.restyle(ME, 1, False, *choices)[1]), wanted)
    page.take_style(ME, None)
    with pytest.raises(demo.gr.Error, match="drop it first"):
        page.restyle(ME, 1, False, *choices)


@needs_gradio
def test_what_cannot_be_done_is_a_message(page, model, tmp_path, monkeypatch):
    nothing = [demo.STAYS] * len(model.materials)
    with pytest.raises(demo.gr.Error, match="There is no photo"):
        page.restyle(ME, 1, False, *nothing)
    broken = tmp_path / "<b>.png"
    broken.write_text("no photo")
    with pytest.raises(demo.gr.Error, match=r"'&lt;b&gt;\.png: cannot be read as an image") as error:
        page.look(ME, upload(page, broken))
    assert str(tmp_path) not in str(error.value)
    with pytest.raises(demo.gr.Error, match="drop it again"):
        page.look(ME, str(page.visits.root / "gone/a.png"))
    path = odd_photo(tmp_path / "a.png")
    look(page, path)
    with pytest.raises(demo.gr.Error, match="choose what at least one"):
        page.restyle(ME, 1, False, *nothing)
    with pytest.raises(demo.gr.Error, match="unknown style"):
        page.restyle(ME, 1, False, str(path), *nothing[1:])
    monkeypatch.setattr(demo, "MAX_PIXELS", 1000)
    with pytest.raises(demo.gr.Error, match=r"a\.png: 200x160 pixels; this page takes"):
        page.look(ME, upload(page, path))
    with pytest.raises(demo.gr.Error, match="There is no photo"):
        page.restyle(ME, 1, False, *nothing)
    monkeypatch.setattr(demo, "read", lambda path: 1 / 0)
    with pytest.raises(demo.gr.Error, match=r"Something went wrong \(ZeroDivisionError\)"):
        page.look(ME, upload(page, path))


@needs_gradio
def test_photo_without_any_material(page, model, tmp_path, monkeypatch):
    warnings = []
    monkeypatch.setattr(demo.gr, "Warning", warnings.append)
    monkeypatch.setattr(demo, "find", lambda model, photo: {})
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
            page.restyle(ME, 1, False, *["stone"] * len(model.materials))
    mine = sorted(Path(name).name for name in files_below(page.visits[ME.session_hash].folder))
    assert mine == sorted(
        ["a.png", "a.png", "found.webp", "before.webp", "after.webp", "a-restyled.png", "a-mask.png"]
    )
    page.leave(ME)
    assert sorted(Path(name).name for name in files_below(page.visits.root)) == ["a.png", "found.webp"]
    page.leave(other)
    assert list(page.visits.root.iterdir()) == []


def test_what_is_missing_is_said(model, checkpoint, tmp_path, capsys, monkeypatch):
    bare = SimpleNamespace(styles=[], materials=())
    with pytest.raises(ValueError, match=r"no styles; add one: python -m unistyle\.bank add"):
        demo.Page(bare, tmp_path)
    monkeypatch.setattr(demo_command.signal, "signal", lambda *_: None)
    monkeypatch.setattr(demo_command, "gr", None)
    assert demo_command.main(["--checkpoint", str(checkpoint)]) == 2
    assert demo_command.MISSING in capsys.readouterr().err
    monkeypatch.setattr(demo_command, "gr", object())
    monkeypatch.setattr(demo_command, "CHECKPOINT", tmp_path / "absent.safetensors")
    assert demo_command.main([]) == 2
    assert "absent.safetensors is not there; give --checkpoint" in capsys.readouterr().err


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


@pytest.fixture
def served(checkpoint, tmp_path):
    """The command, served from a process of its own: its address, its folder for files, its checkpoint."""
    checkpoint = demo_command.CHECKPOINT if SCREENSHOT else checkpoint
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    command = ["-m", "unistyle.commands.demo", "--checkpoint", checkpoint, "--device", "cpu", "--port", port]
    log = (tmp_path / "log").open("w+")
    environment = os.environ | {"TMPDIR": str(temporary)}
    command = [sys.executable, *map(str, command)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=environment)
    address = f"http://127.0.0.1:{port}"
    wait_for(lambda: address in (tmp_path / "log").read_text(), process)
    yield SimpleNamespace(address=address, folder=temporary, checkpoint=checkpoint, log=tmp_path / "log")
    process.terminate()
    assert process.wait(PATIENCE) == 0
    assert files_below(temporary) == [] == list(temporary.glob("unistyle*"))


def wait_for(happened, process=None) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert process is None or process.poll() is None, "it has ended"
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.1)


@pytest.fixture
def browser():
    driver = pytest.importorskip("playwright.sync_api", reason="the browser's driver: pip install playwright")
    if CHROMIUM is None:
        pytest.skip("no browser: apt-get install chromium")
    with driver.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


def choose(tab, material: str, style: str) -> None:
    tab.get_by_label(f"{material} becomes").click()
    tab.get_by_role("option", name=style, exact=True).last.click()


def restyle(tab) -> None:
    tab.get_by_role("button", name="Restyle").click()
    tab.get_by_role("button", name="Download result").wait_for()


def download(tab, what: str, path: Path) -> Image.Image:
    with tab.expect_download() as started:
        tab.get_by_role("button", name=f"Download {what}").click()
    started.value.save_as(path)
    return Image.open(path)


def picture(tab, width: int, path: Path) -> None:
    """The whole page at a width of the window, in which nothing is cut off."""
    tab.set_viewport_size({"width": width, "height": 900})
    tab.mouse.move(0, 0)
    tab.wait_for_timeout(1000)  # for animations
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    tab.screenshot(path=path, full_page=True)


def message(tab, text: str, path: Path) -> None:
    """Wait for a message, and close it, because it covers a part of the page."""
    tab.get_by_text(text).wait_for()
    tab.wait_for_timeout(500)  # it fades in
    tab.screenshot(path=path)
    tab.locator(".toast-close").click()
    tab.get_by_text(text).wait_for(state="detached")


def save_small(image: Image.Image, path: Path) -> None:
    """With 256 colours, rare ones among them, for a README."""
    palette = image.quantize(256, method=Image.Quantize.MAXCOVERAGE)
    image.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)


@needs_gradio
def test_page_in_a_browser(browser, served, tmp_path):
    tab = browser.new_page(viewport={"width": 400, "height": 900})
    requests, problems = [], []
    tab.on("request", lambda request: requests.append(request.url))
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.goto(served.address)
    drop = tab.locator("input[type=file]").first
    drop.set_input_files({"name": "a.jpg", "mimeType": "image/jpeg", "buffer": b"no photo"})
    message(tab, "a.jpg: cannot be read as an image", tmp_path / "400-message.png")
    tab.get_by_text("Drop File Here").first.wait_for()
    for width in (1280, 400):
        picture(tab, width, tmp_path / f"{width}-first.png")

    model = UniStyle.from_pretrained(served.checkpoint, "cpu")
    photo = sample_photo()
    found = model.restyle(photo, model.styles[0]).materials
    styles = {"glass": "leather", "plastic": "wood"} if SCREENSHOT else {max(found, key=found.get): "metal"}
    drop.set_input_files(photo)
    tab.get_by_role("button", name="Restyle").click()
    message(tab, "Nothing to do yet", tmp_path / "400-message-2.png")
    for name in model.materials:
        assert tab.get_by_label(f"{name} becomes").is_visible() == (name in found)
    for material, style in styles.items():
        choose(tab, material, style)
    restyle(tab)
    wanted = model.restyle(photo, styles)
    np.testing.assert_array_equal(download(tab, "result", tmp_path / "result.png"), wanted.image)
    np.testing.assert_array_equal(download(tab, "mask", tmp_path / "mask.png"), wanted.mask)
    for width in (400, 1280):
        picture(tab, width, tmp_path / f"{width}.png")
    if SCREENSHOT:
        save_small(Image.open(tmp_path / "1280.png").convert("RGB"), Path(SCREENSHOT))

    before = files_below(served.folder)
    tab.get_by_label("Keep the photo's colours").check()
    tab.get_by_role("button", name="Restyle").click()
    wait_for(lambda: files_below(served.folder) != before and len(files_below(served.folder)) == len(before))
    tab.wait_for_timeout(1000)
    kept = model.restyle(photo, styles, color="keep").image
    np.testing.assert_array_equal(download(tab, "result", tmp_path / "kept.png"), kept)

    assert problems == []
    assert [url for url in requests if not url.startswith((served.address, "data:", "blob:"))] == []
    tab.close()
    wait_for(lambda: files_below(served.folder) == [])
    assert "Traceback" not in served.log.read_text()
