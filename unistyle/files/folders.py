"""What is in a folder, and which files are photos and videos."""

import os
from pathlib import Path

# `.ts` is not among them, which is a program far more often than a video.
VIDEO_SUFFIXES = {
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".mts", ".m2ts", ".wmv", ".flv"),
    *(".3gp", ".ogv"),
}
# The kinds of files that videos are written to; others become the first.
VIDEO_FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}


SUFFIXES = {
    *(".jpg", ".jpeg", ".jfif", ".jp2", ".mpo", ".png", ".webp", ".avif", ".heic", ".heif"),
    *(".tif", ".tiff", ".bmp", ".gif", ".tga", ".ppm", ".pgm"),
}


def walk(folder: str | Path) -> tuple[list[Path], list[str]]:
    """What is below a folder and no folder, sorted, and a message for each folder that could not be searched.

    Hidden files and folders are passed by. Links to folders are followed; a folder that was met before, by
    another name or in a loop, is passed by. Pipes and links that lead nowhere are listed: reading says so.
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
        return sorted((entry.path, _is_folder(entry)) for entry in entries if not entry.name.startswith("."))


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def list_images(folder: str | Path) -> list[Path]:
    """Image files below a folder, sorted; hidden files and folders are passed by, links to folders followed."""
    return [path for path in walk(folder)[0] if path.suffix.lower() in SUFFIXES and path.is_file()]
