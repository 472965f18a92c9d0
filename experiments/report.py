"""The report: means of rows, tables, Markdown with figures beside it, and one HTML page with figures inside."""

import base64
import re
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

from markdown import markdown

from unistyle.evaluation.rows import Row
from unistyle.files.atomic import atomic

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em}"
    "img{max-width:100%}table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:.25em .6em;text-align:left}"
)


def mean(values: Iterable[float]) -> float:
    """Mean of what is a number; not a number where nothing is."""
    known = [x for x in values if x == x]
    return statistics.fmean(known) if known else float("nan")


def median(values: Iterable[float]) -> float:
    """Median of what is a number; not a number where nothing is."""
    known = [x for x in values if x == x]
    return statistics.median(known) if known else float("nan")


def group_mean(rows: Sequence[Row], score: str, **where: str) -> float:
    """Mean of a score over the rows that have all of some values, such as `method="network"`."""
    return mean(r[score] for r in rows if all(r[k] == v for k, v in where.items()))


def table(heads: Sequence[str], rows: Sequence[Sequence[str | float]]) -> str:
    """A Markdown table. Numbers have three digits, and what is not a number is a dash."""
    text = lambda x: x if isinstance(x, str) else "-" if x != x else f"{x:.3f}"  # noqa: E731
    lines = [heads, ["---"] * len(heads), *[[text(x) for x in row] for row in rows]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def figure(path: Path, caption: str, root: Path) -> str:
    """A figure below `root`, in Markdown."""
    return f"![{caption}]({path.relative_to(root).as_posix()})\n\n*{caption}*"


class Figures:
    """Where the figures of the report are written."""

    def __init__(self, root: Path):
        self.root = root

    def path(self, name: str) -> Path:
        """The file of a figure."""
        return self.root / "figures" / f"{name}.png"

    def text(self, name: str, caption: str) -> str:
        """A figure in Markdown."""
        return figure(self.path(name), caption, self.root)


def embedded(html: str, root: Path) -> str:
    """HTML whose PNG and JPEG files, named relative to `root`, are put into the page."""

    def inside(match: re.Match) -> str:
        path = root / match[1]
        kind = "jpeg" if path.suffix == ".jpg" else "png"
        return f'src="data:image/{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"'

    return re.sub(r'src="([^":]+\.(?:png|jpg))"', inside, html)


def write(text: str, title: str, folder: Path, name: str = "report") -> tuple[Path, Path]:
    """Write Markdown to `folder/name.md` and as a page to `folder/name.html`; returns the paths of the page and of the
    Markdown. Figures are named relative to `folder`."""
    page, twin = folder / f"{name}.html", folder / f"{name}.md"
    body = embedded(markdown(text, extensions=["tables"]), folder)
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>'
    with atomic(page) as temporary:
        temporary.write_text(
            f"<!doctype html><html lang=en><head>{head}<style>{STYLE}</style></head><body>{body}</body></html>"
        )
    with atomic(twin) as temporary:
        temporary.write_text(text)
    return page, twin
