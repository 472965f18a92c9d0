"""Finished results of the Gatys teacher on disk."""

from dataclasses import asdict
from functools import cached_property
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

from unistyle.data.transfer import Transfer
from unistyle.files.atomic import kept
from unistyle.files.digest import digest
from unistyle.files.photos import read_image
from unistyle.files.tensors import as_bytes, to_pil, to_tensor
from unistyle.files.writing import save_png
from unistyle.teachers.gatys import GatysConfig, Progress, restyle

VERSION = 2  # of the method, in the cache's key: raise it with every change of what `restyle` returns


class GatysCache:
    """Results on disk, so that no photo is optimised twice and interrupted work resumes where it stopped.

    A result is an 8-bit PNG, named by a digest of the images and regions (at 8 bits), the config and the weights of
    `vgg`. Files appear complete or not at all, so that several processes may share the folder.
    """

    def __init__(self, folder: str | Path, vgg: nn.Module, config: GatysConfig | None = None):
        self.folder, self.vgg, self.config = Path(folder), vgg, config or GatysConfig()

    @cached_property
    def _settings(self) -> str:
        return digest(VERSION, asdict(self.config), self.vgg)

    def path(self, transfer: Transfer, start: Tensor | None = None) -> Path:
        """Where a result is kept, whether or not it is there yet."""
        images = transfer if start is None else (*transfer, start)
        name = digest(self._settings, *(as_bytes(image.detach()) for image in images))
        return self.folder / name[:2] / f"{name}.png"

    def restyle(
        self, transfer: Transfer, progress: Progress | None = None, start: Tensor | None = None
    ) -> Tensor:
        """The result for one photo, `1 3 h w` at 8 bits inside the region, from disk or computed and kept. start: as of
        `unistyle.teachers.gatys.restyle`."""

        def make() -> Image.Image:
            return to_pil(restyle(self.vgg, *transfer, self.config, progress, start)[0])

        found = to_tensor(kept(self.path(transfer, start), make, save_png, read_image))[None].to(
            transfer.photo
        )
        return torch.where(transfer.region > 0, found, transfer.photo)
