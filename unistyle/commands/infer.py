"""Photos -> restyled photos and masks.

python infer.py photos/ --to stone --out out
python infer.py --samples --to stone --out out
python infer.py photos/ --to stone:0.7,wood:0.3 --out out
"""

import argparse
import io
import os
import signal
import sys
import threading
from contextlib import nullcontext, redirect_stderr
from pathlib import Path

from accelerate import PartialState

from unistyle import UniStyle, __version__
from unistyle.batch.jobs import Job, Options, Search, collect
from unistyle.batch.manifest import Manifest
from unistyle.batch.processes import agree, broadcast, connect, disconnect, gather
from unistyle.batch.resume import to_do
from unistyle.batch.runner import Runner
from unistyle.commands.arguments import whole_number
from unistyle.devices import PRECISIONS, pick_device
from unistyle.errors import OutputError, ProcessLostError, UsageError
from unistyle.files.places import place, remove_leftovers
from unistyle.files.samples import sample_photos
from unistyle.files.writing import FORMATS
from unistyle.restyle.cpu import keep_freed_memory
from unistyle.restyle.pipeline import COLORS, MAX_SIZE
from unistyle.restyle.plan import REST
from unistyle.video.memory import SMOOTHING
from unistyle.video.runner import Videos

CHECKPOINT = Path(__file__).parents[2] / "checkpoints" / "unistyle-materials.safetensors"
BATCH = 8  # photos of equal size a pass on an accelerator; a CPU is as fast with one on each core


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="infer.py", description="Restyle the materials of photos.")
    p.add_argument(
        "inputs",
        nargs="*",
        metavar="INPUT",
        help="image and video files, or folders (searched recursively); also addresses such as s3://bucket/photos",
    )
    p.add_argument(
        "--samples", action="store_true", help="in place of INPUT: four photos that ship with scikit-image"
    )
    p.add_argument(
        "--to",
        metavar="STYLE",
        help="a name in the checkpoint's bank (python -m unistyle.bank list), or the path of a style photo; or a "
        "mix of these by weight, such as stone:0.7,wood:0.3",
    )
    p.add_argument(
        "--from", dest="material", metavar="MATERIAL", help="restyle only this material; default: all"
    )
    p.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="A=B",
        type=_pair,
        help="material A becomes style B, which is as in --to; repeat it; --to is then for the other materials",
    )
    p.add_argument("--out", required=True, metavar="DIR", help="the folder for results and manifest.jsonl")
    p.add_argument(
        "--strength", type=_strength, default=1.0, metavar="X", help="0 leaves the photo, 1: the full style"
    )
    p.add_argument(
        "--color", choices=COLORS, default="style", help="keep: the photo's colours, the texture alone"
    )
    p.add_argument(
        "--mask", metavar="PATH", help="a mask, or a folder of masks with the photos' stems; white = restyle"
    )
    p.add_argument(
        "--save-mask", action="store_true", help="also write <stem>.mask.png (of videos .mask.mp4)"
    )
    p.add_argument("--checkpoint", default=CHECKPOINT, metavar="PATH", help="a file, a folder or a hub id")
    p.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1, mps")
    p.add_argument("--precision", choices=PRECISIONS, default="fp32", help="of the convolutions")
    p.add_argument(
        "--batch-size",
        type=whole_number(1),
        metavar="N",
        help=f"photos of equal size in one pass at most (1 on a CPU, {BATCH} elsewhere)",
    )
    p.add_argument(
        "--compile", action="store_true", help="torch.compile: a minute for each size of photo at first"
    )
    p.add_argument(
        "--max-size",
        type=lambda text: None if text == "none" else whole_number(64)(text),
        default=MAX_SIZE,
        metavar="PIXELS",
        help=f"longer side at which the network works at most ({MAX_SIZE}), or none; results keep their size",
    )
    p.add_argument(
        "--format", choices=FORMATS, default="png", help="of the results; jpg is not exact (default: png)"
    )
    p.add_argument(
        "--smoothing",
        type=_smoothing,
        default=SMOOTHING,
        metavar="X",
        help="of videos: how much of a mask and its statistics stays from frame to frame; 0 is each frame by itself "
        f"(default: {SMOOTHING})",
    )
    p.add_argument(
        "--overwrite", action="store_true", help="replace results that exist, which are skipped otherwise"
    )
    p.add_argument("--version", action="version", version=__version__)
    return p


def _pair(text: str) -> tuple[str, str]:
    material, _, style = text.partition("=")
    if not (material and style):
        raise argparse.ArgumentTypeError(f"got {text!r}; wanted MATERIAL=STYLE, such as leather=stone")
    return material, style


