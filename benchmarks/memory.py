"""Memory of a long run: resident memory of `infer.py`'s runner after every so many photos of many sizes.

    python benchmarks/memory.py --photos ../shared/data/fmd/image

--cut: photos are cut at random to sides of 150 to 512 pixels, a different size each, which is the hard case: memory
that was freed after one size hardly fits the next. Last line: the growth from the first 50 photos to the end, and how
much of it was still going on in the second half.
"""

import argparse
import resource
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from unistyle import UniStyle
from unistyle.batch.jobs import Job, Options
from unistyle.batch.manifest import Manifest
from unistyle.batch.runner import Runner
from unistyle.commands.infer import CHECKPOINT
from unistyle.files.folders import list_images
from unistyle.files.photos import read_image
from unistyle.files.samples import sample_photos
from unistyle.restyle.cpu import keep_freed_memory

ROOT = Path(__file__).parent.parent


def resident() -> float:
    """MiB of this process that are in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def cut(paths: list[Path], folder: Path) -> list[Path]:
    rng, result = np.random.default_rng(0), []
    for i, path in enumerate(paths):
        image = read_image(path)
        width, height = (int(rng.integers(150, min(512, side) + 1)) for side in image.size)
        result.append(folder / f"{i:05}.jpg")
        image.crop((0, 0, width, height)).save(result[-1], quality=92)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, help="folder of photos (default: the samples)")
    parser.add_argument("--count", type=int, default=1000, help="photos (default: %(default)s)")
    parser.add_argument(
        "--every", type=int, default=50, help="photos between two lines (default: %(default)s)"
    )
    parser.add_argument("--cut", action="store_true", help="to a different size each")
    parser.add_argument("--checkpoint", default=CHECKPOINT)
    args = parser.parse_args()
    keep_freed_memory()
    model = UniStyle.from_pretrained(args.checkpoint, "cpu")
    with tempfile.TemporaryDirectory() as folder:
        folder, table = Path(folder), []
        paths = list_images(args.photos) if args.photos else sample_photos()
        some = [paths[i % len(paths)] for i in range(args.count)]
        some = cut(some, folder) if args.cut else some
        jobs = [Job(path, folder / "out" / f"{i:05}.png") for i, path in enumerate(some)]
        runner = Runner(model, model.plan("stone"), Options(), Manifest(folder / "out"), {})
        thread = threading.Thread(target=runner.run, args=(jobs,))
        thread.start()
        print(f"{'photos':>8}{'MiB':>8}")
        while thread.is_alive():
            if runner.counts.written >= args.every * (len(table) + 1):
                table.append(resident())
                print(f"{runner.counts.written:8}{table[-1]:8.0f}", flush=True)
            time.sleep(0.05)
    half = len(table) // 2
    print(f"growth after the first {args.every}: {max(table) - table[0]:.0f} MiB; in the second half "
          f"{max(table[half:]) - max(table[: half + 1]):.0f} MiB")  # fmt: skip


if __name__ == "__main__":
    main()
