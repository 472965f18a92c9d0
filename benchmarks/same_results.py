"""Whether two checkouts give the same results: digests of what their commands write, side by side.

    python -m benchmarks.same_results BEFORE AFTER

BEFORE and AFTER are folders of two checkouts, with the same packages installed. In each, as a user would: three plans
of `infer.py` on the sample photos (one style; a map of two; a style photo with a mask), `bank add`, a video, and what
onnxruntime makes of the exported file. Files are compared by their bytes, the outputs of the ONNX program by theirs.
Exit code 1 where anything differs.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from safetensors import safe_open
from skimage import data

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


def run(checkout: Path, *arguments: object) -> None:
    environment = os.environ | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\nended with {done.returncode}:\n{done.stdout}{done.stderr}")


def results(checkout: Path, inputs: Path, out: Path) -> dict[str, str]:
    """Digest of everything that the commands of a checkout write, by its name."""
    command = ["-m", "unistyle"] if (checkout / "unistyle" / "__main__.py").is_file() else None
    named = lambda name: [*command, name] if command else ["-m", f"unistyle.{name}"]  # noqa: E731
    infer = ["infer.py", "--device", "cpu", "--save-mask"]
    run(checkout, *infer, "--samples", "--to", "stone", "--out", out / "one")
    run(checkout, *infer, "--samples", "--map", "metal=stone", "--map", "leather=wood", "--out", out / "map")
    style = (
        "--to",
        inputs / "style.png",
        "--mask",
        inputs / "mask.png",
        "--strength",
        "0.8",
        "--color",
        "keep",
    )
    run(checkout, *infer, inputs / "photo.png", *style, "--out", out / "photo")
    run(checkout, *infer, inputs / "clip.mp4", "--to", "stone", "--out", out / "clip")
    run(
        checkout,
        *named("bank"),
        "add",
        CHECKPOINT,
        "--styles",
        inputs / "styles",
        "--out",
        out / "bank.safetensors",
    )
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder) / "inputs"
        inputs.mkdir()
        make_inputs(inputs)
        sides = []
        for name in ("before", "after"):
            sides.append(results(getattr(args, name).resolve(), inputs, Path(folder) / name))
    before, after = sides
    names = sorted(before.keys() | after.keys())
    differing = [name for name in names if before.get(name) != after.get(name)]
    for name in names:
        verdict = "DIFFERS" if name in differing else "equal"
        print(f"{verdict:8} {before.get(name, '-'):17}{after.get(name, '-'):17}{name}")
    print(f"{len(names)} results, {len(differing)} differ")
    return int(bool(differing))


if __name__ == "__main__":
    sys.exit(main())
