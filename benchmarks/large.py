"""Large photos: whether tiles agree with one pass, and the memory and time that a large photo takes.

    python benchmarks/large.py --photos ../shared/data/fmd/image

The photo is a sample of scikit-image, enlarged, with a mosaic of small photos laid over it faintly, so that it has
detail at its own scale (--photos: of that folder; default: of the samples). First table: differences, in 8-bit steps
inside the region, between the restyled photo from one pass and from tiles, at a size that one pass takes; and the same
for moments taken from a reduced copy in place of the tiles, which would need no measuring. Second table: `infer.py` on
a photo of --megapixels, in a process of its own.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from unistyle import UniStyle
from unistyle.commands.infer import CHECKPOINT
from unistyle.files.folders import list_images
from unistyle.files.photos import read_image
from unistyle.files.samples import sample_photos
from unistyle.files.tensors import as_bytes, as_float
from unistyle.network.stylizer import Regions
from unistyle.restyle import tiles

ROOT = Path(__file__).parent.parent

CELL = 480  # pixels of a photo in the mosaic


def large_photo(paths: list[Path], width: int, height: int) -> Image.Image:
    """The cup of coffee, and a quarter of a mosaic of photos at about their own scale."""
    cup = read_image(next(path for path in sample_photos() if path.stem == "coffee"))
    image, rng = cup.resize((width, height), Image.Resampling.BICUBIC), np.random.default_rng(0)
    cells = [read_image(path).resize((CELL, CELL), Image.Resampling.LANCZOS) for path in paths]
    for y in range(0, height, CELL):
        for x in range(0, width, CELL):
            box = (x, y, min(x + CELL, width), min(y + CELL, height))
            cell = cells[rng.integers(len(cells))].crop((0, 0, box[2] - x, box[3] - y))
            image.paste(Image.blend(image.crop(box), cell, 0.25), box)
    return image


@torch.inference_mode()
def agreement(model: UniStyle, image: Image.Image, style: str) -> dict[str, torch.Tensor]:
    """Absolute differences from one pass, in 8-bit steps, inside the region."""
    network = model.network
    code = model.bank.codes[model.bank.find(style)[0]][None, None]
    photo = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)[None]
    x = as_float(photo)
    features, logits = network.find(x)
    region = network.regions(logits).sum(1, keepdim=True)
    whole = as_bytes(network.stylizer(features, region, code, x.shape[-2:])).int()
    inside = (F.interpolate(region, x.shape[-2:]) > 0.05).expand_as(whole)
    several = len(list(tiles.tiles(*x.shape[-2:]))) > 1
    variants = (
        {"tiles": {}, "tiles, a sample measured": {"sample": 1}} if several else {"tiles": {"core": 512}}
    )
    results = {}
    for name, options in variants.items():
        got = tiles.restyle_in_tiles(network, photo, region, code, model._map, **options)
        results[name] = (got.int() - whole).abs()[inside]
    results["moments of a reduced copy"] = (reduced(network, photo, region, code).int() - whole).abs()[inside]
    return results


def reduced(network, photo: torch.Tensor, region: torch.Tensor, code: torch.Tensor) -> torch.Tensor:
    """Tiles with the moments that a copy at half the size has."""
    x = F.interpolate(as_float(photo), scale_factor=0.5, mode="bilinear", antialias=True)
    known = []

    class Noting(Regions):
        def moments(self, f):
            known.append(super().moments(f))
            return known[-1]

    network.stylizer(network.encoder(x), Noting(region, network.stylizer.noise), code, x.shape[-2:])
    measure, tiles._Tiled.measure = tiles._Tiled.measure, lambda *_: known
    try:
        return tiles.restyle_in_tiles(network, photo, region, code)
    finally:
        tiles._Tiled.measure = measure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, help="folder of photos (default: the samples)")
    parser.add_argument("--megapixels", type=float, default=100, help="(default: %(default)s)")
    parser.add_argument("--style", default="stone")
    parser.add_argument("--checkpoint", default=CHECKPOINT)
    parser.add_argument("--keep", type=Path, help="folder to keep photo and result in")
    args = parser.parse_args()
    paths = list_images(args.photos)[::10] if args.photos else sample_photos()
    model = UniStyle.from_pretrained(args.checkpoint, "cpu")
    print(f"{'against one pass, 2560 x 1920':34}{'mean':>8}{'99 %':>8}{'largest':>9}")
    for name, d in agreement(model, large_photo(paths, 2560, 1920), args.style).items():
        top = d.float().kthvalue(int(0.99 * d.numel())).values
        print(f"{name:34}{d.float().mean():8.3f}{top:8.0f}{d.max():9.0f}", flush=True)
    del model
    side = (args.megapixels * 1e6) ** 0.5
    size = round(side * 4 / (12**0.5)), round(side * 3 / (12**0.5))
    with tempfile.TemporaryDirectory() as folder:
        folder = args.keep or Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        large_photo(paths, *size).save(folder / "large.jpg", quality=95)
        print(f"\n{f'{size[0]} x {size[1]}':34}{'seconds':>8}{'peak MiB':>10}")
        for limit in ("1024", "none"):
            command = [
                sys.executable,
                ROOT / "infer.py",
                folder / "large.jpg",
                "--to",
                args.style,
                "--max-size",
                limit,
            ]
            command += [
                "--out",
                folder / limit,
                "--device",
                "cpu",
                "--overwrite",
                "--checkpoint",
                args.checkpoint,
            ]
            start = time.perf_counter()
            subprocess.run(
                list(map(str, command)), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            # Of all children so far; the second needs more than the first.
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
            print(f"{f'--max-size {limit}':34}{time.perf_counter() - start:8.0f}{peak:10.0f}", flush=True)


if __name__ == "__main__":
    main()
