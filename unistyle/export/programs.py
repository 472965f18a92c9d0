"""Export a checkpoint: to ONNX, for onnxruntime and others, or as a program of torch.export.

docs/export.md says what the programs take and give, and how to run them. Batch, height and width are free.
"""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram

from unistyle.checkpoint.checkpoint import Checkpoint
from unistyle.export.modules import LARGEST, OnePass, OneStyle, one_pass
from unistyle.files.atomic import atomic
from unistyle.network.model import SMALLEST
from unistyle.styles.swatches import TILE

MOST = 2**10  # photos and regions of a pass
VERSION = 3  # of inputs, outputs and metadata of the exported programs


def export_program(module: OnePass) -> ExportedProgram:
    """The program of a module. Batch, height and width are free, and so is the number of regions if it takes
    swatches."""
    # Imported here, so that everything else works with an older torch that does not have it yet.
    from torch.fx.experimental.dynamic_spec import ParamsSpec, ShapesSpec, ShapeVar, TensorSpec

    batch, regions = (ShapeVar(name, min=1, max=MOST) for name in ("batch", "regions"))
    height, width = (ShapeVar(name, min=SMALLEST, max=LARGEST) for name in ("height", "width"))
    materials, size = len(module.network.config.materials), module.network.stylizer.code_size
    shapes: dict[str, list] = {"photo": [batch, 3, height, width]}
    examples = [torch.rand(2, 3, 64, 96)]
    if not isinstance(module, OneStyle):
        shapes |= {
            "codes": [batch, regions, size],
            "tiles": [batch, regions, 3, TILE, TILE],
            "structure": [batch, regions],
            "routes": [2 * materials, regions],
        }
        examples += [torch.rand(2, 2, size), torch.rand(2, 2, 3, TILE, TILE), torch.rand(2, 2)]
        examples.append(torch.rand(2 * materials, 2))
    spec = ShapesSpec(params=ParamsSpec({name: TensorSpec(shape) for name, shape in shapes.items()}))
    with torch.no_grad():
        return torch.export.export(module, tuple(examples), dynamic_shapes=spec)


def metadata(checkpoint: Checkpoint, to: str | None = None) -> dict[str, str]:
    """What the user of a program needs besides it, as text: `materials` and `styles` ([style, exemplar] pairs) as JSON;
    `codes` as base64 of little-endian float32, one row for each exemplar; so `structure`; `tiles` as base64 of bytes,
    rows of 3 TILE TILE; `to`, the style that the program holds, or
    nothing; and the checkpoint's notes as JSON."""
    bank = checkpoint.bank
    return {
        "format": "unistyle-program",
        "version": str(VERSION),
        "materials": json.dumps(checkpoint.network.config.materials),
        "styles": json.dumps(bank.names),
        "codes": base64.b64encode(bank.codes.numpy().astype("<f4").tobytes()).decode(),
        "tiles": base64.b64encode(bank.swatches.tiles.numpy().tobytes()).decode(),
        "structure": base64.b64encode(bank.swatches.structure.numpy().astype("<f4").tobytes()).decode(),
        "to": to or "",
        "notes": json.dumps(checkpoint.notes),
    }


def export_torch(checkpoint: Checkpoint, path: str | Path, to: str | None = None) -> Path:
    """Write a `.pt2` file for `torch.export.load`, complete or not at all, with the metadata beside the program as
    `unistyle.json`; returns it. Raises UnknownNameError, and ValueError for another ending."""
    path = _ending(path, ".pt2")
    program = export_program(one_pass(checkpoint, to))
    program.example_inputs = None  # they would be pickled into the file for nothing
    with atomic(path) as temporary:
        extra = {"unistyle.json": json.dumps(metadata(checkpoint, to))}
        # A stream, because torch warns of a file whose name does not end in .pt2.
        with temporary.open("wb") as file:
            torch.export.save(program, file, extra_files=extra)
    return path


def export_onnx(checkpoint: Checkpoint, path: str | Path, to: str | None = None) -> Path:
    """Write an `.onnx` file, complete or not at all, with the metadata in it; returns it. Raises UnknownNameError, and
    ValueError for another ending."""
    path, module = _ending(path, ".onnx"), one_pass(checkpoint, to)
    import onnxscript.optimizer

    inputs = ["photo"] if isinstance(module, OneStyle) else ["photo", "codes", "tiles", "structure", "routes"]
    program: Any = torch.onnx.export(
        export_program(module),
        dynamo=True,
        # The exporter's optimizer compares every node with every pattern: two fifths of the time, for a file that is
        # larger and runs no faster, because onnxruntime joins what it can by itself.
        optimize=False,
        verbose=False,
        input_names=inputs,
        output_names=["image", "alpha"],
    )
    model = program.model
    onnxscript.optimizer.fold_constants(model)
    onnxscript.optimizer.remove_unused_nodes(model)
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
    layout |= {"tiles": "batch regions 3 side side", "structure": "batch regions"}
    for value in values:
        names = layout.get(value.name, layout["photo"]).split()
        sizes = zip(names, value.shape, strict=True)
        value.shape = onnx_ir.Shape([size if isinstance(size, int) else name for name, size in sizes])


def _ending(path: str | Path, suffix: str) -> Path:
    if (path := Path(path)).suffix != suffix:
        raise ValueError(f"{path}: wanted a name that ends in {suffix}")
    return path
