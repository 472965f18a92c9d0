"""Frames for several tests."""

from PIL import Image

from tests.helpers import make_photo


def moving(count: int = 6, height: int = 48, width: int = 64) -> list[Image.Image]:
    """A camera that goes to the right by two pixels per frame."""
    large = make_photo(height, width + 2 * count)
    return [large.crop((2 * i, 0, 2 * i + width, height)) for i in range(count)]
