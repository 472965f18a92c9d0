"""Export a checkpoint: to ONNX, for onnxruntime and others, or as a program of torch.export.

Commands: `python -m unistyle.export --help`. What the programs take and give, and how to run them: docs/export.md.
Batch, height and width are free; the network itself is the reference, and `check` says how far a file is from it.
"""

import argparse
import base64
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from einops import einsum, reduce
from PIL import Image, ImageOps
from torch import Tensor, nn
from torch.export import ExportedProgram

from unistyle.checkpoint.checkpoint import Checkpoint, load_checkpoint
from unistyle.export.resizing import resize_regions, shrink
from unistyle.files.atomic import atomic
from unistyle.files.photos import as_bytes, read_image, to_tensor
from unistyle.network.composite import composite, guided_upsample
from unistyle.network.model import SIGHT, SMALLEST, UniStyleNetwork
from unistyle.network.stylizer import Regions
from unistyle.styles.codes import nearest

LARGEST = 2**14  # pixels a side; far beyond what memory holds, but a program's sizes need bounds
MOST = 2**10  # photos and regions of a pass
VERSION = 1  # of inputs, outputs and metadata of the exported programs
TOLERANCE = 2  # of 255: the largest difference from the network that `check` accepts
CHECK_SIZES = ((97, 131), (288, 288), (210, 160), (287, 401), (333, 250), (384, 512), (511, 389), (577, 700),
               (720, 1080), (32, 45))  # height, width  # fmt: skip


class _FreeRegions(Regions):
    """Regions whose sizes and number are symbols, by which nothing can be looked up or decided."""

    def __init__(self, w: Tensor, noise: Tensor):
        self.full, self.noise = w, noise

    def at(self, size) -> Tensor:
        return resize_regions(self.full, size)

    def share(self, w: Tensor) -> Tensor:
        return w


def _seen_size(size: Sequence[int]) -> list[int]:
    """The size at which materials are looked for, as in `UniStyleNetwork.find`, of a size that may be symbols."""
    sides = torch.stack([torch.scalar_tensor(side, dtype=torch.float64) for side in size])
    seen = (sides * (SIGHT / sides.min()).clamp(max=1)).round().long().tolist()
    for side in seen:
        torch._check(side >= SMALLEST)
        torch._check(side <= LARGEST)
    return seen


