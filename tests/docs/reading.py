"""What the documents hold: fenced blocks, commands, links, and paths of this repository."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from tests.helpers import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
PATH = re.compile(r"\.?\w[\w.-]*(/[\w.-]+)*/?")
PROGRAMS = ("unistyle", "python", "accelerate", "torchrun")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def command_lines(page: Path) -> Iterator[list[str]]:
    """The words of each command in the blocks without a language, without settings of the environment before it."""
    for language, block in FENCED.findall(page.read_text()):
        if language:
            continue
        for line in block.replace("\\\n", " ").splitlines():
            for part in line.split(" && "):
                words = shlex.split(part, comments=True)
                while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
                    words = words[1:]
                if words and words[0] in PROGRAMS:
                    yield words


def named_paths(page: Path) -> Iterator[Path]:
    """The files and folders that a page links to, or names as a whole `span` that begins like a path of the
    repository."""
    text = page.read_text()
    for target in LINK.findall(text):
        if "://" not in target:
            yield page.parent / target.partition("#")[0]
    begins = {path.name for path in ROOT.iterdir()} - {"runs", "cache"}
    for span in SPAN.findall(FENCED.sub("", text)):
        if PATH.fullmatch(span) and (span.split("/")[0] in begins or span.split("/")[0] == ".ci"):
            yield ROOT / span
    for _, block in FENCED.findall(text):
        yield from (
            ROOT / word for word in re.findall(r"(?<![\w/.-])(?:configs|checkpoints|tests)/[\w./-]+", block)
        )
