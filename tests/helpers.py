"""What several tests build on: photos, folders and networks that cost nothing."""

import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from unistyle.commands import infer
from unistyle.data.transfer import Transfer
from unistyle.files.digest import digest
from unistyle.network.encoder import EncoderConfig
from unistyle.network.model import NetworkConfig, UniStyleNetwork
from unistyle.styles.bank import StyleBank
from unistyle.styles.swatches import TILE, Swatches
from unistyle.teachers.vgg import STYLE_LAYERS

ROOT = Path(__file__).parent.parent


def make_photo(height: int = 48, width: int = 64, seed: int = 0) -> Image.Image:
    """A colourful RGB photo: a ramp, an edge and noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:1:height * 1j, 0:1:width * 1j]  # fmt: skip
    base = np.stack([x, y, (x > 0.4) & (y > 0.3)], axis=-1) * 230
    return Image.fromarray((base + rng.integers(0, 25, base.shape)).astype(np.uint8))


def pictures(folder: Path) -> dict[str, str]:
    """What the PNGs of a folder show, as a digest of their pixels: the same picture may be compressed in other ways,
    and pytest would compare long files for an hour where they differ."""
    each = ((path.name, Image.open(path)) for path in folder.glob("*.png"))
    return {name: digest(image.mode, image.size, image.tobytes()) for name, image in each}


def annotated_folder(root: Path, materials: tuple[str, ...]) -> Path:
    """A small annotated folder: four photos a material, two of them in val, one with a full mask."""
    rng = np.random.default_rng(0)
    names = {"train": [], "val": []}
    for material in materials:
        for i in range(4):
            size = (48, 40) if i % 2 else (40, 48)
            mask = np.zeros(size[::-1], np.uint8)
            mask[8 : 8 * (i + 2), 6:30] = 255
            if i == 3:
                mask[:] = 255
            for kind, pixels in (
                ("image", rng.integers(0, 256, (*size[::-1], 3), dtype=np.uint8)),
                ("mask", mask),
            ):
                path = root / kind / material / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
            names["val" if i >= 2 else "train"].append(f"{material}/{i}")
    for split, lines in names.items():
        (root / f"{split}.txt").write_text("\n".join(lines))
    return root


def make_network() -> UniStyleNetwork:
    """Random weights, with a segmenter whose decision differs from place to place."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = NetworkConfig(
            EncoderConfig("mobilenetv2_050", pretrained=False), ("leather", "stone", "metal")
        )
        network = UniStyleNetwork(config).eval()
    with torch.no_grad():
        network.segmenter.classify.weight *= 1000
        photo = torch.from_numpy(np.asarray(make_photo(), dtype=np.float32) / 255).permute(2, 0, 1)[None]
        logits = network.segmenter(network.encoder(photo))
        network.segmenter.classify.bias[0] += (logits[:, 1:-1].logsumexp(1) - logits[:, 0]).median()
        network.segmenter.classify.bias[-1] -= logits[:, -1].median()
    return network


def sampled(bank: StyleBank, seed: int = 0) -> StyleBank:
    """The bank with a sample for each exemplar: coarse noise that repeats."""
    noise = torch.rand(len(bank.names), 3, 32, 32, generator=torch.Generator().manual_seed(seed))
    tiles = (noise.repeat_interleave(TILE // 32, -1).repeat_interleave(TILE // 32, -2) * 255).byte()
    return StyleBank.of(bank.names, Swatches(bank.codes, tiles, torch.ones(len(tiles))))


class TinyVGG(nn.Module):
    """Random features at strides 1 to 8 under the names of VGG-19's layers."""

    def __init__(self, seed=0):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.convs = nn.ModuleList(nn.Conv2d(c, 8, 3, padding=1) for c in (3, 8, 8, 8))
        for parameter in self.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.2
        self.requires_grad_(False)

    def forward(self, image):
        found, x = {}, image
        for name, conv in zip(STYLE_LAYERS, self.convs, strict=True):
            x = conv(x if name == STYLE_LAYERS[0] else nn.functional.avg_pool2d(x, 2)).relu()
            found[name] = x
        return found


def make_job(h=40, w=48, seed=0):
    """A smooth photo and a striped style; the region is soft at its edge, the style's region is the left half."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.linspace(0, 1, h), torch.linspace(0, 1, w), indexing="ij")
    photo = torch.stack([y, x, 1 - y])[None] * 0.6 + 0.2 * torch.rand(1, 3, h, w, generator=generator)
    style = (torch.sin(torch.arange(32) * 2.0) * 0.4 + 0.5).expand(1, 3, 36, 32).clone()
    style[:, 0] *= 0.3
    region = ((0.4 - ((x - 0.5) ** 2 + (y - 0.5) ** 2).sqrt()) * 8).clamp(0, 1)[None, None]
    style_region = torch.zeros(1, 1, 36, 32)
    style_region[..., :16] = 1
    return Transfer(photo, style, region, style_region)


# What a viewer does to the stored pixels for each EXIF orientation (Exif 2.3, tag 0x0112).
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, rows: bytes, extra: bytes = b"", depth: int = 8, color: int = 2) -> bytes:
    """A PNG of raw rows, each after the byte of its filter."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def pixels(path: str | Path) -> np.ndarray:
    """The pixels of a file as they are."""
    with Image.open(path) as image:
        return np.asarray(image)


def infer_with(checkpoint: Path, capsys):
    """Runs `unistyle infer` on the CPU in this process: exit code, printed text, error text."""

    def call(*arguments, to="stone"):
        given = [*arguments, "--to", to, "--checkpoint", checkpoint, "--device", "cpu"]
        return infer.main([str(a) for a in given]), *capsys.readouterr()

    return call
