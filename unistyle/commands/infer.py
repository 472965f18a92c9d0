"""Photos and videos -> restyled ones and masks: `unistyle infer`."""

import argparse
import io
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, redirect_stderr
from dataclasses import dataclass
from typing import NamedTuple

import torch
from accelerate import PartialState

from unistyle import __version__
from unistyle.batch.jobs import Job, Options, Search, collect
from unistyle.batch.manifest import Manifest, styles_by_place
from unistyle.batch.processes import agree, broadcast, connect, disconnect, gather
from unistyle.batch.resume import to_do
from unistyle.batch.runner import Runner
from unistyle.batch.workers import on_interrupt
from unistyle.checkpoint.shipped import default_checkpoint
from unistyle.commands.arguments import argument, number, parser_of, read, run, whole_number
from unistyle.commands.finding import find_all
from unistyle.devices import PRECISIONS, pick_device
from unistyle.errors import OutputError, ProcessLostError, UsageError
from unistyle.files.places import place, remove_leftovers
from unistyle.files.samples import sample_photos
from unistyle.files.writing import FORMATS
from unistyle.restyle.cpu import keep_freed_memory
from unistyle.restyle.options import COLORS, MAX_SIZE, TEXTURE_SCALE
from unistyle.restyle.pipeline import UniStyle
from unistyle.restyle.plan import REST, Plan
from unistyle.video.memory import SMOOTHING
from unistyle.video.runner import Videos

BATCH = 8  # photos of equal size in one pass on an accelerator; a CPU is as fast with one on each core


def _pair(text: str) -> tuple[str, str]:
    material, _, style = text.partition("=")
    if not (material and style):
        raise argparse.ArgumentTypeError(f"got {text!r}; wanted MATERIAL=STYLE, such as leather=stone")
    return material, style


def _max_size(text: str) -> int | None:
    return None if text == "none" else whole_number(64)(text)


_strength = number(float, 0, 1, "a number from 0 (leaves the photo) to 1 (the full style)")
_texture_scale = number(float, 1 / TEXTURE_SCALE, TEXTURE_SCALE, "a number from 1/8 to 8, 1 as it comes")
_smoothing = number(float, 0, 1 - 1e-9, "a number from 0 (each frame by itself) to below 1")


@dataclass
class Infer:
    """Restyle the materials of photos and videos. Writes OUT/PATH/STEM.png for each photo, and OUT/manifest.jsonl with
    one line for each. The same command goes on where a run was interrupted.

    unistyle infer --samples --to stone --out out
    unistyle infer photos/ --from leather --to wood --save-mask --out out
    unistyle infer room.jpg --map leather=stone --map glass=metal --out out
    unistyle infer photos/ --find-only --out out
    unistyle infer photos/ --to stone:0.7,wood:0.3 --strength 0.8 --out out
    """

    out: str = argument(metavar="DIR")
    """The folder for the results and manifest.jsonl; also an address such as s3://bucket/results."""
    inputs: list[str] = argument([], positional=True, nargs="*", metavar="INPUT")
    """Image and video files, or folders, which are searched recursively; also addresses such as s3://bucket/photos."""
    samples: bool = False
    """In place of INPUT: four photos that come with scikit-image."""
    to: str | None = argument(None, metavar="STYLE")
    """What it becomes: a name in the checkpoint's bank (unistyle bank list), the path of a style photo, or a mix of
    these by weight, such as stone:0.7,wood:0.3."""
    from_: str | None = argument(None, metavar="MATERIAL")
    """Restyle only this material, wherever it is. Without it, all materials of the main object."""
    map: list[tuple[str, str]] = argument([], action="append", metavar="A=B", type=_pair)
    """Material A becomes style B, which is given as in --to, wherever A is. Can be repeated; --to is then for all other
    materials of the main object."""
    everywhere: bool = False
    """--to without --from also takes the materials around the main object."""
    find_only: bool = False
    """Restyle nothing: write what each photo is made of as STEM.materials.png, an indexed picture, and what its values
    mean as legend.txt."""
    strength: float = argument(1.0, type=_strength, metavar="X")
    """0 leaves the photo, 1 is the full style."""
    color: str = argument("style", choices=COLORS)
    """keep: the photo's own colours, with the texture of the style alone."""
    structure: float | None = argument(None, type=number(float, 0, 1, "a number from 0 to 1"), metavar="X")
    """How much of the style's planks, weave or grain is laid over the photo. By default the style says."""
    texture_scale: float = argument(1.0, type=_texture_scale, metavar="X")
    """How large this texture is: 1 as it comes, 2 twice as large."""
    mask: str | None = argument(None, metavar="PATH")
    """A mask, or a folder of masks with the photos' stems, in place of what is found. White is restyled. Without it,
    masks STEM.mask.png beside the photos are theirs."""
    save_mask: bool = False
    """Also write each mask as STEM.mask.png (of videos STEM.mask.mp4)."""
    checkpoint: str = argument(default_checkpoint(), metavar="PATH")
    """A file, a folder or a hub id."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps."""
    precision: str = argument("fp32", choices=tuple(PRECISIONS))
    """Precision of the convolutions."""
    batch_size: int | None = argument(None, type=whole_number(1), metavar="N")
    """Photos of equal size in one pass at most. Without it, 1 on a CPU and 8 elsewhere."""
    max_size: int | None = argument(MAX_SIZE, type=_max_size, metavar="PIXELS")
    """Short side, in pixels, at which the network works, or none for no limit. Results keep the photo's size."""
    format: str = argument("png", choices=tuple(FORMATS))
    """File format of the results. jpg is not exact outside the mask."""
    smoothing: float = argument(SMOOTHING, type=_smoothing, metavar="X")
    """For videos: how much of a mask and its statistics stays from frame to frame. 0 takes each frame by itself."""
    overwrite: bool = False
    """Replace results that exist. Without it, they are skipped."""


