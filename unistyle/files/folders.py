"""What is in a folder, which files are photos and videos, and which are the masks of photos beside them."""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any, TypeVar
from unicodedata import normalize

P = TypeVar("P")

# `.ts` is not among them, which is a program far more often than a video.
VIDEO_SUFFIXES = {
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".mts", ".m2ts", ".wmv", ".flv"),
    *(".3gp", ".ogv"),
}
# The kinds of files that videos are written to; others become the first.
VIDEO_FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}


SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"),
    *(".png", ".apng", ".webp", ".avif", ".heic", ".heif", ".hif"),
    *(".tif", ".tiff", ".bmp", ".dib", ".gif", ".tga", ".ppm", ".pgm", ".pbm", ".pnm"),
}

# How files of photos begin, whatever they are called.
STARTS = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|RIFF....WEBP|\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"
    rb"|....ftyp(avi[fs]|hei[cmsx]|hev[cmsx]|mi[af]1|msf1)",
    re.DOTALL,
)
# So do raw files of cameras and texts, so that these count only where the name has no ending.
WEAK_STARTS = re.compile(
    rb"II\*\0|MM\0\*|P[1-6]\s+[#\d]|BM....\0{4}....[\x0c\x28\x34\x38\x40\x6c\x7c]\0", re.DOTALL
)
# Endings of small copies, of what is still being fetched, and of what was there before.
ASIDE = {".thm", ".part", ".crdownload", ".download", ".tmp", ".temp", ".bak", ".old", ".orig"}
# Folders in which file servers and systems keep thumbnails and what was thrown away.
FOREIGN = {
    *(
        "@eadir",
        "@tmp",
        "@recycle",
        "@recently-snapshot",
        "#recycle",
        "#snapshot",
        "__macosx",
        "$recycle.bin",
    ),
    *("system volume information", "lost+found", "network trash folder", "temporary items"),
}
MASK = ".mask"  # ends the stem of a mask beside its photo


def passed_by(name: str) -> bool:
    """Whether what has this name in a folder is nobody's photo: it is hidden, or the folder of another program."""
    return name[0] == "." or name.casefold() in FOREIGN


def walk(folder: str | Path) -> tuple[list[Path], list[str]]:
    """What is below a folder and no folder, sorted, and a message for each folder that could not be searched.

    Hidden files and folders are passed by, and so are those of other programs (FOREIGN). Links to folders are
    followed; a folder that was met before, by another name or in a loop, is passed by. Pipes and links that lead
    nowhere are listed: reading says so.
    """
    files, problems, met, ahead = [], [], set(), [(os.fspath(folder), True)]
    while ahead:
        path, is_folder = ahead.pop()
        if not is_folder:
            files.append(Path(path))
        elif (real := os.path.realpath(path)) not in met:
            met.add(real)
            try:
                ahead += reversed(_entries(path))
            except OSError as error:
                problems.append(f"{path}: cannot be searched: {error.strerror}")
    return files, problems


def _entries(folder: str) -> list[tuple[str, bool]]:
    """What a folder holds, sorted: paths, and whether each is a folder."""
    with os.scandir(folder) as entries:
        return sorted((entry.path, _is_folder(entry)) for entry in entries if not passed_by(entry.name))


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def folders_in(folder: Path) -> list[Path]:
    """The folders inside a folder, sorted, less the hidden ones and those of other programs."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not passed_by(path.name))


def begins_as_photo(file: IO[bytes], suffix: str) -> bool:
    """Whether a file begins as a photo does. suffix: its ending, of which none says what it is."""
    if suffix.lower() in ASIDE or suffix.endswith("~"):
        return False
    start = file.read(32)
    return bool(STARTS.match(start) or (not suffix and WEAK_STARTS.match(start)))


def is_photo(path: Path) -> bool:
    """Whether a file of this machine is a photo: by its ending, or where that says nothing by how it begins."""
    if not os.path.isfile(path):  # noqa: PTH113  (never raises); to open a pipe would be to wait for its other end
        return False
    if (suffix := path.suffix.lower()) in SUFFIXES:
        return True
    try:
        with path.open("rb") as file:
            return suffix not in VIDEO_SUFFIXES and begins_as_photo(file, suffix)
    except OSError:
        return False


def list_images(folder: str | Path) -> list[Path]:
    """The photos below a folder, sorted, less masks beside them (`own_mask`). Hidden files and folders and those of
    other programs are passed by, links to folders followed."""
    return without_masks([path for path in walk(folder)[0] if is_photo(path)])[0]


def same(text: str) -> str:
    """The one form of a name: é is one sign on some systems, and e with an accent on others (NFC and NFD)."""
    return text if text.isascii() else normalize("NFC", text)


def without_masks(files: Sequence[P]) -> tuple[list[P], dict[P, P]]:
    """Photos and videos less those that are masks of others, and photo or video -> its mask.

    `STEM.mask.*` is the mask of `STEM.*` in the same folder; where there is no such photo, it is one itself. Of
    several masks a PNG counts. Masks of videos that are videos are left out, and no photo has them.
    """
    masks: dict[str, list[P]] = {}
    for path in files:
        if MASK in (text := str(path)).lower():
            stem = text.rpartition(".")[0]
            if stem.lower().endswith(MASK):
                masks.setdefault(same(stem[: -len(MASK)]), []).append(path)
    if not masks:  # as in most folders
        return list(files), {}
    stems = {path: same(_stem(str(path))) for path in files}
    there = set(stems.values())
    taken = {path for stem, paths in masks.items() if stem in there for path in paths}
    best = {stem: mask for stem, paths in masks.items() if (mask := _best(paths)) is not None}
    photos = [path for path in files if path not in taken]
    return photos, {path: best[stems[path]] for path in photos if stems[path] in best}


def _stem(path: str) -> str:
    """A path without its ending."""
    folder, slash, name = path.rpartition("/")
    return folder + slash + (name.rpartition(".")[0] or name)


def _best(masks: Iterable[P]) -> P | None:
    pictures = [path for path in masks if Path(str(path)).suffix.lower() not in VIDEO_SUFFIXES]
    return min(pictures, key=lambda path: (not str(path).lower().endswith(".png"), str(path)), default=None)


def own_mask(path: Path) -> Path | None:
    """The mask `STEM.mask.*` beside a photo `STEM.*`, if there is one; a PNG before others."""
    stems = dict.fromkeys((path.stem, normalize("NFC", path.stem), normalize("NFD", path.stem)))
    for suffix in [".png", *sorted(SUFFIXES - {".png"})]:
        for stem in stems:
            for ending in (suffix, suffix.upper()):
                mask = path.with_name(f"{stem}{MASK}{ending}")
                # By `os.path`: a `Path` would raise where the name, longer than the photo's, is too long for a file.
                if os.path.isfile(mask):  # noqa: PTH113
                    return mask
    return None


def there(path: Path) -> Path:
    """The file or folder that a path means: itself, or where it is not there one whose name has the same signs in
    another form (`same`)."""
    text: Any = str(path)
    if text.isascii() or os.path.lexists(text) or path.parent == path:
        return path
    parent = there(path.parent)
    try:
        return next((parent / name for name in os.listdir(parent) if same(name) == same(path.name)), path)  # noqa: PTH208
    except OSError:
        return path