def _strength(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 <= value <= 1:
        message = f"got {text!r}; wanted a number from 0 (leaves the photo) to 1 (the full style)"
        raise argparse.ArgumentTypeError(message)
    return value


def _smoothing(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 <= value < 1:
        message = f"got {text!r}; wanted a number from 0 (each frame by itself) to below 1"
        raise argparse.ArgumentTypeError(message)
    return value


def wanted_styles(args: argparse.Namespace) -> dict[str, str]:
    """Material -> style, from --to, --from and --map together; the key "*" is every other material."""
    pairs = list(args.map)
    if args.material and not args.to:
        raise UsageError(f"--from {args.material} says what, not what it becomes; give --to STYLE as well")
    if args.to:
        pairs.append((args.material or REST, args.to))
    if not pairs:
        raise UsageError("nothing says what becomes what; give --to STYLE, or --map MATERIAL=STYLE")
    styles = dict(pairs)
    if len(styles) < len(pairs):
        twice = next(key for key, _ in pairs if sum(key == other for other, _ in pairs) > 1)
        raise UsageError(f"material {twice!r} is given two styles; give one")
    if args.mask and len(styles) > 1:
        raise UsageError(f"--mask is one region for one style; got {len(styles)} ({', '.join(styles)})")
    return styles


def infer(args: argparse.Namespace) -> int:
    """The command; returns the exit code. Raises what `main` turns into exit code 2 before any photo is touched."""
    if args.samples == bool(args.inputs):
        raise UsageError("give INPUT or --samples" + (", not both" if args.samples else ""))
    styles = wanted_styles(args)
    state = connect(args.device)
    main = state.is_main_process
    say = print if main else lambda *_, **__: None
    inputs = sample_photos() if args.samples else args.inputs
    found = agree(lambda: collect(inputs, args.out, args.mask, args.save_mask, args.format) if main else None)
    device = agree(lambda: pick_device(args.device))
    if device.type == "cpu":
        keep_freed_memory()
    processes = f", {state.num_processes} processes" if state.num_processes > 1 else ""
    kind = "cpu" if device.type == "cpu" else device  # which Accelerate numbers, as if there were several
    say(f"device {kind}, precision {args.precision}{processes}, checkpoint {args.checkpoint}", flush=True)
    if args.format == "jpg":
        say("jpg is not exact: what is outside the masks changes a little too; png and webp keep it")
    model = agree(lambda: UniStyle.from_pretrained(args.checkpoint, device, args.precision))
    plan = agree(lambda: model.plan(styles))
    if args.compile:
        say("compiling: the first photo of each size takes about a minute")
        model.compile()
    options = Options(args.strength, args.color, args.max_size, args.format, bool(args.mask), args.save_mask,
                      args.overwrite, args.batch_size or (1 if device.type == "cpu" else BATCH))  # fmt: skip
    settings = dict(styles=styles, strength=args.strength, color=args.color, mask=args.mask,
                    max_size=args.max_size, precision=args.precision, compiled=args.compile,
                    weights=model.fingerprint(plan))  # fmt: skip
    out = place(args.out)
    manifest = Manifest(out, state.process_index)
    of_videos = settings | dict(smoothing=args.smoothing)
    left, finished = agree(lambda: to_do(manifest, found, options, of_videos) if main else ([], 0))
    if main:
        remove_leftovers(out)
        for problem in found.problems:
            print(f"failed: {problem}", file=sys.stderr)
    runner = Runner(model, plan, options, manifest, settings)
    videos = Videos(model, plan, options, manifest, of_videos, args.smoothing, runner.counts)
    return work(runner, videos, broadcast(left), finished, found, state)


def work(
    runner: Runner, videos: Videos, left: list[Job], finished: int, found: Search | None, state: PartialState
) -> int:
    """This process's part of the jobs; the exit code of all. found: the main process knows it."""
    mine = left[state.process_index :: state.num_processes]
    unsearched = found.problems if found else []
    try:
        photos, clips = ([job for job in mine if job.is_video == wanted] for wanted in (False, True))
        if photos or not clips:
            runner.run(photos, f"process {state.process_index}" if state.num_processes > 1 else "photos")
        videos.run(clips)
        counts = gather((runner.counts.written, runner.counts.failed))
        if state.is_main_process:
            finish(runner.manifest, unsearched)
    except (KeyboardInterrupt, OutputError, ProcessLostError, OSError) as stop:
        if interrupted := isinstance(stop, KeyboardInterrupt):
            on_interrupt(signal.SIG_IGN)  # it is ending, and a launcher may send the same signal once more
        ahead = (
            "--overwrite starts anew" if runner.options.overwrite else "the same command goes on from here"
        )
        print(f"stopped: {'interrupted' if interrupted else stop}. {runner.counts}; {ahead}", file=sys.stderr)
        return 130 if interrupted else 1
    written, failed = (sum(each) for each in zip(*counts, strict=True))
    failed += len(unsearched)
    if state.is_main_process:
        print(f"{written} written, {finished} skipped, {failed} failed, {found.others} other files passed by; "
              f"results in {runner.manifest.out}")  # fmt: skip
    # Together, because a launcher ends the others as soon as one has ended with another code than 0.
    code = max(gather(int(failed > 0)))
    disconnect()
    return code


def finish(manifest: Manifest, problems: list[str]) -> None:
    """Bring the records of all processes together, with those of the folders that could not be searched."""
    for problem in problems:
        folder = problem.partition(": cannot")[0]
        manifest.add(dict(input=folder, output=None, status="failed", reason=problem))
    manifest.close()
    manifest.merge()


def on_interrupt(handler) -> None:
    """What Ctrl-C does, and SIGTERM, a scheduler's word for it. Other threads than the main one cannot say."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, handler)
        signal.signal(signal.SIGTERM, handler)


def main(argv: list[str] | None = None) -> int:
    """0: all done; 1: some photos failed, each named with its reason; 2: bad usage; 130: interrupted."""
    on_interrupt(signal.default_int_handler)
    first = int(os.environ.get("RANK", 0)) == 0  # of several processes, and speaks for all
    try:
        with nullcontext() if first else redirect_stderr(io.StringIO()):
            args = parser().parse_args(argv)
        return infer(args)
    except SystemExit as stop:  # argparse, which has said why
        return stop.code
    except KeyboardInterrupt:
        print("stopped: interrupted before the first photo", file=sys.stderr)
        return 130
    except ProcessLostError as error:
        print(f"stopped: {error}", file=sys.stderr)
        return 1
    # Unusable arguments, checkpoints, style photos and devices are all ValueErrors; an OSError is the output folder.
    except (ValueError, OSError) as error:
        if first:
            print(f"infer.py: error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
