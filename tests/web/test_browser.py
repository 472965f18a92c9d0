"""The whole page in a browser.

The README's picture of it: UNISTYLE_SCREENSHOT=docs/demo.png python -m pytest tests/web/test_browser.py
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
from PIL import Image

from tests.helpers import ROOT
from unistyle import UniStyle
from unistyle.checkpoint.shipped import default_checkpoint
from unistyle.files.samples import sample_photo

pytest.importorskip("gradio", reason="the page needs Gradio: pip install -e '.[demo]'")
pytestmark = pytest.mark.slow

SCREENSHOT = os.environ.get("UNISTYLE_SCREENSHOT")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PATIENCE = 60  # seconds after which something hangs
# Whether all that fades or slides has come to rest; longer are a message's countdown, and what turns without an end.
AT_REST = """() => document.getAnimations().every(
    each => each.playState !== "running" || each.effect.getComputedTiming().activeDuration > 5000)"""


def files_below(folder: Path) -> list[str]:
    """os.walk, because a folder may be removed by the page meanwhile, for which Path.rglob raises."""
    return [f"{place}/{name}" for place, _, names in os.walk(folder) for name in names]


@pytest.fixture
def served(checkpoint, tmp_path):
    """The command, served from a process of its own: its address, its folder for files, its checkpoint."""
    checkpoint = default_checkpoint() if SCREENSHOT else checkpoint
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    command = ["-m", "unistyle", "demo", "--checkpoint", checkpoint, "--device", "cpu", "--port", port]
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


def shown(tab) -> str:
    """The address of the result that the page shows, which comes with the one for downloads."""
    return tab.locator("img[src*='after.webp']").first.get_attribute("src")


def picture(tab, width: int, path: Path) -> None:
    """The whole page at a width of the window, in which nothing is cut off."""
    tab.set_viewport_size({"width": width, "height": 900})
    tab.mouse.move(0, 0)
    tab.wait_for_function(AT_REST)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    tab.screenshot(path=path, full_page=True)


def message(tab, text: str, path: Path) -> None:
    """Wait for a message, and close it, because it covers a part of the page."""
    tab.get_by_text(text).wait_for()
    tab.wait_for_function(AT_REST)
    tab.screenshot(path=path)
    tab.locator(".toast-close").click()
    tab.get_by_text(text).wait_for(state="detached")


def save_small(image: Image.Image, path: Path) -> None:
    """With 256 colours, rare ones among them, for a README."""
    palette = image.quantize(256, method=Image.Quantize.MAXCOVERAGE)
    image.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)


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
    styles = {"metal": "stone", "wood": "metal"} if SCREENSHOT else {max(found, key=found.get): "metal"}
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

    before, first = files_below(served.folder), shown(tab)
    tab.get_by_label("Keep the photo's colours").check()
    tab.get_by_role("button", name="Restyle").click()
    wait_for(lambda: files_below(served.folder) != before and len(files_below(served.folder)) == len(before))
    wait_for(lambda: shown(tab) != first)
    kept = model.restyle(photo, styles, color="keep").image
    np.testing.assert_array_equal(download(tab, "result", tmp_path / "kept.png"), kept)

    assert problems == []
    assert [url for url in requests if not url.startswith((served.address, "data:", "blob:"))] == []
    tab.close()
    wait_for(lambda: files_below(served.folder) == [])
    assert "Traceback" not in served.log.read_text()
