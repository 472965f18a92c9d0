"""Photos -> restyled photos and masks.

python infer.py photos/ --to stone --out out
python infer.py --samples --to stone --out out
"""

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import skimage
from accelerate import PartialState
from PIL import Image
from tqdm import tqdm

from unistyle import UniStyle, __version__
from unistyle.devices import PRECISIONS, pick_device
from unistyle.images import ImageError, Photo, read_mask, read_photo, save_png
from unistyle.jobs import Job, Manifest, UsageError, collect
from unistyle.pipeline import COLORS, MAX_SIZE, REST, Plan, Result

CHECKPOINT = Path(__file__).parent / "checkpoints" / "unistyle-materials.safetensors"
# Photos that scikit-image ships inside its wheel: CC0 (cat, coffee) or in the public domain (NASA).
SAMPLES = ("chelsea.png", "coffee.png", "rocket.jpg", "astronaut.png")


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="infer.py", description="Restyle the materials of photos.")
    p.add_argument(
        "inputs", nargs="*", metavar="INPUT", help="image files, or folders (searched recursively)"
    )
    p.add_argument(
        "--samples", action="store_true", help="in place of INPUT: four photos that ship with scikit-image"
    )
    p.add_argument(
        "--to", metavar="STYLE", help="a name in the checkpoint's bank, or the path of a style photo"
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
        help="material A becomes style B; repeat it; --to is then for the other materials",
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
    p.add_argument("--save-mask", action="store_true", help="also write <stem>.mask.png")
    p.add_argument("--checkpoint", default=CHECKPOINT, metavar="PATH", help="a file, a folder or a hub id")
    p.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1, mps")
    p.add_argument("--precision", choices=PRECISIONS, default="fp32", help="of the convolutions")
    p.add_argument(
        "--batch-size", type=_count(1), default=1, metavar="N", help="photos of equal size at a time"
    )
    p.add_argument(
        "--max-size",
        type=_count(64),
        default=MAX_SIZE,
        metavar="PIXELS",
        help=f"longer side at which the network works at most ({MAX_SIZE}); results keep their size",
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


def _count(low: int):
    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < low:
            raise argparse.ArgumentTypeError(f"got {text!r}; wanted a whole number from {low} up")
        return int(text)

    return parse


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


def sample_photos() -> list[Path]:
    paths = [Path(skimage.__file__).parent / "data" / name for name in SAMPLES]
    present = [path for path in paths if path.is_file()]
    if not present:
        raise UsageError("this version of scikit-image ships none of the sample photos; give INPUT instead")
    return present


@dataclass
class Item:
    """A photo being worked on."""

    job: Job
    photo: Photo
    mask: Image.Image | None
    seconds: float


class Run:
    """The loop over the photos: reads, batches by size, restyles, writes, records."""

    def __init__(self, model: UniStyle, plan: Plan, args: argparse.Namespace, manifest: Manifest, old: dict):
        self.model, self.plan, self.args, self.manifest, self.old = model, plan, args, manifest, old
        self.progress = None
        self.counts = dict.fromkeys(("written", "skipped", "failed"), 0)

    def run(self, jobs: list[Job]) -> None:
        with tqdm(total=len(jobs), unit="photo", disable=None) as self.progress:
            for batch in self._batches(jobs):
                self._restyle(batch)

    def _batches(self, jobs: list[Job]) -> Iterator[list[Item]]:
        """Photos of equal size together, at most `--batch-size`; no more than a few batches wait in memory."""
        size, waiting = self.args.batch_size, {}
        for item in filter(None, map(self._load, jobs)):
            batch = waiting.setdefault(item.photo.size, [])
            batch.append(item)
            if len(batch) == size or sum(map(len, waiting.values())) > 4 * size:
                largest = max(waiting, key=lambda key: len(waiting[key]))
                yield waiting.pop(largest)
        yield from waiting.values()

    def _load(self, job: Job) -> Item | None:
        start = time.perf_counter()
        if not self._missing(job):
            self._record(job, "skipped", reason="the result exists; --overwrite replaces it")
            return None
        try:
            if self.args.mask and not job.mask:
                raise ImageError(f"{job.source}: no mask {job.source.stem}.* in {self.args.mask}")
            mask = read_mask(job.mask) if job.mask else None
            return Item(job, read_photo(job.source), mask, time.perf_counter() - start)
        except ImageError as error:
            self._record(job, "failed", reason=str(error), seconds=time.perf_counter() - start)
            return None

    def _restyle(self, batch: list[Item]) -> None:
        start = time.perf_counter()
        options = {name: getattr(self.args, name) for name in ("strength", "color", "max_size")}
        masks = [item.mask for item in batch] if self.args.mask else None
        try:
            results = self.model.restyle_batch([item.photo for item in batch], self.plan, masks, **options)
        except (ValueError, RuntimeError, MemoryError) as error:
            self._after(batch, error)
            return
        each = (time.perf_counter() - start) / len(batch)
        for item, result in zip(batch, results, strict=True):
            self._write(item, result, each)

    def _after(self, batch: list[Item], error: Exception) -> None:
        """One bad photo, or too little memory for all, does not take the others with it."""
        if len(batch) > 1:
            for item in batch:
                self._restyle([item])
        else:
            reason = f"{type(error).__name__}: {error}" if not isinstance(error, ImageError) else str(error)
            self._record(batch[0].job, "failed", reason=reason, seconds=batch[0].seconds)

    def _write(self, item: Item, result: Result, each: float) -> None:
        start, images = (
            time.perf_counter(),
            {item.job.output: result.image, item.job.mask_output: result.mask},
        )
        try:
            for path in self._missing(item.job):
                save_png(images[path], path)
        except OSError as error:
            self._record(item.job, "failed", reason=f"cannot write: {error}", seconds=item.seconds + each)
            return
        found = {name: round(share, 4) for name, share in result.materials.items()}
        seconds = item.seconds + each + time.perf_counter() - start
        self._record(item.job, "written", materials=found, styles=result.styles, seconds=seconds)

    def _missing(self, job: Job) -> list[Path]:
        """Files of a job that are still to be written."""
        wanted = [job.output, job.mask_output] if self.args.save_mask else [job.output]
        return [path for path in wanted if self.args.overwrite or not path.exists()]

    def _record(self, job: Job, status: str, reason: str | None = None, seconds: float = 0.0, **more) -> None:
        self.counts[status] += 1
        self.progress.update()
        if status == "failed":
            tqdm.write(f"failed: {job.source}: {reason}", file=sys.stderr)
        # What an earlier run found out about a result that is skipped still holds.
        found = self.old.get(str(job.output), {}) if status == "skipped" else {}
        found = {"materials": found.get("materials", {}), "styles": found.get("styles", {}), **more}
        record = dict(input=str(job.source), output=str(job.output), status=status, reason=reason, **found)
        self.manifest.add(**record, seconds=round(seconds, 3))


def infer(args: argparse.Namespace) -> int:
    """The command; returns the exit code. Raises what `main` turns into exit code 2 before any photo is touched."""
    if args.samples == bool(args.inputs):
        raise UsageError("give INPUT or --samples" + (", not both" if args.samples else ""))
    styles = wanted_styles(args)
    jobs, others = collect(
        sample_photos() if args.samples else args.inputs, args.out, args.mask, args.save_mask
    )
    state = PartialState(cpu=args.device == "cpu")
    say = print if state.is_main_process else lambda *_: None
    device = pick_device(args.device)
    say(f"device {device}, precision {args.precision}, checkpoint {args.checkpoint}")
    model = UniStyle.from_pretrained(args.checkpoint, device, args.precision)
    plan, manifest = model.plan(styles), Manifest(args.out)
    old = manifest.read()
    state.wait_for_everyone()
    if state.is_main_process:
        manifest.restart(jobs)
    state.wait_for_everyone()
    run = Run(model, plan, args, manifest, old)
    run.run(jobs[state.process_index :: state.num_processes])
    counts = ", ".join(f"{count} {status}" for status, count in run.counts.items())
    print(f"{counts}, {others} other files passed by; results in {args.out}")
    return 1 if run.counts["failed"] else 0


def main(argv: list[str] | None = None) -> int:
    """0: all done; 1: some photos failed, each named with its reason; 2: bad usage."""
    try:
        return infer(parser().parse_args(argv))
    except SystemExit as stop:  # argparse, which has said why
        return stop.code
    # Unusable arguments, checkpoints, style photos and devices are all ValueErrors; an OSError is the output folder.
    except (ValueError, OSError) as error:
        print(f"infer.py: error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
