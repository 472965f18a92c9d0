"""The public class: photos in; restyled photos, masks and what was found out."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch

from unistyle.checkpoint.checkpoint import Checkpoint, load_checkpoint
from unistyle.checkpoint.hub import HubFolder
from unistyle.devices import pick_device, pick_precision
from unistyle.files.digest import digest, raw
from unistyle.files.photos import Photo
from unistyle.restyle.cpu import use_onednn
from unistyle.restyle.finding import Found, find
from unistyle.restyle.limit import Limit, Masks
from unistyle.restyle.options import MAX_SIZE, Look
from unistyle.restyle.overlay import overlay
from unistyle.restyle.passes import FrameMemory, NoMemory, Passes
from unistyle.restyle.plan import Plan, Planner
from unistyle.restyle.result import Result, results
from unistyle.restyle.stack import AnyPhoto, as_photo, as_seen, opaque, several, smallest, stack_photos


class UniStyle(HubFolder):
    """A network and its style bank, for photos of any size and mode.

    >>> from unistyle import UniStyle
    >>> from unistyle.files.samples import sample_photo
    >>> model = UniStyle.from_pretrained("checkpoints/unistyle-materials.safetensors", device="cpu")
    >>> "stone" in model.styles, "leather" in model.materials
    (True, True)
    >>> model.restyle(sample_photo(), to="stone", max_size=256).image.size
    (600, 400)
    """

    def __init__(self, checkpoint: Checkpoint, device: str | torch.device = "auto", precision: str = "fp32"):
        """device: auto, cpu, cuda, cuda:1 or mps; auto takes the best there is. precision: fp32, bf16 or fp16 for the
        convolutions; statistics and the composite stay in fp32. Raises ValueError for a device that is absent."""
        self.device, self.dtype = pick_device(device), pick_precision(precision)
        network = checkpoint.network.eval().to(self.device)
        self.network = network.to(memory_format=torch.channels_last)
        if self.device.type == "cpu" and self.dtype == torch.float32:
            use_onednn(self.network)
        self.bank, self.notes = checkpoint.bank, checkpoint.notes
        self.passes = Passes(self.network, self.device, self.dtype, Limit(self.device))

    @classmethod
    def from_pretrained(  # type: ignore[override]  # fewer settings of downloads, more of where it runs
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

    @property
    def styles(self) -> list[str]:
        """The styles of the bank."""
        return self.bank.styles

    @property
    def pixels_at_once(self) -> int:
        """Pixels that one pass takes; more go in tiles. It falls when memory runs out, and can be set."""
        return self.passes.limit.pixels

    @pixels_at_once.setter
    def pixels_at_once(self, pixels: int) -> None:
        self.passes.limit.pixels = pixels

    def fingerprint(self, plan: Plan) -> str:
        """What stands for the weights and a plan's styles, 12 hex digits: equal where results are equal, whatever
        file they come from."""
        styles = (x for target in plan for x in target.swatches.tensors)
        tensors = [*self.network.state_dict().values(), *styles]
        return digest(b"".join(raw(tensor.float()) for tensor in tensors))[:12]

    def compile(self) -> None:
        """Compile the network with torch.compile, in place. It takes about a minute at the first photo of each size,
        for the first few sizes; others are not compiled. Try whether it pays (docs/batch.md)."""
        # Weights are packed once on a CPU. On CUDA graphs of kernels would be bound to one thread, so none are made.
        options = {"freezing": True} if self.device.type == "cpu" else None
        for module in (self.network.encoder, self.network.segmenter, self.network.stylizer):
            module.compile(dynamic=False, options=options)

    def plan(self, to: object, everywhere: bool = False) -> Plan:
        """Resolve `to` (see `restyle`), whose errors it raises. A Plan can be given in place of `to`."""
        return Planner(self.network, self.bank, self.passes.autocast).plan(to, everywhere)

    def find(self, photo: AnyPhoto) -> Found:
        """What a photo is made of, and where its main object is. Raises ImageError."""
        return find(self.passes, as_photo(photo))

    def restyle(self, photo: AnyPhoto, to: object, mask: AnyPhoto | None = None, **options) -> Result:
        """Restyle one photo.

        photo: an image, path, array, tensor or bytes, as in `stack.as_photo`. to: a style for all materials of the
        main object, or a mapping from materials to styles, which are restyled wherever they are. A style is a name of
        the bank (`stone`: the exemplar that suits best; `stone/quarry`: that one), a mix of these by weight
        (`stone:0.7,wall.jpg:0.3`), or a photo. In a mapping, `"*"` stands for the materials of the main object that it
        does not name. mask: where to restyle (white), in place of what is found. options: see `restyle_batch`.
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
        everywhere: bool = False,
        structure: float | None = None,
        texture_scale: float = 1.0,
        memory: FrameMemory | None = None,
    ) -> list[Result]:
        """Restyle photos of one size in one pass; `photos`, `to` and `masks` (one for each) as in `restyle`.

        strength: 0 leaves the photo, 1 is the full style. color: "style", or "keep" for the photo's own colours with
        the style's luminance alone. max_size: the network sees the photo with at most this short side, in pixels; the
        result is laid over the photo at full size. None: no limit. everywhere: one style, or `"*"`, also takes the
        materials around the main object. structure: how much of the style's sample takes the place of what the
        stylizer makes of its statistics, from 0 to 1; None: as much as the style asks for. texture_scale: how large
        the sample's texture is, 1 as it comes. What is more than `pixels_at_once` goes through the network in tiles;
        where memory runs out, fewer photos and then tiles are tried, with a warning. memory: a `unistyle.Memory` of a
        video, whose frames are given in order, one per call (docs/video.md).
        """
        look, plan = Look(strength, color, max_size, structure, texture_scale), self.plan(to, everywhere)
        photos, masks = several(photos, masks)
        _refuse(len(photos), plan, masks is not None, memory is not None)
        work = partial(self._restyle, plan=plan, look=look, memory=memory or NoMemory())
        return self.passes.limit.in_parts([as_photo(photo) for photo in photos], masks, max_size, work)

    def _restyle(
        self, photos: list[Photo], masks: Masks, plan: Plan, look: Look, memory: FrameMemory
    ) -> list[Result]:
        width, height = photos[0].size
        stack = stack_photos(photos, masks, smallest(width, height)).to(self.device)
        small = as_seen(opaque(stack), look.max_size)
        done = self.passes.run(small, stack, plan, look, memory)
        image, mask = overlay(stack, small, done, look.strength, look.color == "keep", self.passes.map)
        image, mask = (x[..., :height, :width] for x in (image, mask))
        return list(results(photos, plan, self.materials, done, look, image, mask))


def _refuse(photos: int, plan: Plan, masked: bool, video: bool) -> None:
    """What cannot go together. Raises ValueError."""
    if masked and len(plan) != 1:
        regions = ", ".join(target.key for target in plan)
        raise ValueError(f"a mask is one region, for one style; got {len(plan)}: {regions}")
    if video and photos != 1:
        raise ValueError(f"{photos} frames of a video at once; with a memory give them one per call")
