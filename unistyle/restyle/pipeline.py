"""The public class: photos in; restyled photos, masks and what was found out."""

import hashlib
import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from einops import einsum, reduce
from PIL import Image
from torch import Tensor

from unistyle.checkpoint.checkpoint import Checkpoint, load_checkpoint
from unistyle.checkpoint.hub import HubFolder
from unistyle.devices import map_on_cores, out_of_memory, pick_device, pick_precision
from unistyle.errors import UnknownNameError
from unistyle.files.photos import Photo
from unistyle.files.places import Place, place
from unistyle.files.tensors import as_bytes, as_float, to_pil
from unistyle.maths.resizing import part_of_resized, resize_regions, shrink
from unistyle.network.composite import composite, guided_apply, guided_model
from unistyle.network.model import SMALLEST
from unistyle.restyle.cpu import use_onednn
from unistyle.restyle.overlay import BAND
from unistyle.restyle.passes import LEAST_AT_ONCE, PIXELS_AT_ONCE, PIXELS_AT_ONCE_ELSEWHERE, Restyled
from unistyle.restyle.plan import REST, Plan, Target, choose
from unistyle.restyle.stack import AnyPhoto, Stack, as_photo, opaque, smallest, stack_photos, working_pixels
from unistyle.restyle.tiles import restyle_in_tiles
from unistyle.styles.codes import encode_photo
from unistyle.styles.mixing import mix, split_mix
from unistyle.video.memory import Memory

log = logging.getLogger(__name__)


MAX_SIZE = 1024  # pixels; the network has seen objects of a few hundred, and larger ones get a finer grain
COLORS = ("style", "keep")
FOUND = 0.01  # share of the frame from which a material counts as found


@dataclass(frozen=True)
class Result:
    """A restyled photo.

    image: PIL image of the photo's size, RGB, or RGBA where the photo has transparency; equal to the photo to
    the bit where mask is 0. mask: 8-bit grey PIL image of the same size, white = restyled. materials:
    material -> share of the frame, in [0, 1], for every material of at least 1 % that was found, restyled or
    not. styles: material (or "*": the rest, or the given mask) -> the exemplar or the mix of exemplars that was
    used, for every region that is not empty.
    """

    image: Image.Image
    mask: Image.Image
    materials: dict[str, float]
    styles: dict[str, str]