def parser() -> argparse.ArgumentParser:
    """The parser of this command."""
    p = parser_of("unistyle infer", Infer)
    p.add_argument("--version", action="version", version=__version__, help="Print the version and end.")
    return p


def wanted_styles(given: Infer) -> dict[str, str]:
    """Material -> style, from --to, --from and --map together; the key "*" is every other material."""
    pairs = list(given.map)
    if given.from_ and not given.to:
        raise UsageError(f"--from {given.from_} says what, not what it becomes; give --to STYLE as well")
    if given.to:
        pairs.append((given.from_ or REST, given.to))
    if not pairs:
        raise UsageError("nothing says what becomes what; give --to STYLE, or --map MATERIAL=STYLE")
    styles = dict(pairs)
    if len(styles) < len(pairs):
        twice = next(key for key, _ in pairs if sum(key == other for other, _ in pairs) > 1)
        raise UsageError(f"material {twice!r} is given two styles; give one")
    if given.everywhere and (given.mask or REST not in styles):
        raise UsageError(
            "--everywhere says how far --to goes by itself; leave it out beside --from, --map alone or --mask"
        )
    if given.mask and len(styles) > 1:
        raise UsageError(f"--mask is one region for one style; got {len(styles)} ({', '.join(styles)})")
    return styles


class Prepared(NamedTuple):
    """What stands before any photo is touched. found: the main process knows it."""

    found: Search | None
    device: torch.device
    model: UniStyle
    plan: Plan


def prepare(given: Infer, styles: dict[str, str], main: bool) -> Prepared:
    """The jobs, the model and the plan. Raises what a user has to put right."""
    inputs = sample_photos() if given.samples else given.inputs
    beside = len(styles) == 1 and not given.everywhere  # a mask is one region for one style
    found = collect(inputs, given.out, given.mask, given.save_mask, given.format, beside) if main else None
    device = pick_device(given.device)
    if device.type == "cpu":
        keep_freed_memory()
    model = UniStyle.from_pretrained(given.checkpoint, device, given.precision)
    return Prepared(found, device, model, model.plan(styles, given.everywhere))


def infer(given: Infer) -> int:
    """The command; returns the exit code. Raises what ends with exit code 2 before any photo is touched."""
    if given.samples == bool(given.inputs):
        raise UsageError("give INPUT or --samples" + (", not both" if given.samples else ""))
    if given.find_only:
        return _find_only(given)
    styles = wanted_styles(given)
    state = connect(given.device)
    main = state.is_main_process
    found, device, model, plan = agree(lambda: prepare(given, styles, main))
    if main:
        _say_how(given, device, state)
    batch = given.batch_size or (1 if device.type == "cpu" else BATCH)
    look: dict = dict(strength=given.strength, color=given.color, max_size=given.max_size, structure=given.structure,
                texture_scale=given.texture_scale)  # fmt: skip
    options = Options(**look, format=given.format, masked=bool(given.mask), save_mask=given.save_mask,
                      overwrite=given.overwrite, batch_size=batch)  # fmt: skip
    settings = look | dict(styles=styles_by_place(styles), masked=bool(given.mask), precision=given.precision,
                           weights=model.fingerprint(plan), everywhere=given.everywhere)  # fmt: skip
    manifest = Manifest(place(given.out), state.process_index)
    of_videos = settings | dict(smoothing=given.smoothing)
    left, finished = agree(lambda: to_do(manifest, found, options, of_videos) if found else ([], 0))
    if found:
        remove_leftovers(manifest.out)
        for remark in _remarks(found, left, bool(given.mask)):
            print(remark)
        for problem in found.problems:
            print(f"failed: {problem}", file=sys.stderr)
    runner = Runner(model, plan, options, manifest, settings)
    videos = Videos(model, plan, options, manifest, of_videos, given.smoothing, runner.counts)
    return work(runner, videos, broadcast(left), finished, found, state)


