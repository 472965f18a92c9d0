"""Large photos: whether tiles agree with one pass, and the memory and time that a large photo takes.

    python -m benchmarks.large --photos DATA/fmd/image

The photo is a sample of scikit-image, enlarged, with a mosaic of small photos laid over it faintly, so that it has
detail at its own scale. The first table compares the restyled photo from one pass with that from tiles, at a size that
one pass takes. Differences are in 8-bit steps inside the region. The table has another line for moments taken from a
reduced copy in place of the tiles, which would need no measuring. The second table is `unistyle infer` on a photo of
`--megapixels`, in a process of its own.
"""

import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from unistyle import UniStyle
from unistyle.checkpoint.shipped import default_checkpoint
from unistyle.commands.arguments import argument, number, parser_of, read, run
from unistyle.files.photos import read_image
from unistyle.files.samples import content_photos, sample_photo
from unistyle.files.tensors import as_bytes, as_float
from unistyle.network.model import UniStyleNetwork
from unistyle.network.stylizer import Regions
from unistyle.restyle import tiles

NAME = "python -m benchmarks.large"
CELL = 480  # pixels of a photo in the mosaic
SIZE = (2560, 1920)  # that one pass takes


@dataclass
class Settings:
    """Compare large photos in tiles with one pass, and measure the memory and time that a large photo takes.

    python -m benchmarks.large --photos DATA/fmd/image
    """

    photos: Path | None = argument(None, metavar="FOLDER")
    """Photos for the mosaic. Without it, the samples."""
    megapixels: float = argument(100, type=number(float, 1, what="a number from 1 up"))
    """Size of the large photo."""
    style: str = "stone"
    """A style of the bank."""
    checkpoint: str = argument(default_checkpoint(), metavar="PATH")
    """File, folder or hub id."""
    keep: Path | None = argument(None, metavar="FOLDER")
    """Keep the large photo and its results here."""


def large_photo(paths: list[Path], width: int, height: int) -> Image.Image:
    """The cup of coffee, and a quarter of a mosaic of photos at about their own scale."""
    cup = read_image(sample_photo())
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
    region = network.style_region(logits)
    whole = as_bytes(network.stylizer(features, region, code, x.shape[-2:])).int()
    inside = (F.interpolate(region, x.shape[-2:]) > 0.05).expand_as(whole)
    several = len(list(tiles.tiles(*x.shape[-2:]))) > 1
    variants = (
        {"tiles": {}, "tiles, a sample measured": {"sample": 1}} if several else {"tiles": {"core": 512}}
    )
    results = {}
    for name, options in variants.items():
        got = tiles.restyle_in_tiles(network, photo, region, code, model.passes.map, **options)
        results[name] = (got.int() - whole).abs()[inside]
    results["moments of a reduced copy"] = (reduced(network, photo, region, code).int() - whole).abs()[inside]
    return results


def reduced(
    network: UniStyleNetwork, photo: torch.Tensor, region: torch.Tensor, code: torch.Tensor
) -> torch.Tensor:
    """Tiles with the moments that a copy at half the size has."""
    x = F.interpolate(as_float(photo), scale_factor=0.5, mode="bilinear", antialias=True)
    known = []

    class Noting(Regions):
        def moments(self, f):
            known.append(super().moments(f))
            return known[-1]

    network.stylizer(network.encoder(x), Noting(region, network.stylizer.noise), code, x.shape[-2:])
    with mock.patch.object(tiles._Tiled, "measure", return_value=known):
        return tiles.restyle_in_tiles(network, photo, region, code)


def print_agreement(settings: Settings, paths: list[Path]) -> None:
    """The first table."""
    model = UniStyle.from_pretrained(settings.checkpoint, "cpu")
    print(f"{f'against one pass, {SIZE[0]} x {SIZE[1]}':34}{'mean':>8}{'99 %':>8}{'largest':>9}")
    for name, d in agreement(model, large_photo(paths, *SIZE), settings.style).items():
        top = d.float().kthvalue(int(0.99 * d.numel())).values
        print(f"{name:34}{d.float().mean():8.3f}{top:8.0f}{d.max():9.0f}", flush=True)


def print_cost(settings: Settings, paths: list[Path], folder: Path) -> None:
    """The second table."""
    side = (settings.megapixels * 1e6) ** 0.5
    size = round(side * 4 / (12**0.5)), round(side * 3 / (12**0.5))
    folder.mkdir(parents=True, exist_ok=True)
    large_photo(paths, *size).save(folder / "large.jpg", quality=95)
    print(f"\n{f'{size[0]} x {size[1]}':34}{'seconds':>8}{'peak MiB':>10}")
    for limit in ("1024", "none"):
        start = time.perf_counter()
        infer(folder / "large.jpg", folder / limit, limit, settings)
        # Of all children so far; the second needs more than the first.
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"{f'--max-size {limit}':34}{time.perf_counter() - start:8.0f}{peak:10.0f}", flush=True)


def infer(photo: Path, out: Path, limit: str, settings: Settings) -> None:
    """Restyle a photo in a process of its own."""
    command = [sys.executable, "-m", "unistyle", "infer", photo, "--to", settings.style, "--max-size", limit]
    command += ["--out", out, "--device", "cpu", "--overwrite", "--checkpoint", settings.checkpoint]
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(list(map(str, command)), check=True, **silent)


def measure(settings: Settings) -> None:
    paths = content_photos([settings.photos] if settings.photos else None)
    paths = paths[::10] if settings.photos else paths
    print_agreement(settings, paths)
    with tempfile.TemporaryDirectory() as folder:
        print_cost(settings, paths, settings.keep or Path(folder))


def main(argv: list[str] | None = None) -> int:
    return run(NAME, lambda: measure(read(parser_of(NAME, Settings), Settings, argv)))


if __name__ == "__main__":
    sys.exit(main())