class OnePass(nn.Module):
    """The network's pass in operations that export. photo: `b 3 h w` in [0, 1]; codes: `b k d`; routes: `m k`, 1
    where material m goes to region k -> image `b 3 h w`, alpha `b 1 h w`."""

    def __init__(self, network: UniStyleNetwork):
        super().__init__()
        self.network = network.requires_grad_(False).eval()

    def find(self, photo: Tensor) -> tuple[list[Tensor], Tensor]:
        """Encoder features, and regions `b m . .` of the materials."""
        # A photo that is small enough is seen twice as it is: what does not export is the choice.
        small = shrink(photo, _seen_size(photo.shape[-2:]))
        logits = self.network.segmenter(self.network.encoder(small))
        return self.network.encoder(photo), self.network.regions(logits)

    def render(
        self, photo: Tensor, features: list[Tensor], regions: Tensor, codes: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The photo, its features, regions `b k . .` and codes `b k d` -> image, alpha."""
        stylizer = self.network.stylizer
        restyled = stylizer(features, _FreeRegions(regions, stylizer.noise), codes, tuple(photo.shape[-2:]))
        total = reduce(regions, "b k h w -> b 1 h w", "sum")
        alpha = guided_upsample(total, photo).clamp(0, 1)
        return composite(photo, restyled, alpha), alpha

    def forward(self, photo: Tensor, codes: Tensor, routes: Tensor) -> tuple[Tensor, Tensor]:
        features, found = self.find(photo)
        return self.render(photo, features, einsum(found, routes, "b m h w, m k -> b k h w"), codes)


class OneStyle(OnePass):
    """Every material found becomes one style: of its exemplars' codes `n d` the nearest to the photo's own.
    photo: `b 3 h w` in [0, 1] -> image `b 3 h w`, alpha `b 1 h w`."""

    def __init__(self, network: UniStyleNetwork, candidates: Tensor):
        super().__init__(network)
        self.register_buffer("candidates", candidates)

    def forward(self, photo: Tensor) -> tuple[Tensor, Tensor]:
        features, found = self.find(photo)
        regions = reduce(found, "b m h w -> b 1 h w", "sum")
        stylizer = self.network.stylizer
        row = nearest(stylizer.encode(features, regions), self.candidates, stylizer.levels)
        return self.render(photo, features, regions, self.candidates[row])


def one_pass(checkpoint: Checkpoint, to: str | None = None) -> OnePass:
    """The module to export. to: a style of the bank or one exemplar of it, that the program holds; by default the
    program takes codes. Raises UnknownName."""
    if to is None:
        return OnePass(checkpoint.network)
    return OneStyle(checkpoint.network, checkpoint.bank.codes[checkpoint.bank.find(to)])


def export_program(module: OnePass) -> ExportedProgram:
    """The program of a module with free batch, height and width, and number of regions where it takes codes."""
    # Of torch 2.15; imported here, so that the modules above can be used with an older one.
    from torch.fx.experimental.dynamic_spec import ParamsSpec, ShapesSpec, ShapeVar, TensorSpec

    batch, regions = (ShapeVar(name, min=1, max=MOST) for name in ("batch", "regions"))
    height, width = (ShapeVar(name, min=SMALLEST, max=LARGEST) for name in ("height", "width"))
    materials, size = len(module.network.config.materials), module.network.stylizer.code_size
    shapes = {"photo": [batch, 3, height, width]}
    examples = [torch.rand(2, 3, 64, 96)]
    if not isinstance(module, OneStyle):
        shapes |= {"codes": [batch, regions, size], "routes": [materials, regions]}
        examples += [torch.rand(2, 2, size), torch.rand(materials, 2)]
    spec = ShapesSpec(params=ParamsSpec({name: TensorSpec(shape) for name, shape in shapes.items()}))
    with torch.no_grad():
        return torch.export.export(module, tuple(examples), dynamic_shapes=spec)


def metadata(checkpoint: Checkpoint, to: str | None = None) -> dict[str, str]:
    """What a program's user needs besides it, as text: `materials` and `styles` ([style, exemplar] pairs) as JSON,
    `codes` as base64 of little-endian float32, a row an exemplar; the style that the program holds, or nothing; and
    the checkpoint's notes."""
    bank = checkpoint.bank
    return {
        "format": "unistyle-program",
        "version": str(VERSION),
        "materials": json.dumps(checkpoint.network.config.materials),
        "styles": json.dumps(bank.names),
        "codes": base64.b64encode(bank.codes.numpy().astype("<f4").tobytes()).decode(),
        "to": to or "",
        "notes": json.dumps(checkpoint.notes),
    }


def export_torch(checkpoint: Checkpoint, path: str | Path, to: str | None = None) -> Path:
    """Write a `.pt2` file for `torch.export.load`, complete or not at all, with the metadata beside the program as
    `unistyle.json`; returns it. Raises UnknownName, and ValueError for another ending."""
    path = _ending(path, ".pt2")
    program = export_program(one_pass(checkpoint, to))
    program.example_inputs = None  # which would be pickled into the file, in vain
    with atomic(path) as temporary:
        extra = {"unistyle.json": json.dumps(metadata(checkpoint, to))}
        # A stream, because the name of a file that is not called .pt2 is warned of.
        with temporary.open("wb") as file:
            torch.export.save(program, file, extra_files=extra)
    return path


def export_onnx(checkpoint: Checkpoint, path: str | Path, to: str | None = None) -> Path:
    """Write an `.onnx` file, complete or not at all, with the metadata in it; returns it. Raises UnknownName, and
    ValueError for another ending."""
    path, module = _ending(path, ".onnx"), one_pass(checkpoint, to)
    inputs = ["photo"] if isinstance(module, OneStyle) else ["photo", "codes", "routes"]
    program = torch.onnx.export(
        export_program(module),
        dynamo=True,
        verbose=False,
        input_names=inputs,
        output_names=["image", "alpha"],
    )
    model = program.model
    model.metadata_props.update(metadata(checkpoint, to))
    model.producer_name = "unistyle"
    _name_sizes([*model.graph.inputs, *model.graph.outputs])
    with atomic(path) as temporary:
        program.save(temporary, external_data=False)
    return path


def _name_sizes(values: Sequence) -> None:
    """Give the free sizes of a graph's inputs and outputs the names that they have in the documentation."""
    import onnx_ir

    layout = {"photo": "batch 3 height width", "codes": "batch regions d", "routes": "materials regions"}
    for value in values:
        names = layout.get(value.name, layout["photo"]).split()
        sizes = zip(names, value.shape, strict=True)
        value.shape = onnx_ir.Shape([size if isinstance(size, int) else name for name, size in sizes])


def _ending(path: str | Path, suffix: str) -> Path:
    if (path := Path(path)).suffix != suffix:
        raise ValueError(f"{path}: wanted a name that ends in {suffix}")
    return path


def reference(network: UniStyleNetwork, photo: Tensor, candidates: Tensor) -> tuple[Tensor, Tensor]:
    """Image and alpha by the network itself, of a photo `1 3 h w` whose materials all get the nearest of the
    candidates `n d`."""
    features, logits = network.find(photo)
    regions = reduce(network.regions(logits), "b m h w -> b 1 h w", "sum")
    row = nearest(network.stylizer.encode(features, regions), candidates, network.stylizer.levels)
    _, alpha, image = network.render(photo, features, regions, candidates[row])
    return image, alpha


class Difference(NamedTuple):
    """Between a file and the network on one photo. size: (height, width); image, alpha: the largest in 8-bit values;
    share: of the image's values that differ at all; covered: share of the frame where alpha is above 0."""

    size: tuple[int, int]
    image: int
    alpha: int
    share: float
    covered: float


def check(checkpoint: Checkpoint, path: str | Path, photos: Iterable[Image.Image]) -> Iterator[Difference]:
    """How far what onnxruntime makes of photos with a file of `export_onnx` is from what the network makes of them:
    every material found becomes the file's style, or, where it takes codes, one exemplar of the bank after another.
    """
    session = onnx_session(path)
    to = session.get_modelmeta().custom_metadata_map["to"]
    network, bank = checkpoint.network, checkpoint.bank
    routes = np.ones((len(network.config.materials), 1), np.float32)
    for i, photo in enumerate(photos):
        photo = to_tensor(photo)[None]
        codes = bank.codes[bank.find(to)] if to else bank.codes[i % len(bank.codes)][None]
        inputs = {"photo": photo.numpy()}
        inputs |= {} if to else {"codes": codes[None].numpy(), "routes": routes}
        with torch.no_grad():
            wanted = reference(network, photo, codes)
        got = (torch.from_numpy(x) for x in session.run(["image", "alpha"], inputs))
        # uint8 has no negative numbers.
        image, alpha = (
            (as_bytes(a).int() - as_bytes(b).int()).abs() for a, b in zip(got, wanted, strict=True)
        )
        share, covered = (x.float().mean().item() for x in (image > 0, wanted[1] > 0))
        yield Difference(tuple(photo.shape[-2:]), int(image.max()), int(alpha.max()), share, covered)


def onnx_session(path: str | Path):
    """A session of onnxruntime on the CPU, with as many threads as PyTorch. Raises ValueError where it cannot be
    made."""
    import onnxruntime
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidGraph, InvalidProtobuf, NoSuchFile

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except (Fail, InvalidGraph, InvalidProtobuf, NoSuchFile) as error:
        raise ValueError(f"{path}: onnxruntime cannot use it ({error}); export it again") from error


def _export(args: argparse.Namespace) -> int:
    checkpoint = load_checkpoint(args.checkpoint)
    path = args.export(checkpoint, args.out, args.to)
    print(
        f"{path}: {path.stat().st_size / 1e6:.1f} MB, for {args.to or 'any style of the bank, or other codes'}"
    )
    return 0


def _check(args: argparse.Namespace) -> int:
    photos = (
        ImageOps.fit(read_image(path).convert("RGB"), CHECK_SIZES[i % len(CHECK_SIZES)][::-1])
        for i, path in enumerate(args.photos)
    )
    worst = 0
    print(f"{'photo':40}{'height x width':>16}{'image':>7}{'alpha':>7}{'share':>10}{'covered':>9}")
    for path, each in zip(
        args.photos, check(load_checkpoint(args.checkpoint), args.file, photos), strict=True
    ):
        size = " x ".join(map(str, each.size))
        row = f"{size:>16}{each.image:7}{each.alpha:7}{each.share:10.5f}{each.covered:9.2f}"
        print(f"{Path(path).name[-39:]:40}{row}", flush=True)
        worst = max(worst, each.image, each.alpha)
    print(f"largest difference from the network: {worst} of 255; accepted: {TOLERANCE}")
    return int(worst > TOLERANCE)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m unistyle.export", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    kinds = {"onnx": ("an .onnx file", export_onnx), "torch": ("a .pt2 file of torch.export", export_torch)}
    for name, (what, export) in kinds.items():
        sub = commands.add_parser(name, help=f"write {what}", description=f"Write {what}.")
        sub.set_defaults(run=_export, export=export)
        sub.add_argument("checkpoint", metavar="CHECKPOINT", help="file, folder or hub id")
        sub.add_argument("--out", type=Path, required=True, metavar="FILE", help=what)
        sub.add_argument(
            "--to",
            metavar="STYLE",
            help="stone, or one exemplar: stone/quarry; for every material found (default: styles are an input)",
        )
    text = "compare an .onnx file with the network, on photos of ten sizes"
    sub = commands.add_parser("check", help=text, description=f"{text[0].upper()}{text[1:]}.")
    sub.set_defaults(run=_check)
    sub.add_argument("checkpoint", metavar="CHECKPOINT", help="that the file was made of")
    sub.add_argument("file", metavar="FILE", help="made by the command onnx")
    sub.add_argument("photos", nargs="+", metavar="PHOTO", help="each is cut to one of ten sizes")
    return parser


def main(argv: list[str] | None = None) -> int:
    """0: done; 1: `check` found a larger difference than accepted; 2: bad usage or input, or what the export needs
    is not installed."""
    try:
        args = _parser().parse_args(argv)
        return args.run(args)
    except SystemExit as stop:  # argparse, which has said why
        return stop.code
    except ImportError as error:
        print(f"python -m unistyle.export: error: {error}; pip install 'unistyle[onnx]'", file=sys.stderr)
    except (ValueError, OSError) as error:
        print(f"python -m unistyle.export: error: {error}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
