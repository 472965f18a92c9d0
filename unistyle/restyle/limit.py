"""How many pixels go through the network at a time, and what happens when memory runs out."""

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from unistyle.devices import out_of_memory
from unistyle.files.photos import Photo
from unistyle.restyle.stack import AnyPhoto, working_pixels

log = logging.getLogger(__name__)

# Pixels that one pass takes, at some 400 bytes each on a CPU; more go in tiles.
PIXELS_AT_ONCE = {"cpu": 2**21}
PIXELS_AT_ONCE_ELSEWHERE = 2**24
LEAST_AT_ONCE = 2**18  # where memory does not suffice for this, tiles do not help

T = TypeVar("T")
Masks = Sequence[AnyPhoto] | None
Work = Callable[[list[Photo], Masks], list[T]]


class Limit:
    """The pixels that go through the network at a time. The limit falls when memory has run out, and stays there."""

    def __init__(self, device: torch.device, least: int = LEAST_AT_ONCE):
        """least: where the limit would fall below this, the error is raised instead."""
        self.device, self.least = device, least
        self.pixels = PIXELS_AT_ONCE.get(device.type, PIXELS_AT_ONCE_ELSEWHERE)

    def in_parts(self, photos: list[Photo], masks: Masks, max_size: int | None, work: Work[T]) -> list[T]:
        """What `work` gives for photos of one size and their masks, given in parts that one pass takes; nothing
        for none."""
        if not photos:
            return []
        count = max(1, self.pixels // working_pixels(*photos[0].size, max_size))
        results: list[T] = []
        for i in range(0, len(photos), count):
            results += self._within_memory(photos[i : i + count], masks and masks[i : i + count], work)
        return results

    def _within_memory(self, photos: list[Photo], masks: Masks, work: Work[T]) -> list[T]:
        try:
            return work(photos, masks)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error) or not self._ask_for_less(photos):
                raise
        half = -(-len(photos) // 2)
        parts = [(photos[:half], masks and masks[:half]), (photos[half:], masks and masks[half:])]
        halves = [self._within_memory(part, own, work) for part, own in parts if part]
        return [result for results in halves for result in results]

    def _ask_for_less(self, photos: list[Photo]) -> bool:
        """After memory ran out: whether the same can be tried with less."""
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        if len(photos) > 1:
            half = -(-len(photos) // 2)
            log.warning("out of memory: %d photos at a time in place of %d", half, len(photos))
            return True
        width, height = photos[0].size
        less = min(self.pixels, width * height) // 2
        if less < self.least:
            return False
        self.pixels = less
        log.warning("out of memory: photos of over %.1f megapixels go in tiles from here on", less / 1e6)
        return True
