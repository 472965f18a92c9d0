"""The page's rows and buttons, and its server."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from unistyle.errors import UsageError
from unistyle.restyle.pipeline import UniStyle
from unistyle.web.page import OWN, STAYS, Page, gr, separate_uploads, slider, visible

MISSING = "the page needs Gradio: pip install -e '.[demo]'"
MAX_FILE = "50mb"  # of an upload
KEPT = 3600  # seconds after which a file goes where the browser never said that it left
AT_ONCE = dict(queue=False, api_visibility="private")
IN_TURN = dict(concurrency_id="network", concurrency_limit=1, api_visibility="private")
CSS = """
.gradio-container {width: 100%; max-width: 1200px !important; margin: auto}
.legend span {white-space: nowrap}
"""


class _Photo(NamedTuple):
    """The column for the photo."""

    photo: "gr.File"
    found: "gr.Column"
    shown: "gr.Image"
    key: "gr.HTML"


class _Choices(NamedTuple):
    """The column for what becomes what."""

    panel: "gr.Column"
    materials: list["gr.Dropdown"]
    style: "gr.File"
    strength: "gr.Slider"
    structure: "gr.Slider"
    texture_scale: "gr.Slider"
    keep: "gr.Checkbox"
    go: "gr.Button"


class _Results(NamedTuple):
    """The row for the result."""

    row: "gr.Row"
    slider: "gr.ImageSlider"
    files: list["gr.DownloadButton"]


def layout(page: Page) -> "gr.Blocks":
    """The page as Gradio draws it, with all of its files in the page's folder."""
    os.environ["GRADIO_TEMP_DIR"] = str(page.visits.root)  # which components read as they are made
    with gr.Blocks(title="UniStyle", analytics_enabled=False, delete_cache=(KEPT // 6, KEPT)) as blocks:
        gr.Markdown("# UniStyle\nDrop a photo, see which materials are in it, and say what each becomes.")
        with gr.Row():
            photo, choices = _photo(), _choices(page.model)
        results = _results()
        _on_photo(page, photo, choices, results)
        _on_style(page, choices.style)
        _on_restyle(page, choices, results)
        blocks.unload(page.leave)
    return blocks


def _photo() -> _Photo:
    with gr.Column(min_width=300):
        photo = gr.File(label="Photo, up to 50 MB; removed when you leave", height=140)
        with gr.Column(visible=False) as found:
            shown = gr.Image(label="Found in the photo", interactive=False, buttons=["fullscreen"])
            key = gr.HTML(elem_classes="legend")
    return _Photo(photo, found, shown, key)


def _choices(model: UniStyle) -> _Choices:
    with gr.Column(min_width=300, visible=False) as panel:
        return _Choices(
            panel,
            [_choice(model, name, i) for i, name in enumerate(model.materials)],
            gr.File(label="Your own style photo (optional)", height=140),
            slider(0, 1, "Strength"),
            slider(0, 1, "The style's own texture"),
            slider(0.25, 4, "Size of that texture"),
            gr.Checkbox(label="Keep the photo's colours, take the texture alone"),
            gr.Button("Restyle", variant="primary"),
        )


def _choice(model: UniStyle, material: str, i: int) -> "gr.Dropdown":
    choices = [("stays as it is", STAYS), *((s, s) for s in model.styles), ("your own style photo", OWN)]
    return gr.Dropdown(choices, value=STAYS, label=material, filterable=False, elem_id=f"material-{i}")


def _results() -> _Results:
    with gr.Row(visible=False) as row:
        with gr.Column(scale=3, min_width=300):
            slider = gr.ImageSlider(label="Before | after", interactive=False, buttons=["fullscreen"])
        with gr.Column(scale=1, min_width=200):
            files = [gr.DownloadButton(f"Download {what}") for what in ("result", "mask")]
    return _Results(row, slider, files)


def _on_photo(page: Page, photo: _Photo, choices: _Choices, results: _Results) -> None:
    """A photo that is dropped is looked at."""
    file, parts = photo.photo, [photo.found, choices.panel, results.row]
    dropped = gr.on([file.upload, file.clear], lambda: [visible(False)] * 3, None, parts, **AT_ONCE)
    outputs = [file, photo.shown, photo.key, photo.found, choices.panel, *choices.materials]
    looked = dropped.then(page.look, file, outputs, **IN_TURN)
    looked.failure(lambda: None, None, file, **AT_ONCE)  # a file of no use makes room for another


def _on_style(page: Page, style: "gr.File") -> None:
    """A style photo that is dropped is taken."""
    taken = gr.on([style.upload, style.clear], page.take_style, style, style, **IN_TURN)
    taken.failure(lambda: None, None, style, **AT_ONCE)


def _on_restyle(page: Page, choices: _Choices, results: _Results) -> None:
    """The button restyles the photo and shows the result."""
    inputs = [choices.strength, choices.structure, choices.texture_scale, choices.keep, *choices.materials]
    done = choices.go.click(page.restyle, inputs, [results.slider, *results.files], **IN_TURN)
    done.success(lambda: visible(True), None, results.row, scroll_to_output=True, **AT_ONCE)


def dots(colors: Iterable[str]) -> str:
    """CSS that puts the colours of materials before their choices."""
    rule = '#material-{} [data-testid="block-info"]::before {{content: "\\25cf  "; color: {}}}'
    return "\n".join(rule.format(i, color) for i, color in enumerate(colors))


def serve(model: UniStyle, root: Path, host: str = "127.0.0.1", port: int = 7860) -> "gr.Blocks":
    """Start to serve the page, with its files in the folder `root`.

    Raises UsageError where Gradio is not installed or the model has no styles, and OSError for a port that is taken.
    """
    if gr is None:
        raise UsageError(MISSING)
    # Fonts of the visitor's own, where Gradio's are from elsewhere.
    fonts = dict(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
    separate_uploads()
    page = Page(model, root)
    blocks = layout(page).queue(max_size=20)
    private = dict(share=False, run_history=False, footer_links=[], ssr_mode=False, mcp_server=False)
    looks = dict(theme=gr.themes.Default(**fonts), css=CSS + dots(page.colors.values()))
    try:
        blocks.launch(prevent_thread_lock=True, inbrowser=False, quiet=True, server_name=host, server_port=port,
                      max_file_size=MAX_FILE, **private, **looks)  # fmt: skip
    except OSError as error:
        raise OSError(f"cannot serve at {host}:{port}, which may be taken; give another --port") from error
    return blocks
