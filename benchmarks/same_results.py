"""Whether two checkouts give the same results, and how long they take: `python -m benchmarks.same_results`."""

import argparse
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from safetensors import safe_open
from skimage import data

from unistyle.commands.arguments import argument, parser_of, read, whole_number
from unistyle.commands.arguments import run as run_work
from unistyle.errors import UsageError


@dataclass
class Settings:
    """Whether two checkouts give the same results. In each, as a user would: three plans of `infer.py` on sample photos
    (one style; a map of two; a style photo with a mask), `bank add`, a video, and what onnxruntime makes of the
    exported file. Files are compared by their bytes, safetensors without the order of their header.

    python -m benchmarks.same_results BEFORE AFTER
    python -m benchmarks.same_results BEFORE AFTER --photos DATA/some200
    """

    before: Path = argument(positional=True, metavar="BEFORE")
    """Folder of a checkout."""
    after: Path = argument(positional=True, metavar="AFTER")
    """Folder of another one, for which the same packages are installed."""
    photos: Path | None = argument(None, metavar="FOLDER")
    """Also time `infer.py` on these photos, the two checkouts in turns."""
    rounds: int = argument(3, type=whole_number(1))
    """How many times each is timed."""


CHECKPOINT = "checkpoints/unistyle-materials.safetensors"
FRAMES = 12  # of the video


def make_inputs(folder: Path) -> None:
    """A photo, a mask, a style photo, a folder of styles and a video, all of scikit-image's pictures."""
    import av

    coffee = Image.fromarray(data.coffee())
    coffee.save(folder / "photo.png")
    mask = Image.new("L", coffee.size)
    ImageDraw.Draw(mask).ellipse((150, 80, 450, 330), fill=255)
    mask.save(folder / "mask.png")
    Image.fromarray(data.chelsea()).save(folder / "style.png")
    for style, pictures in (("fur", [data.chelsea()]), ("sky", [data.rocket(), data.astronaut()])):
        (folder / "styles" / style).mkdir(parents=True)
        for number, picture in enumerate(pictures):
            Image.fromarray(picture).save(folder / "styles" / style / f"{number}.png")
    with av.open(str(folder / "clip.mp4"), "w") as clip:
        stream = clip.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for i in range(FRAMES):
            frame = coffee.crop((8 * i, 4 * i, 8 * i + 480, 4 * i + 360)).resize((320, 240))
            clip.mux(stream.encode(av.VideoFrame.from_image(frame)))
        clip.mux(stream.encode(None))


def run(checkout: Path, *arguments: object, threads: str | None = "1") -> None:
    """Run Python in a checkout, with one thread so that sums are taken in one order."""
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    environment |= {"OMP_NUM_THREADS": threads} if threads else {}
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise UsageError(f"{' '.join(command)}\nended with {done.returncode}:\n{done.stdout}{done.stderr}")


def results(checkout: Path, inputs: Path, out: Path) -> dict[str, str]:
    """Digest of everything that the commands of a checkout write, by its name."""
    command = ["-m", "unistyle"] if (checkout / "unistyle" / "__main__.py").is_file() else None
    named = lambda name: [*command, name] if command else ["-m", f"unistyle.{name}"]  # noqa: E731
    infer = ["infer.py", "--device", "cpu", "--save-mask"]
    run(checkout, *infer, "--samples", "--to", "stone", "--out", out / "one")
    run(checkout, *infer, "--samples", "--map", "metal=stone", "--map", "leather=wood", "--out", out / "map")
    style = [
        "--to",
        inputs / "style.png",
        "--mask",
        inputs / "mask.png",
        "--strength",
        "0.8",
        "--color",
        "keep",
    ]
    run(checkout, *infer, inputs / "photo.png", *style, "--out", out / "photo")
    run(checkout, *infer, inputs / "clip.mp4", "--to", "stone", "--out", out / "clip")
    add = [*named("bank"), "add", CHECKPOINT, "--styles", inputs / "styles"]
    run(checkout, *add, "--out", out / "bank.safetensors")
    run(checkout, *named("export"), "onnx", CHECKPOINT, "--to", "stone", "--out", out / "model.onnx")
    files = sorted(path for path in out.rglob("*") if path.suffix in (".png", ".mp4", ".safetensors"))
    found = {str(path.relative_to(out)): content(path) for path in files}
    return {
        name: hashlib.sha256(data).hexdigest()[:16]
        for name, data in (found | onnx_outputs(out, inputs)).items()
    }


def content(path: Path) -> bytes:
    """The bytes of a file; of a safetensors file without the order of its header, which is another at each writing."""
    if path.suffix != ".safetensors":
        return path.read_bytes()
    with safe_open(path, "np") as file:
        about = json.dumps(file.metadata(), sort_keys=True).encode()
        return about + b"".join(
            name.encode() + file.get_tensor(name).tobytes() for name in sorted(file.keys())
        )


def onnx_outputs(out: Path, inputs: Path) -> dict[str, bytes]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(out / "model.onnx"), options, providers=["CPUExecutionProvider"]
    )
    photo = np.asarray(Image.open(inputs / "photo.png"), np.float32).transpose(2, 0, 1)[None] / 255
    names = ["image", "alpha"]
    values = session.run(names, {"photo": photo})
    return {f"model.onnx: {name}": value.tobytes() for name, value in zip(names, values, strict=True)}


def time_photos(settings: Settings, sides: dict[str, Path], out: Path) -> None:
    """Print the seconds that `infer.py` takes for a folder of photos in each checkout, in turns."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(settings.rounds):
        for name, checkout in sides.items():
            start = time.perf_counter()
            shutil.rmtree(out / "timed", ignore_errors=True)
            command = ["infer.py", settings.photos.resolve(), "--to", "stone", "--device", "cpu"]
            run(checkout, *command, "--out", out / "timed", threads=None)
            seconds[name].append(time.perf_counter() - start)
    for name, each in seconds.items():
        print(
            f"{name}: {statistics.median(each):.2f} s ({min(each):.2f}-{max(each):.2f}), start of Python included"
        )
    before, after = (statistics.median(seconds[name]) for name in ("before", "after"))
    print(f"after / before: {after / before:.3f}")


def compare(settings: Settings) -> int:
    """Print what is equal and what differs; 1 where anything differs."""
    sides = {name: getattr(settings, name).resolve() for name in ("before", "after")}
    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder) / "inputs"
        inputs.mkdir()
        make_inputs(inputs)
        before, after = (results(checkout, inputs, Path(folder) / name) for name, checkout in sides.items())
        if settings.photos:
            time_photos(settings, sides, Path(folder))
    names = sorted(before.keys() | after.keys())
    differing = [name for name in names if before.get(name) != after.get(name)]
    for name in names:
        verdict = "DIFFERS" if name in differing else "equal"
        print(f"{verdict:8} {before.get(name, '-'):17}{after.get(name, '-'):17}{name}")
    print(f"{len(names)} results, {len(differing)} differ")
    return int(bool(differing))


def parser() -> argparse.ArgumentParser:
    return parser_of("python -m benchmarks.same_results", Settings)


def main(argv: Sequence[str] | None = None) -> int:
    """0: equal; 1: something differs; 2: bad usage or input."""
    return run_work("python -m benchmarks.same_results", lambda: compare(read(parser(), Settings, argv)))


if __name__ == "__main__":
    sys.exit(main())