def _find_only(given: Infer) -> int:
    if given.to or given.map or given.from_ or given.mask or given.everywhere:
        raise UsageError(
            "--find-only restyles nothing; leave --to, --from, --map, --everywhere and --mask out"
        )
    model = UniStyle.from_pretrained(given.checkpoint, given.device, given.precision)
    return find_all(model, sample_photos() if given.samples else given.inputs, given.out, given.overwrite)


def _remarks(found: Search, left: list[Job], given: bool) -> Iterator[str]:
    """What a run does of which nobody has told it. given: masks are."""
    if masks := 0 if given else sum(job.mask is not None for job in found.jobs):
        yield f"{masks} masks beside their photos say what is restyled (white)"
    if found.left_alone:
        yield f"{found.left_alone} masks beside photos are left alone: a mask is one region for one style"
    if anew := sum(job.anew for job in left):
        yield f"{anew} results are made anew: their photo or mask has changed since, or they failed the last time"


def _say_how(given: Infer, device: torch.device, state: PartialState) -> None:
    processes = f", {state.num_processes} processes" if state.num_processes > 1 else ""
    kind = "cpu" if device.type == "cpu" else device  # which Accelerate numbers, as if there were several
    print(f"device {kind}, precision {given.precision}{processes}, checkpoint {given.checkpoint}", flush=True)
    if given.format == "jpg":
        print("jpg is not exact: what is outside the masks changes a little too; png and webp keep it")


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
        counts = gather((runner.counts.written, runner.counts.failed, runner.counts.unchanged))
        if found:
            runner.manifest.finish(unsearched)
    except (KeyboardInterrupt, OutputError, ProcessLostError, OSError) as stop:
        return _stopped(stop, runner)
    written, failed, unchanged = (sum(each) for each in zip(*counts, strict=True))
    failed += len(unsearched)
    if found:
        print(f"{written} written, {finished} skipped, {failed} failed, {found.others} other files passed by; "
              f"results in {runner.manifest.out}")  # fmt: skip
        if unchanged:
            print(f"{unchanged} of them stay as they were: no material was found on the main object "
                  "(--everywhere also takes what is around it)")  # fmt: skip
    # Together, because a launcher ends the others as soon as one has ended with another code than 0.
    code = max(gather(int(failed > 0)))
    disconnect()
    return code


def _stopped(stop: BaseException, runner: Runner) -> int:
    """Say why a run ends early and how to go on; returns the exit code."""
    interrupted = isinstance(stop, KeyboardInterrupt)
    if interrupted:
        on_interrupt(signal.SIG_IGN)  # it is ending, and a launcher may send the same signal once more
    ahead = "--overwrite starts anew" if runner.options.overwrite else "the same command goes on from here"
    print(f"stopped: {'interrupted' if interrupted else stop}. {runner.counts}; {ahead}", file=sys.stderr)
    return 130 if interrupted else 1


def main(argv: Sequence[str] | None = None) -> int:
    """0: all done; 1: some photos failed, each named with its reason; 2: bad usage; 130: interrupted."""
    on_interrupt(signal.default_int_handler)
    # The first of several processes speaks for all. A rank that is no number is refused by `connect`.
    first = os.environ.get("RANK", "").strip() in ("", "0") or not os.environ["RANK"].strip().isdecimal()
    quiet = nullcontext() if first else redirect_stderr(io.StringIO())
    given = None

    def start() -> None:
        nonlocal given
        given = read(parser(), Infer, argv)

    with quiet:
        code = run("unistyle infer", start)
    if given is None:
        return code
    wanted = given
    return run("unistyle infer", lambda: _infer(wanted, first))


def _infer(given: Infer, first: bool) -> int:
    try:
        return infer(given)
    except KeyboardInterrupt:
        print("stopped: interrupted before the first photo", file=sys.stderr)
        return 130
    except (ValueError, OSError):
        if first:
            raise
        return 2  # the first process says why
