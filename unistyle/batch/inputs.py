"""The photos among the inputs of a run, and the masks that are theirs."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from PIL import Image

from unistyle.errors import UsageError
from unistyle.files.folders import (
    SUFFIXES,
    VIDEO_SUFFIXES,
    begins_as_photo,
    is_photo,
    own_mask,
    same,
    without_masks,
)
from unistyle.files.places import Place, folder_of, identity, is_local, named, relative, search

KNOWN = SUFFIXES | VIDEO_SUFFIXES


@dataclass
class Inputs:
    """What was found among the inputs of a run."""

    photos: list[tuple[Place, str]] = field(default_factory=list)
    """Photos and videos, with their names below the folder that they were found in."""

    beside: dict[Place, Place] = field(default_factory=dict)
    """Photo or video -> the mask beside it."""

    others: int = 0
    """The number of files that are neither photos nor masks of photos."""

    results: int = 0
    """The number of files that lie in the output folder, and are therefore no inputs."""

    above: list[str] = field(default_factory=list)
    """Folders of photos that the output folder holds."""

    problems: list[str] = field(default_factory=list)
    """One message for each folder that could not be searched."""


def photos_in(inputs: Sequence[Place], out: Place, mask: Place | None) -> Inputs:
    """What the inputs hold. out: the output folder; mask: the given mask or folder of masks. What lies in either is no
    photo of a folder. Raises UsageError for an input that is not there."""
    found, singles = Inputs(), []
    for given in inputs:
        if given.is_dir():
            _search(given, out, mask, found)
        elif not given.exists() and not (is_local(given) and given.is_symlink()):
            raise UsageError(f"no such file or folder: {given}")
        elif given.suffix.lower() in KNOWN or _is_image(given):
            found.photos.append((given, given.name))
            singles.append(given)
        else:
            found.others += 1
    if len(inputs) > 1:
        once: dict[str, tuple[Place, str]] = {}
        for path, name in found.photos:
            once.setdefault(named(path), (path, name))
        found.photos = list(once.values())
    photos, found.beside = without_masks([path for path, _ in found.photos])
    kept = set(photos)
    found.photos = [each for each in found.photos if each[0] in kept]
    for path in singles:  # whose folder was not searched
        if isinstance(path, Path) and path in kept and path not in found.beside and (own := own_mask(path)):
            found.beside[path] = own
    return found


def _search(folder: Place, out: Place, mask: Place | None, found: Inputs) -> None:
    files, unsearched = search(folder)
    own = _outside(_less_masks(files, folder, mask), folder, out, found)
    images = [path for path in own if path.suffix.lower() in KNOWN or _begins_as_photo(path)]
    found.photos += [(path, relative(path, folder)) for path in images]
    found.others += len(own) - len(images)
    found.problems += unsearched


def _less_masks(files: list[Place], folder: Place, mask: Place | None) -> list[Place]:
    """Files of a folder less the given mask, or those in the given folder of masks."""
    if mask is None or is_local(folder) != is_local(mask):
        return files
    masks = identity(mask)
    if not masks.startswith(f"{identity(folder)}/"):  # a folder of masks may hold that of the photos
        return files
    return [p for p in files if not f"{folder_of(p)}/".startswith(f"{masks}/") and named(p) != masks]


def _outside(files: list[Place], folder: Place, out: Place, found: Inputs) -> list[Place]:
    """Files of a folder less those in the output folder: results of an earlier run are no inputs. Where the output
    folder holds the folder itself, all are inputs."""
    if is_local(folder) != is_local(out):
        return files
    inside, own = identity(out), identity(folder)
    if inside == own:
        raise UsageError(
            f"--out {out} is the folder of the photos, where results could not be told from photos; give a folder "
            f"of its own, such as {out / 'restyled'}"
        )
    if own.startswith(f"{inside.rstrip('/')}/"):
        found.above.append(own)
        return files
    outside = [path for path in files if not f"{folder_of(path)}/".startswith(f"{inside}/")]
    found.results += len(files) - len(outside)
    return outside


def _begins_as_photo(path: Place) -> bool:
    """Whether a file whose ending says nothing is a photo. Of addresses only those without an ending are opened."""
    if isinstance(path, Path):
        return is_photo(path)
    if path.suffix:
        return False
    try:
        with path.open("rb") as file:
            return begins_as_photo(file, "")
    except Exception:  # file systems have errors of their own
        return False


def _is_image(path: Place) -> bool:
    if is_local(path) and not path.is_file():  # to open a pipe would be to wait for its other end
        return False
    try:
        with path.open("rb") as file, Image.open(file):
            return True
    except Exception:  # decoders fail in many ways; whatever cannot be opened is not an image
        return False


def masks_for(mask: Place, photos: Sequence[tuple[Place, str]]) -> list[Place | None]:
    """The mask of each photo: the given file, or the one in the given folder that has its name. Raises UsageError for
    a mask that is not there."""
    if mask.is_file():
        return [mask] * len(photos)
    if not mask.is_dir():
        raise UsageError(f"--mask {mask}: no such file or folder")
    sources = {named(path) for path, _ in photos}
    files = [
        path for path in search(mask)[0] if path.suffix.lower() in SUFFIXES and named(path) not in sources
    ]
    by_name = {_plain(relative(path, mask)): path for path in reversed(files)}
    names = [_plain(name) for _, name in photos]
    stems = Counter(name.stem for name in map(PurePosixPath, (name for _, name in photos)))
    bare = [stems[PurePosixPath(name).stem] == 1 for _, name in photos]

    def own(name: PurePosixPath, alone: bool) -> Place | None:
        # A bare stem says which photo is meant only if no other photo has it.
        folders = [name.parent, PurePosixPath()] if alone else [name.parent]
        wanted = [folder / stem for folder in folders for stem in (f"{name.name}.mask", name.name)]
        return next((by_name[name] for name in wanted if name in by_name), None)

    return list(map(own, names, bare))


def _plain(name: str) -> PurePosixPath:
    """A relative path without its ending, in the one form of its signs."""
    return PurePosixPath(same(name)).with_suffix("")
