"""Finished results of the Gatys teacher on disk."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn

from unistyle.data.transfer import Transfer
from unistyle.files.digest import tensor_bytes
from unistyle.files.photos import read_image
from unistyle.files.tensors import to_pil, to_tensor
from unistyle.files.writing import save_png
from unistyle.teachers.gatys import GatysConfig, Progress, restyle

VERSION = 2  # of the method, in the cache's key: raise it with every change of what `restyle` returns


class GatysCache:
    """Results on disk, so that no photo is optimised twice and interrupted work resumes where it stopped.

    A result is an 8-bit PNG named by the hash of the images and regions (at 8 bits), the config and the
    weights of `vgg`. Files appear complete or not at all, so that several processes may share the folder.
    """

    def __init__(self, folder: str | Path, vgg: nn.Module, config: GatysConfig | None = None):
        self.folder, self.vgg, self.config = Path(folder), vgg, config or GatysConfig()
        settings = hashlib.sha256(json.dumps([VERSION, asdict(self.config)], sort_keys=True).encode())
        for name, value in sorted(vgg.state_dict().items()):
            settings.update(name.encode() + tensor_bytes(value))
        self._settings = settings.digest()

    def path(self, job: Transfer) -> Path:
        """Where the result of a job is kept, whether or not it is there yet."""
        key = hashlib.sha256(self._settings)
        for image in job:
            eight_bit = (image.detach().float().clamp(0, 1) * 255).round().to(torch.uint8)
            key.update(repr(tuple(image.shape)).encode() + tensor_bytes(eight_bit))
        name = key.hexdigest()[:32]
        return self.folder / name[:2] / f"{name}.png"

    def restyle(self, job: Transfer, progress: Progress | None = None) -> Tensor:
        """The result of one job, `1 3 h w` at 8 bits inside the region, from disk or computed and kept."""
        path = self.path(job)
        if not path.is_file():
            save_png(to_pil(restyle(self.vgg, *job, self.config, progress)[0]), path)
        kept = to_tensor(read_image(path))[None].to(job.photo)
        return torch.where(job.region > 0, kept, job.photo)

    def restyle_all(self, jobs: Iterable[Transfer], progress: Progress | None = None) -> Iterator[Tensor]:
        """The results of many jobs one after another, those on disk without work."""
        return (self.restyle(job, progress) for job in jobs)
