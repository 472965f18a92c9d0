"""The public class: photos in; restyled photos, masks and what was found out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import einsum, rearrange, reduce
from PIL import Image
from torch import Tensor

from unistyle.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from unistyle.devices import pick_device, pick_precision
from unistyle.features import resize_regions
from unistyle.images import ImageError, Photo, mask_from_pil, photo_from_pil, read_photo, to_pil, to_tensor
from unistyle.network.composite import alpha_of, composite
from unistyle.network.unistyle import SMALLEST
from unistyle.styles import UnknownName, encode_photo, fit, nearest

REST = "*"  # in a mapping: every material that it does not name
MAX_SIZE = 1024  # pixels; the network has seen objects of a few hundred, and larger ones get a finer grain
COLORS = ("style", "keep")
FOUND = 0.01  # share of the frame from which a material counts as found

AnyPhoto = Image.Image | Photo | str | Path


@dataclass(frozen=True)
class Result:
    """A restyled photo.

    image: PIL image of the photo's size, RGB, or RGBA where the photo has transparency; equal to the photo to
    the bit where mask is 0. mask: 8-bit grey PIL image of the same size, white = restyled. materials:
    material -> share of the frame, in [0, 1], for every material of at least 1 % that was found, restyled or
    not. styles: material (or "*": the rest, or the given mask) -> the exemplar that was used, for every
    region that is not empty.
    """

    image: Image.Image
    mask: Image.Image
    materials: dict[str, float]
    styles: dict[str, str]


class Target(NamedTuple):
    """One region: the materials in it, and its candidate styles (names; codes `n d`)."""

    key: str
    materials: tuple[int, ...]
    names: tuple[str, ...]
    codes: Tensor


class Plan(tuple[Target, ...]):
    """What becomes what, resolved once and good for any number of photos."""


class _Stack(NamedTuple):
    """Photos of one size: rgb `b 3 h w`; visible `b 1 h w`, 0 where transparent; mask `b 1 h w` or None."""

    rgb: Tensor
    visible: Tensor
    mask: Tensor | None


class UniStyle:
    """A network and its style bank, for photos of any size and mode."""

    def __init__(self, checkpoint: Checkpoint, device: str | torch.device = "auto", precision: str = "fp32"):
        """device: auto, cpu, cuda, cuda:1, mps; auto takes the best there is. precision: fp32, bf16 or fp16
        for the convolutions; statistics and the composite stay in fp32. Raises ValueError for a device that
        is absent."""
        self.device, self.dtype = pick_device(device), pick_precision(precision)
        self.network = checkpoint.network.eval().to(self.device, memory_format=torch.channels_last)
        self.bank, self.notes = checkpoint.bank, checkpoint.notes

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        device: str | torch.device = "auto",
        precision: str = "fp32",
        revision: str | None = None,
    ) -> "UniStyle":
        """source: a `.safetensors` file, a folder with one, or a hub id. Raises CheckpointError."""
        return cls(load_checkpoint(source, revision), device, precision)

    def save_pretrained(self, path: str | Path, half: bool = True) -> Path:
        """Write a `.safetensors` file, or `model.safetensors` into a folder; returns the file."""
        return save_checkpoint(path, Checkpoint(self.network, self.bank, self.notes), half)

    @property
    def materials(self) -> tuple[str, ...]:
        """The materials that the segmenter knows."""
        return self.network.config.materials

    @property
    def styles(self) -> list[str]:
        """The styles of the bank."""
        return self.bank.styles

    def restyle(self, photo: AnyPhoto, to: object, mask: AnyPhoto | None = None, **options) -> Result:
        """Restyle one photo.

        photo: a PIL image of any mode, or a path. to: a style, or a mapping from materials to styles, all in
        one pass; a style is a name of the bank (`stone`: the exemplar that suits the photo best;
        `stone/quarry`: that one), a path, or a PIL image. One style alone is for every material found. In a
        mapping, `"*"` stands for the materials that it does not name; without it they stay as they are. mask:
        restyle here (white) in place of what is found. options: see `restyle_batch`.

        Raises UnknownName for a style or material that the checkpoint does not know, ImageError for an
        unusable photo or mask, ValueError for an option out of range.
        """
        return self.restyle_batch([photo], to, None if mask is None else [mask], **options)[0]

    @torch.inference_mode()
    def restyle_batch(
        self,
        photos: Sequence[AnyPhoto],
        to: object,
        masks: Sequence[AnyPhoto] | None = None,
        strength: float = 1.0,
        color: str = "style",
        max_size: int | None = MAX_SIZE,
    ) -> list[Result]:
        """Restyle photos of one size in one pass; `photos`, `to` and `masks` as in `restyle`.

        strength: 0 leaves the photo, 1 is the full style. color: "style", or "keep" for the photo's own
        colours with the style's luminance alone. max_size: the network sees the photo with at most this
        longer side, in pixels; the result is laid over the photo at full size. None: no limit.
        """
        _check_options(strength, color, max_size)
        plan = self.plan(to)
        if masks is not None and len(plan) != 1:
            raise ValueError(
                f"a mask is one region, for one style; got {len(plan)}: {', '.join(t.key for t in plan)}"
            )
        photos = [_as_photo(photo) for photo in photos]
        width, height = photos[0].size
        stack = _stack(photos, masks, _smallest(width, height, max_size))
        stack = _Stack(*(None if part is None else part.to(self.device) for part in stack))
        found, regions, chosen, alpha, restyled = self._run(stack, plan, max_size)
        image = composite(stack.rgb, restyled, alpha, strength, color == "keep")[..., :height, :width]
        alpha = alpha[..., :height, :width]
        shares = reduce(found, "b m h w -> b m", "mean").tolist()
        used = reduce(regions, "b k h w -> b k", "mean") >= FOUND
        return [
            Result(
                photo.with_rgb(to_pil(image[i])),
                to_pil(alpha[i]),
                {
                    name: share
                    for name, share in zip(self.materials, shares[i], strict=True)
                    if share >= FOUND
                },
                {t.key: t.names[c] for t, c, u in zip(plan, chosen[i], used[i], strict=True) if u},
            )
            for i, photo in enumerate(photos)
        ]

    def plan(self, to: object) -> Plan:
        """Resolve `to` (see `restyle`): look names up, encode style photos. A Plan can be given in place of
        `to`."""
        if isinstance(to, Plan):
            return to
        mapping = dict(to) if isinstance(to, Mapping) else {REST: to}
        if not mapping:
            raise ValueError("an empty mapping restyles nothing; give at least one material and its style")
        if unknown := [key for key in mapping if key != REST and key not in self.materials]:
            raise UnknownName("material", str(unknown[0]), self.materials)
        rest = tuple(i for i, name in enumerate(self.materials) if name not in mapping)
        return Plan(
            Target(key, rest if key == REST else (self.materials.index(key),), *self._style(style))
            for key, style in mapping.items()
        )

    @torch.inference_mode()
    def _style(self, style: object) -> tuple[tuple[str, ...], Tensor]:
        """Names and codes `n d` that a style may stand for."""
        known = isinstance(style, str) and self.bank.rows(style)
        if known or (isinstance(style, str) and not Path(style).is_file()):
            rows = self.bank.find(style)
            return tuple("/".join(self.bank.names[row]) for row in rows), self.bank.codes[rows]
        if not isinstance(style, AnyPhoto):
            raise ValueError(
                f"a style is a name of the bank, a path or a PIL image; got {type(style).__name__}"
            )
        with self._autocast():
            code = encode_photo(self.network, _as_photo(style))
        return (str(style) if isinstance(style, str | Path) else "photo",), code[None]

    def _run(self, stack: _Stack, plan: Plan, max_size: int | None):
        """Found regions `b m . .`, regions of the plan `b k . .`, rows of the chosen styles (b lists of k),
        alpha `b 1 h w`, restyled `b 3 h w`."""
        photo = _opaque(stack)
        small = fit(photo, max_size).contiguous(memory_format=torch.channels_last)
        with self._autocast():
            features, logits = self.network.find(small)
            found = self.network.regions(logits)
            # What is transparent is neither restyled nor part of the region's statistics.
            found = found * resize_regions(stack.visible, found.shape[-2:])
            regions = self._regions(stack, plan, found, small.shape[-2:])
            own = self.network.stylizer.encode(features, regions)
            codes, chosen = _choose(own, plan, self.network.stylizer.levels)
            restyled, alpha, _ = self.network.render(small, features, regions, codes)
        alpha, restyled = alpha.float(), restyled.float()
        if small.shape != photo.shape:
            alpha = alpha_of(photo, regions) if stack.mask is None else stack.mask
            restyled = F.interpolate(restyled, size=photo.shape[-2:], mode="bicubic").clamp(0, 1)
        return found, regions, chosen, alpha * stack.visible, restyled

    def _regions(self, stack: _Stack, plan: Plan, found: Tensor, size: Sequence[int]) -> Tensor:
        if stack.mask is not None:
            return resize_regions(stack.mask * stack.visible, size)
        routes = found.new_zeros(found.shape[1], len(plan))
        for k, target in enumerate(plan):
            routes[list(target.materials), k] = 1
        return einsum(found, routes, "b m h w, m k -> b k h w")

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)


def _choose(own: Tensor, plan: Plan, levels: tuple[int, ...]) -> tuple[Tensor, list[list[int]]]:
    """Codes `b k d` of the nearest candidates of each target to the photo's own codes `b k d`, and their
    rows."""
    codes, chosen = [], []
    for k, target in enumerate(plan):
        candidates = target.codes.to(own.device)
        row = nearest(own[:, k], candidates, levels)
        codes.append(candidates[row])
        chosen.append(row)
    return torch.stack(codes, dim=1), rearrange(torch.stack(chosen), "k b -> b k").tolist()


def _opaque(stack: _Stack) -> Tensor:
    """The photos `b 3 h w` with the mean colour of what is visible where nothing is: the colours that a file
    happens to hold under full transparency have no say."""
    area = reduce(stack.visible, "b 1 h w -> b 1 1 1", "mean").clamp_min(1e-6)
    mean = reduce(stack.rgb * stack.visible, "b c h w -> b c 1 1", "mean") / area
    return torch.where(stack.visible > 0, stack.rgb, mean)


def _as_photo(photo: AnyPhoto) -> Photo:
    if isinstance(photo, Photo):
        return photo
    return photo_from_pil(photo) if isinstance(photo, Image.Image) else read_photo(photo)


def _smallest(width: int, height: int, max_size: int | None) -> tuple[int, int]:
    """(width, height) that a photo needs so that, shrunk to max_size, no side is below what the network
    takes."""
    scale = max(1.0, max(width, height) / max_size) if max_size else 1.0
    least = -int(-SMALLEST * scale // 1)
    return max(width, least), max(height, least)


def _stack(photos: list[Photo], masks: Sequence[AnyPhoto] | None, size: tuple[int, int]) -> _Stack:
    """Photos and masks as tensors, the last row and column repeated up to `size` (width, height)."""
    if other := {photo.size for photo in photos} - {photos[0].size}:
        raise ImageError(f"photos of sizes {photos[0].size} and {other.pop()} in one batch; wanted one size")
    opaque = Image.new("L", photos[0].size, 255)
    opacities = [opaque if photo.opacity is None else photo.opacity for photo in photos]
    rgb, visible = _tensor([photo.rgb for photo in photos], size), (_tensor(opacities, size) > 0).float()
    if masks is None:
        return _Stack(rgb, visible, None)
    masks = [mask_from_pil(_as_photo(mask)) for mask in masks]
    if wrong := [mask.size for mask in masks if mask.size != photos[0].size]:
        raise ImageError(
            f"a mask of size {wrong[0]} for a photo of size {photos[0].size}; wanted the photo's size"
        )
    return _Stack(rgb, visible, _tensor(masks, size))


def _tensor(images: Sequence[Image.Image], size: tuple[int, int]) -> Tensor:
    batch = torch.stack([to_tensor(image) for image in images])
    height, width = batch.shape[-2:]
    return F.pad(batch, (0, size[0] - width, 0, size[1] - height), mode="replicate")


def _check_options(strength: float, color: str, max_size: int | None) -> None:
    if not 0 <= strength <= 1:
        raise ValueError(f"strength {strength}; wanted a number from 0 (the photo) to 1 (the full style)")
    if color not in COLORS:
        raise ValueError(f"color {color!r}; wanted one of {', '.join(COLORS)}")
    if max_size is not None and max_size < SMALLEST:
        raise ValueError(f"max_size {max_size}; wanted {SMALLEST} pixels or more, or None for no limit")
