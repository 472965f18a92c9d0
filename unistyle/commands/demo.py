"""The page to try a checkpoint on: `unistyle demo`."""

import argparse
import signal
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from unistyle.checkpoint.shipped import default_checkpoint
from unistyle.commands.arguments import argument, number, parser_of, read, run


@dataclass
class Demo:
    """Serve a page on which photos are dropped and restyled. Ctrl-C ends it.

    unistyle demo
    unistyle demo --checkpoint mine.safetensors --port 8000
    """

    checkpoint: str = argument(default_checkpoint(), metavar="PATH")
    """A file, a folder or a hub id."""
    host: str = "127.0.0.1"
    """The address to listen on. 127.0.0.1 answers this machine only; 0.0.0.0 opens the page to every machine that
    reaches this one."""
    port: int = argument(7860, type=number(int, 1, 65535, "a port from 1 to 65535"))
    """The port to listen on."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps."""


def parser() -> argparse.ArgumentParser:
    """The parser of this command."""
    return parser_of("unistyle demo", Demo)


def demo(settings: Demo) -> None:
    """Serve the page until Ctrl-C."""
    from unistyle.restyle.pipeline import UniStyle
    from unistyle.web.layout import serve

    model = UniStyle.from_pretrained(settings.checkpoint, settings.device)
    with tempfile.TemporaryDirectory(prefix="unistyle-demo-", ignore_cleanup_errors=True) as root:
        blocks = serve(model, Path(root), settings.host, settings.port)
        print(f"{blocks.local_url}  (Ctrl-C ends it)", flush=True)
        with suppress(KeyboardInterrupt):  # which is how it ends
            blocks.block_thread()


def main(argv: Sequence[str] | None = None) -> int:
    """0: ended by Ctrl-C; 2: it cannot start, and why; 130: interrupted before the page was served."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the folder is removed then, too
    return run("unistyle demo", lambda: demo(read(parser(), Demo, argv)))
