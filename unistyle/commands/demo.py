"""The page: `unistyle demo`."""

import argparse
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from unistyle.commands.arguments import whole_number
from unistyle.restyle.pipeline import UniStyle
from unistyle.web.layout import serve
from unistyle.web.page import gr

MISSING = "the page needs Gradio: pip install -e '.[demo]'"
CHECKPOINT = Path(__file__).parents[2] / "checkpoints" / "unistyle-materials.safetensors"


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="unistyle-demo", description="A page to restyle photos on.")
    p.add_argument("--checkpoint", default=CHECKPOINT, metavar="PATH", help="a file, a folder or a hub id")
    p.add_argument(
        "--host", default="127.0.0.1", help="0.0.0.0: every machine that reaches this one may visit"
    )
    p.add_argument("--port", type=whole_number(1), default=7860)
    p.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1, mps")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """0: interrupted, as it ends; 2: it cannot start, and why."""
    args = parser().parse_args(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the folder is removed then, too
    try:
        if gr is None:
            raise ValueError(MISSING)
        if args.checkpoint == CHECKPOINT and not CHECKPOINT.is_file():
            raise ValueError(f"{CHECKPOINT} is not there; give --checkpoint: a file, a folder or a hub id")
        model = UniStyle.from_pretrained(args.checkpoint, args.device)
        with tempfile.TemporaryDirectory(prefix="unistyle-demo-", ignore_cleanup_errors=True) as root:
            blocks = serve(model, Path(root), args.host, args.port)
            print(f"{blocks.local_url}  (Ctrl-C ends it)", flush=True)
            blocks.block_thread()
    except (ValueError, OSError) as error:
        print(f"unistyle-demo: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:  # before the page was served
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
