"""A folder of photos from end to end: `infer.py` against loops that read, restyle and write one photo after the other.

    python benchmarks/folder.py --photos ../shared/data/fmd/image

The loops: the same network through `UniStyle.restyle` and `image.save`, as a user would write it; the same with the
encoder that `infer.py` uses; and two networks in a row (benchmarks/speed.py) with `image.save`. Each side is a process
of its own that starts, works through `--warm-up` photos, and is timed from then on. The sides take turns, and the
table gives medians, with the lowest and highest in brackets. CPU: the process's share of all cores. Without --photos
the sample photos of scikit-image are taken, cut at different places.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
CHECKPOINT = ROOT / "checkpoints" / "unistyle-materials.safetensors"
STYLE = "stone"


def ours(paths: list[Path], out: Path, args, compiled: bool = False) -> None:
    from unistyle import UniStyle
    from unistyle.batch.jobs import Job, Options
    from unistyle.batch.manifest import Manifest
    from unistyle.batch.runner import Runner
    from unistyle.commands.infer import BATCH
    from unistyle.restyle.cpu import keep_freed_memory

    keep_freed_memory()
    model = UniStyle.from_pretrained(args.checkpoint, args.device, args.precision)
    if compiled:
        model.compile()
    options = Options(batch_size=1 if model.device.type == "cpu" else BATCH)
    plan = model.plan(STYLE)

    def run(some: list[Path]) -> None:
        jobs = [Job(path, out / path.parent.name / f"{path.stem}.png") for path in some]
        runner = Runner(model, plan, options, Manifest(out), {})
        runner.run(jobs)
        assert runner.counts.written == len(some), runner.counts

    timed(run, paths, args)


def ours_compiled(paths: list[Path], out: Path, args) -> None:
    ours(paths, out, args, compiled=True)


def loop(save, paths: list[Path], out: Path, args) -> None:
    from unistyle import UniStyle

    model = UniStyle.from_pretrained(args.checkpoint, args.device, args.precision)
    plan = model.plan(STYLE)

    def run(some: list[Path]) -> None:
        for path in some:
            save(model.restyle(path, plan).image, out / f"{path.parent.name}-{path.stem}.png")

    timed(run, paths, args)


def plain(paths: list[Path], out: Path, args) -> None:
    loop(lambda image, path: image.save(path), paths, out, args)


def plain_fast_png(paths: list[Path], out: Path, args) -> None:
    from unistyle.files.writing import save_png

    loop(save_png, paths, out, args)


def two_networks(paths: list[Path], out: Path, args) -> None:
    import torch

    from benchmarks.speed import TwoNetworks
    from unistyle.files.photos import read_image
    from unistyle.files.tensors import to_pil, to_tensor

    device = torch.device(args.device)
    network = TwoNetworks().eval().to(device, memory_format=torch.channels_last)
    with torch.inference_mode():
        style = network.encode_style(to_tensor(read_image(paths[0]))[None].to(device))

        def run(some: list[Path]) -> None:
            for path in some:
                photo = to_tensor(read_image(path))[None].to(device, memory_format=torch.channels_last)
                to_pil(network(photo, *style)[0]).save(out / f"{path.parent.name}-{path.stem}.png")

        timed(run, paths, args)


SIDES = {
    "infer.py": ours,
    "infer.py --compile": ours_compiled,
    "plain loop": plain,
    "plain loop, fast PNG": plain_fast_png,
    "two networks": two_networks,
}


def timed(run, paths: list[Path], args) -> None:
    """Run, and print the figures as JSON."""
    run(paths[: args.warm_up])
    rest, before, start = paths[args.warm_up :], os.times(), time.perf_counter()
    run(rest)
    seconds, after = time.perf_counter() - start, os.times()
    cpu = (after.user + after.system - before.user - before.system) / seconds
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(dict(each=seconds / len(rest) * 1e3, cpu=cpu, peak=peak)))


def sample_folder(folder: Path, count: int) -> list[Path]:
    """Photos of 512 x 384 cut from the samples at different places."""
    import numpy as np

    from unistyle.files.photos import read_image
    from unistyle.files.samples import sample_photos

    images = [read_image(path) for path in sample_photos()]
    rng, paths = np.random.default_rng(0), []
    for i in range(count):
        image = images[i % len(images)]
        x, y = (
            int(rng.integers(0, max(1, side - least)))
            for side, least in zip(image.size, (300, 225), strict=True)
        )
        paths.append(folder / f"{i:04}.jpg")
        image.crop((x, y, x + 300, y + 225)).resize((512, 384)).save(paths[-1], quality=92)
    return paths


def sizes_first(paths: list[Path]) -> list[Path]:
    """A photo of each size before the others, so that what happens once for each size falls into the warm-up."""
    from PIL import Image

    firsts = {}
    for path in paths:
        with Image.open(path) as image:
            firsts.setdefault(image.size, path)
    return [*firsts.values(), *(path for path in paths if path not in firsts.values())]


def measure(side: str, paths: list[Path], args) -> dict:
    command = [
        sys.executable,
        __file__,
        "--side",
        side,
        "--checkpoint",
        args.checkpoint,
        "--device",
        args.device,
    ]
    command += ["--precision", args.precision, "--warm-up", str(args.warm_up)]
    with tempfile.TemporaryDirectory() as out:
        # The heavy side is timed on fewer photos, of which it takes the same time for each.
        some = paths[: args.warm_up + args.heavy] if side == "two networks" else paths
        done = subprocess.run([*map(str, command), "--out", out], input="\n".join(map(str, some)), text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def table(results: dict[str, list[dict]]) -> str:
    lines = [f"{'':22}{'ms a photo':>24}{'photos/s':>10}{'CPU':>7}{'peak MB':>9}{'time x':>9}"]
    first = statistics.median(r["each"] for r in results["infer.py"])
    for side, runs in results.items():
        each, cpu, peak = (statistics.median(r[name] for r in runs) for name in ("each", "cpu", "peak"))
        spread = f"({min(r['each'] for r in runs):.1f}-{max(r['each'] for r in runs):.1f})"
        lines.append(f"{side:22}{f'{each:.1f} {spread}':>24}{1e3 / each:10.1f}{cpu / os.cpu_count():7.0%}"
                     f"{peak:9.0f}{each / first:9.2f}")  # fmt: skip
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, help="folder of photos (default: cuts of the samples)")
    parser.add_argument("--count", type=int, default=200, help="photos (default: %(default)s)")
    parser.add_argument(
        "--heavy", type=int, default=20, help="of them for the two networks (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="runs of each side (default: %(default)s)")
    parser.add_argument(
        "--warm-up", type=int, default=8, help="photos before the clock (default: %(default)s)"
    )
    parser.add_argument("--checkpoint", default=CHECKPOINT)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        SIDES[args.side]([Path(line) for line in sys.stdin.read().splitlines()], args.out, args)
        return
    from unistyle.files.folders import list_images

    with tempfile.TemporaryDirectory() as folder:
        if args.photos:
            found = list_images(args.photos)
            paths = found[:: max(1, len(found) // args.count)][: args.count]
        else:
            paths = sample_folder(Path(folder), args.count)
        paths = sizes_first(paths)
        results = {side: [] for side in SIDES}
        for _ in range(args.rounds):
            for side in SIDES:
                results[side].append(measure(side, paths, args))
                print(side, results[side][-1], file=sys.stderr)
    print(
        f"{len(paths)} photos, {args.device}, {os.cpu_count()} cores, {args.precision}; median of {args.rounds} runs"
    )
    print(table(results))


if __name__ == "__main__":
    main()
