"""The page's rows and buttons, and its server."""

import os
from collections.abc import Iterable
from pathlib import Path

from unistyle.restyle.pipeline import UniStyle
from unistyle.web.page import OWN, STAYS, Page, gr, visible

MAX_FILE = "50mb"  # of an upload


KEPT = 3600  # seconds after which a file goes where the browser never said that it left


CSS = """
.gradio-container {width: 100%; max-width: 1200px !important; margin: auto}
.legend span {white-space: nowrap}
"""


def dots(colors: Iterable[str]) -> str:
    """CSS that puts the colours of materials before their choices."""
    rule = '#material-{} [data-testid="block-info"]::before {{content: "\\25cf  "; color: {}}}'
    return "\n".join(rule.format(i, color) for i, color in enumerate(colors))


def layout(page: Page) -> "gr.Blocks":
    """The page as Gradio draws it, with all of its files in the page's folder."""
    os.environ["GRADIO_TEMP_DIR"] = str(page.visits.root)  # which components read as they are made
    with gr.Blocks(title="UniStyle", analytics_enabled=False, delete_cache=(KEPT // 6, KEPT)) as blocks:
        gr.Markdown("# UniStyle\nDrop a photo, see which materials are in it, and say what each becomes.")
        with gr.Row():
            with gr.Column(min_width=300):
                photo = gr.File(label="Photo, up to 50 MB; removed when you leave", height=140)
                with gr.Column(visible=False) as found:
                    shown = gr.Image(label="Found in the photo", interactive=False, buttons=["fullscreen"])
                    key = gr.HTML(elem_classes="legend")
            with gr.Column(min_width=300, visible=False) as panel:
                choices = [_choice(page.model, name, i) for i, name in enumerate(page.model.materials)]
                style = gr.File(label="Your own style photo (optional)", height=140)
                strength = gr.Slider(0, 1, 1, step=0.05, label="Strength")
                keep = gr.Checkbox(label="Keep the photo's colours, take the texture alone")
                go = gr.Button("Restyle", variant="primary")
        with gr.Row(visible=False) as results:
            with gr.Column(scale=3, min_width=300):
                slider = gr.ImageSlider(label="Before | after", interactive=False, buttons=["fullscreen"])
            with gr.Column(scale=1, min_width=200):
                files = [gr.DownloadButton(f"Download {what}") for what in ("result", "mask")]
        at_once = dict(queue=False, api_visibility="private")
        in_turn = dict(concurrency_id="network", concurrency_limit=1, api_visibility="private")
        dropped = gr.on([photo.upload, photo.clear], lambda: [visible(False)] * 3, None, [found, panel, results],
                        **at_once)  # fmt: skip
        looked = dropped.then(page.look, photo, [photo, shown, key, found, panel, *choices], **in_turn)
        taken = gr.on([style.upload, style.clear], page.take_style, style, style, **in_turn)
        for tried, file in ((looked, photo), (taken, style)):  # a file of no use makes room for another
            tried.failure(lambda: None, None, file, **at_once)
        done = go.click(page.restyle, [strength, keep, *choices], [slider, *files], **in_turn)
        done.success(lambda: visible(True), None, results, scroll_to_output=True, **at_once)
        blocks.unload(page.leave)
    return blocks


def _choice(model: UniStyle, material: str, i: int) -> "gr.Dropdown":
    choices = [("stays as it is", STAYS), *((s, s) for s in model.styles), ("your own style photo", OWN)]
    return gr.Dropdown(choices, value=STAYS, label=material, filterable=False, elem_id=f"material-{i}")


def serve(model: UniStyle, root: Path, host: str = "127.0.0.1", port: int = 7860) -> "gr.Blocks":
    """Start to serve the page, with its files in a folder. Raises OSError for a port that is taken."""
    # Fonts of the visitor's own, where Gradio's are from elsewhere.
    fonts = dict(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
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
