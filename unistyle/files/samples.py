"""Photos to try things on, which scikit-image ships inside its wheel."""

from collections.abc import Sequence
from pathlib import Path

import skimage

from unistyle.errors import UsageError
from unistyle.files.folders import list_images

SAMPLES = (
    "chelsea.png",
    "coffee.png",
    "rocket.jpg",
    "astronaut.png",
)  # CC0 (cat, coffee) or public domain (NASA)


def sample_photos() -> list[Path]:
    """The sample photos that are there. Raises UsageError where none is."""
    paths = [Path(skimage.__file__).parent / "data" / name for name in SAMPLES]
    present = [path for path in paths if path.is_file()]
    if not present:
        raise UsageError(
            "this version of scikit-image ships none of the sample photos; give photos of your own"
        )
    return present


def sample_photo() -> Path:
    """One of them, for a style to be seen on: the cup, whose smooth surfaces show texture."""
    photos = sample_photos()
    return next((path for path in photos if path.stem == "coffee"), photos[0])


def content_photos(folders: Sequence[str | Path] | str | None) -> list[Path]:
    """Photos of anything: those below a folder or folders, or the sample photos. Raises UsageError for folders
    without any."""
    if not folders:
        return sample_photos()
    folders = [folders] if isinstance(folders, str) else folders
    if empty := [str(folder) for folder in folders if not list_images(folder)]:
        raise UsageError(f"no photos in {', '.join(empty)}; give folders of photos of anything")
    return [path for folder in folders for path in list_images(folder)]
