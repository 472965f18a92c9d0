"""How far an exported program is from the network."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from einops import reduce
from PIL import Image
from torch import Tensor

from unistyle.checkpoint.checkpoint import Checkpoint
from unistyle.files.tensors import as_bytes, as_float, to_tensor
from unistyle.network.laying import Samples
from unistyle.network.model import UniStyleNetwork
from unistyle.styles.codes import nearest
from unistyle.styles.swatches import Swatches

TOLERANCE = 2  # of 255: the largest difference from the network that `check` accepts
CHECK_SIZES = ((97, 131), (288, 288), (210, 160), (287, 401), (333, 250), (384, 512), (511, 389), (577, 700),
               (720, 1080), (32, 45))  # height, width  # fmt: skip


def reference(network: UniStyleNetwork, photo: Tensor, candidates: Swatches) -> tuple[Tensor, Tensor]:
    """Image and alpha by the network itself, for a photo `1 3 h w` whose main object gets the nearest of the
    candidates."""
    features, logits = network.find(photo)
    main = network.places(logits)[:, : len(network.config.materials)]
    regions = reduce(main, "b m h w -> b 1 h w", "sum")
    row = nearest(network.stylizer.encode(features, regions), candidates.codes, network.stylizer.levels)
    chosen = candidates[row]
    samples = Samples(as_float(chosen.tiles), chosen.structure)
    _, alpha, image = network.render(photo, features, regions, chosen.codes, samples)
    return image, alpha


class Difference(NamedTuple):
    """How far a file is from the network on one photo."""

    size: tuple[int, int]
    """(height, width) of the photo."""
    image: int
    """The largest difference of the images, in 8-bit values."""
    alpha: int
    """The largest difference of alpha, in 8-bit values."""
    share: float
    """Share of the image's values that differ at all."""
    covered: float
    """Share of the frame where alpha is above 0."""


def check(checkpoint: Checkpoint, path: str | Path, photos: Iterable[Image.Image]) -> Iterator[Difference]:
    """How far the results of onnxruntime, with a file of `export_onnx`, are from those of the network on some photos.

    Every material of the main object becomes the file's style. Where the file takes swatches, the exemplars of the bank
    take turns.
    """
    session = onnx_session(path)
    to = session.get_modelmeta().custom_metadata_map["to"]
    network, bank = checkpoint.network, checkpoint.bank
    routes = np.repeat([[1.0], [0.0]], len(network.config.materials), axis=0).astype(np.float32)
    for i, picture in enumerate(photos):
        photo = to_tensor(picture)[None]
        rows = bank.find(to) if to else [i % len(bank.names)]
        swatches = bank.swatches[rows]
        inputs = {"photo": photo.numpy()}
        if not to:
            inputs |= {"codes": swatches.codes[None].numpy(), "tiles": as_float(swatches.tiles)[None].numpy()}
            inputs |= {"structure": swatches.structure[None].numpy(), "routes": routes}
        with torch.no_grad():
            wanted = reference(network, photo, swatches)
        got = (torch.from_numpy(x) for x in session.run(["image", "alpha"], inputs))
        # uint8 has no negative numbers.
        image, alpha = (
            (as_bytes(a).int() - as_bytes(b).int()).abs() for a, b in zip(got, wanted, strict=True)
        )
        share, covered = (x.float().mean().item() for x in (image > 0, wanted[1] > 0))
        height, width = photo.shape[-2:]
        yield Difference((height, width), int(image.max()), int(alpha.max()), share, covered)


def onnx_session(path: str | Path):
    """A session of onnxruntime on the CPU with as many threads as PyTorch. Raises ValueError for a file that it cannot
    use."""
    import onnxruntime
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidGraph, InvalidProtobuf, NoSuchFile

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except (Fail, InvalidGraph, InvalidProtobuf, NoSuchFile) as error:
        raise ValueError(f"{path}: onnxruntime cannot use it ({error}); export it again") from error