class UniStyle(HubFolder):
    """A network and its style bank, for photos of any size and mode."""

    def __init__(self, checkpoint: Checkpoint, device: str | torch.device = "auto", precision: str = "fp32"):
        """device: auto, cpu, cuda, cuda:1, mps; auto takes the best there is. precision: fp32, bf16 or fp16
        for the convolutions; statistics and the composite stay in fp32. Raises ValueError for a device that
        is absent."""
        self.device, self.dtype = pick_device(device), pick_precision(precision)
        self.network = checkpoint.network.eval().to(self.device, memory_format=torch.channels_last)
        if self.device.type == "cpu" and self.dtype == torch.float32:
            use_onednn(self.network)
        self.pixels_at_once = PIXELS_AT_ONCE.get(self.device.type, PIXELS_AT_ONCE_ELSEWHERE)
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

    @property
    def materials(self) -> tuple[str, ...]:
        """The materials that the segmenter knows."""
        return self.network.config.materials

    def fingerprint(self, plan: Plan) -> str:
        """What stands for the weights and a plan's style codes: equal where results are equal, whatever the file."""
        digest = hashlib.sha256()
        tensors = [*self.network.state_dict().values(), *(target.codes for target in plan)]
        for tensor in tensors:
            digest.update(tensor.float().cpu().contiguous().numpy())
        return digest.hexdigest()[:12]

    def compile(self) -> None:
        """Compile the network with torch.compile, in place: about a minute at the first photo of each size, for the
        first few sizes; others are not compiled. Whether it pays is to be tried (docs/batch.md)."""
        # Weights are packed once on a CPU. On CUDA graphs of kernels would be bound to one thread, so none are made.
        options = {"freezing": True} if self.device.type == "cpu" else None
        for module in (self.network.encoder, self.network.segmenter, self.network.stylizer):
            module.compile(dynamic=False, options=options)

    @property
    def styles(self) -> list[str]:
        """The styles of the bank."""
        return self.bank.styles

    def restyle(self, photo: AnyPhoto, to: object, mask: AnyPhoto | None = None, **options) -> Result:
        """Restyle one photo.

        photo: a PIL image of any mode, or a path. to: a style, or a mapping from materials to styles, all in
        one pass; a style is a name of the bank (`stone`: the exemplar that suits the photo best;
        `stone/quarry`: that one), a path, a mix of these by weight (`stone:0.7,wall.jpg:0.3`), or a PIL image. One
        style alone is for every material found. In a mapping, `"*"` stands for the materials that it does not
        name; without it they stay as they are. mask: restyle here (white) in place of what is found. options: see
        `restyle_batch`.

        Raises UnknownNameError for a style or material that the checkpoint does not know, ImageError for an
        unusable photo or mask, ValueError for an option out of range or a mix with an unusable weight.
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
        memory: Memory | None = None,
    ) -> list[Result]:
        """Restyle photos of one size in one pass; `photos`, `to` and `masks` as in `restyle`.

        strength: 0 leaves the photo, 1 is the full style. color: "style", or "keep" for the photo's own
        colours with the style's luminance alone. max_size: the network sees the photo with at most this
        longer side, in pixels; the result is laid over the photo at full size. None: no limit. What is more than
        `pixels_at_once` goes through the network in tiles; where memory runs out, fewer photos and then tiles
        are tried, with a warning. memory: of a video, whose frames are given in order, one a call (docs/video.md).
        """
        _check_options(strength, color, max_size)
        plan = self.plan(to)
        if masks is not None and len(plan) != 1:
            raise ValueError(
                f"a mask is one region, for one style; got {len(plan)}: {', '.join(t.key for t in plan)}"
            )
        if memory is not None and len(photos) != 1:
            raise ValueError(f"{len(photos)} frames of a video at a time; with a memory give them one a call")
        photos = [as_photo(photo) for photo in photos]
        options = dict(strength=strength, keep_color=color == "keep", max_size=max_size, memory=memory)
        most = max(1, self.pixels_at_once // working_pixels(*photos[0].size, max_size))
        results = []
        for i in range(0, len(photos), most):
            own = masks and masks[i : i + most]
            results += self._within_memory(photos[i : i + most], plan, own, options)
        return results

    def _within_memory(self, photos: list[Photo], plan: Plan, masks, options: dict) -> list[Result]:
        try:
            return self._restyle(photos, plan, masks, **options)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error) or not self._ask_for_less(photos):
                raise
        half = -(-len(photos) // 2)
        parts = [(photos[:half], masks and masks[:half]), (photos[half:], masks and masks[half:])]
        return [
            result for part, own in parts if part for result in self._within_memory(part, plan, own, options)
        ]

    def _ask_for_less(self, photos: list[Photo]) -> bool:
        """After memory ran out: whether the same can be tried with less."""
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        if len(photos) > 1:
            log.warning(
                "out of memory: %d photos at a time in place of %d", -(-len(photos) // 2), len(photos)
            )
            return True
        width, height = photos[0].size
        less = min(self.pixels_at_once, width * height) // 2
        if less < LEAST_AT_ONCE:
            return False
        self.pixels_at_once = less
        log.warning("out of memory: photos of over %.1f megapixels go in tiles from here on", less / 1e6)
        return True

    def _restyle(
        self,
        photos: list[Photo],
        plan: Plan,
        masks,
        strength: float,
        keep_color: bool,
        max_size: int | None,
        memory: Memory | None,
    ) -> list[Result]:
        width, height = photos[0].size
        stack = stack_photos(photos, masks, smallest(width, height, max_size))
        stack = Stack(*(None if part is None else part.to(self.device) for part in stack))
        small = shrink(opaque(stack), max_size)
        done = self._run(small, stack, plan, memory)
        image, alpha = self._overlay(stack, small, done, strength, keep_color)
        image, alpha = (x[..., :height, :width] for x in (image, alpha))
        shares = reduce(done.found, "b m h w -> b m", "mean").tolist()
        used = reduce(done.regions, "b k h w -> b k", "mean") >= FOUND
        return [
            Result(
                photo.with_rgb(to_pil(image[i])),
                to_pil(alpha[i]),
                {
                    name: share
                    for name, share in zip(self.materials, shares[i], strict=True)
                    if share >= FOUND
                },
                {t.key: t.names[c] for t, c, u in zip(plan, done.chosen[i], used[i], strict=True) if u},
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
            raise UnknownNameError("material", str(unknown[0]), self.materials)
        rest = tuple(i for i, name in enumerate(self.materials) if name not in mapping)
        return Plan(
            Target(key, rest if key == REST else (self.materials.index(key),), *self._style(style))
            for key, style in mapping.items()
        )

    @torch.inference_mode()
    def _style(self, style: object) -> tuple[tuple[str, ...], Tensor]:
        """Names and codes `n d` that a style may stand for."""
        if isinstance(style, str):
            return self._named(style)
        if not isinstance(style, AnyPhoto):
            raise ValueError(
                f"a style is a name of the bank, a path, a mix or a PIL image; got {type(style).__name__}"
            )
        return self._encoded(style, str(style) if isinstance(style, Place) else "photo")

    def _named(self, style: str) -> tuple[tuple[str, ...], Tensor]:
        if not self.bank.rows(style):
            # Before any address is looked up, because a part of a mix may be one.
            if not os.path.isfile(style) and (parts := split_mix(style)):
                return mix([self._named(part) for part, _ in parts], [weight for _, weight in parts])
            if (path := place(style)).is_file():
                return self._encoded(path, style)
        rows = self.bank.find(style, " A style photo is given as the path of an existing file.")
        return tuple("/".join(self.bank.names[row]) for row in rows), self.bank.codes[rows]

    def _encoded(self, photo: AnyPhoto, name: str) -> tuple[tuple[str, ...], Tensor]:
        with self._autocast():
            return (name,), encode_photo(self.network, as_photo(photo))[None]

    def _run(self, photo: Tensor, stack: Stack, plan: Plan, memory: Memory | None = None) -> Restyled:
        """The network on photos uint8 `b 3 h w` at their working size: in one pass, or in tiles."""
        whole = photo[:, 0].numel() <= self.pixels_at_once
        seen = as_float(photo if whole else shrink(photo, MAX_SIZE))
        with self._autocast():
            features, logits = self.network.find(seen)
            found = self.network.regions(logits)
            found = found if memory is None else memory.found(seen, found)
            if stack.visible is not None:
                # What is transparent is neither restyled nor part of the region's statistics.
                found = found * resize_regions(as_float(stack.visible), found.shape[-2:])
            regions = self._regions(stack, plan, found, seen.shape[-2:])
            own = self.network.stylizer.encode(features, regions)
            codes, chosen = choose(own, plan, self.network.stylizer.levels)
            if memory is not None:
                codes, chosen = memory.choose(codes, chosen, (regions.mean((0, 2, 3)) >= FOUND).tolist())
            if whole:
                w = regions if memory is None else memory.regions(regions, self.network.stylizer.noise)
                restyled = self.network.stylizer(features, w, codes, seen.shape[-2:])
            else:
                restyled = torch.cat(
                    [restyle_in_tiles(self.network, *each, run=self._map)
                     for each in zip(photo.split(1), regions.split(1), codes.split(1), strict=True)]
                )  # fmt: skip
        return Restyled(found, regions, chosen, restyled)

    def _map(self, function: Callable, *items: Iterable) -> Iterable:
        """`map` over tiles: on a CPU a core each, on an accelerator one after the other."""
        if self.device.type != "cpu":
            return map(function, *items)

        def run(*item):
            with torch.inference_mode(), self._autocast():  # which hold for one thread
                return function(*item)

        return map_on_cores(run, *items)

    def _overlay(
        self, stack: Stack, small: Tensor, done: Restyled, strength: float, keep_color: bool
    ) -> tuple[Tensor, Tensor]:
        """The restyled photo laid over the photo, and alpha: uint8 `b 3 h w` and `b 1 h w`; a band of rows at a
        time, so that a photo of any size takes little more memory than its pixels."""
        size = stack.rgb.shape[-2:]
        image, alpha = torch.empty_like(stack.rgb), torch.empty_like(stack.rgb[:, :1])
        total = reduce(done.regions, "b k h w -> b 1 h w", "sum")
        model = guided_model(total, as_float(shrink(small, MAX_SIZE))) if stack.mask is None else ()

        def lay(top: int) -> None:
            band = (top, min(top + rows, size[0])), (0, size[1])
            here = slice(*band[0])
            photo = as_float(stack.rgb[..., here, :])
            if stack.mask is None:
                w = guided_apply(*(part_of_resized(part, size, *band) for part in model), photo)
            else:
                w = as_float(stack.mask[..., here, :])
            if stack.visible is not None:
                w = w * (stack.visible[..., here, :] > 0)
            alpha[..., here, :] = as_bytes(w)
            restyled = part_of_resized(done.image, size, *band, cubic=True).float()
            restyled = restyled / 255 if done.image.dtype == torch.uint8 else restyled
            # Of 8 bits, so that the photo is untouched wherever the mask that is returned is 0.
            w = as_float(alpha[..., here, :])
            image[..., here, :] = as_bytes(composite(photo, restyled.clamp(0, 1), w, strength, keep_color))

        rows = max(1, min(size[0], BAND // (size[1] * len(image))))
        for _ in self._map(lay, range(0, size[0], rows)):
            pass
        return image, alpha

    def _regions(self, stack: Stack, plan: Plan, found: Tensor, size: Sequence[int]) -> Tensor:
        if stack.mask is not None:
            mask = as_float(stack.mask)
            return resize_regions(mask if stack.visible is None else mask * (stack.visible > 0), size)
        routes = found.new_zeros(found.shape[1], len(plan))
        for k, target in enumerate(plan):
            routes[list(target.materials), k] = 1
        return einsum(found, routes, "b m h w, m k -> b k h w")

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)


def _check_options(strength: float, color: str, max_size: int | None) -> None:
    if not 0 <= strength <= 1:
        raise ValueError(f"strength {strength}; wanted a number from 0 (the photo) to 1 (the full style)")
    if color not in COLORS:
        raise ValueError(f"color {color!r}; wanted one of {', '.join(COLORS)}")
    if max_size is not None and max_size < SMALLEST:
        raise ValueError(f"max_size {max_size}; wanted {SMALLEST} pixels or more, or None for no limit")
