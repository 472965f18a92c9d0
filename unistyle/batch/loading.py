"""Photos that are read once there is room for them, and wait for the network."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from unistyle.batch.budget import Budget
from unistyle.batch.jobs import Job
from unistyle.errors import ImageError
from unistyle.files.masks import usable_mask
from unistyle.files.photos import Photo, read_photo


@dataclass
class Item:
    """A photo in memory."""

    job: Job

    photo: Photo

    mask: Image.Image | None
    """Its mask; None: it has none."""

    pixels: int
    """What was taken of the budget for it."""

    seconds: float
    """The time that it took to load."""


class Waiting:
    """Photos of one thread that are in memory and wait for the network. What it leaves is given back to the budget."""

    def __init__(self, budget: Budget, work: Callable[[list[Item]], object]):
        """work: what is done to photos of one size, which all have masks or have none."""
        self.budget, self.work = budget, work
        self._items: dict[tuple, list[Item]] = {}

    def take(self, pixels: int) -> None:
        """Take pixels of the budget. What waits is worked off before this thread waits for memory itself."""
        if not self.budget.take(pixels, wait=False):
            self.work_off()
            self.budget.take(pixels, wait=True)

    def add(self, item: Item) -> None:
        """Have a photo wait, whose pixels were taken."""
        self._items.setdefault((item.photo.size, item.mask is None), []).append(item)

    def work_off(self) -> None:
        """Work on all that waits, and give its memory back. Raises what `work` raises."""
        while self._items:
            _, items = self._items.popitem()
            try:
                self.work(items)
            finally:
                self._give_back(items)

    def __enter__(self) -> "Waiting":
        return self

    def __exit__(self, *_) -> None:
        for items in self._items.values():  # after an error; other threads may wait for it
            self._give_back(items)

    def _give_back(self, items: list[Item]) -> None:
        for item in items:
            self.budget.give(item.pixels)


class _Admission:
    """Takes room for a photo as soon as its size is known, before its pixels are decoded."""

    def __init__(self, take: Callable[[int], None]):
        self.take, self.pixels = take, 0
        self.error: Exception | None = None

    def __call__(self, size: tuple[int, int]) -> None:
        pixels = size[0] * size[1]
        try:
            self.take(pixels)
        except (
            Exception
        ) as error:  # of the photos before this one; the reader would take it for its own file's
            self.error = error
            raise
        self.pixels = pixels


def load(job: Job, masked: bool, take: Callable[[int], None], give: Callable[[int], None]) -> Item:
    """Read a photo and its mask.

    masked: the job needs a mask. take: takes so many pixels of the budget, or waits for them. give: gives them back
    where the photo cannot be loaded. Raises ImageError for an unusable photo or mask, and whatever `take` raises.
    """
    start, admission = time.perf_counter(), _Admission(take)
    try:
        if masked and not job.mask:
            raise ImageError(f"{job.source}: no mask {job.source.stem}.* among the masks")
        photo = read_photo(job.source, admission)
        mask = usable_mask(job.mask) if job.mask else None
    except Exception as error:
        give(admission.pixels)
        raise admission.error or error from None
    return Item(job, photo, mask, admission.pixels, time.perf_counter() - start)
