"""Which photo becomes which file, settled before any work starts."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

from PIL import Image

from unistyle.errors import UsageError
from unistyle.files.folders import SUFFIXES, VIDEO_FORMATS, VIDEO_SUFFIXES
from unistyle.files.places import Place, is_local, place, relative, search
from unistyle.files.writing import FORMATS
from unistyle.restyle.options import MAX_SIZE

NAMED = 3  # pairs that an error names


@dataclass(frozen=True)
class Job:
    """One photo or video, and the file that it becomes."""

    source: Place
    """Where the photo or video comes from."""

    output: Place
    """The file that it becomes."""

    mask: Place | None = None
    """The given mask; None: it has none."""

    @property
    def mask_output(self) -> Place:
        """The file that its mask becomes, beside `output`."""
        suffix = self.output.suffix if self.is_video else ".png"
        return self.output.with_name(f"{self.output.stem}.mask{suffix}")

    @property
    def is_video(self) -> bool:
        return is_video(self.source)

    def outputs(self, save_mask: bool) -> list[Place]:
        """The files that it becomes; save_mask: with the one of its mask."""
        return [self.output, self.mask_output] if save_mask else [self.output]


@dataclass(frozen=True)
class Search:
    """What was found among the inputs of a run."""

    jobs: list[Job]
    """One for each photo and video."""

    others: int
    """The number of files that are neither photos nor videos."""

    problems: list[str]
    """One message for each folder that could not be searched."""


def collect(
    inputs: Sequence[str | Path],
    out: str | Path,
    mask: str | Path | None = None,
    save_mask: bool = False,
    format: str = "png",
) -> Search:
    """The jobs of input files and folders, which may be addresses of fsspec.

    A photo of a folder becomes `out/<its path in the folder>/<stem>.png`, and a photo given by itself becomes
    `out/<stem>.png`. A video keeps its suffix where that is one of VIDEO_FORMATS, and gets `.mp4` otherwise.
    mask: a file, or a folder of masks with the photos' relative paths or stems (`<stem>.mask.*` before `<stem>.*`).
    save_mask: masks are written too. format: one of FORMATS, for the results of photos.
    Raises UsageError for an input that is not there, and where a file would be written twice or over an input.
    """
    folder = place(out)
    _real.cache_clear()
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--out {folder} is a file; give a folder")
    photos, others, problems = _photos([place(given) for given in inputs], folder)
    if not photos:
        raise UsageError(
            f"no image in {', '.join(map(str, inputs))} ({others} other files); give photos or folders of them"
            + "".join(f"\n{problem}" for problem in problems)
        )
    masks = _masks(None if mask is None else place(mask), [name for _, name in photos])
    jobs = [
        Job(source, folder / (name.removesuffix(source.suffix) + _suffix(source, format)), own)
        for (source, name), own in zip(photos, masks, strict=True)
    ]
    _check_conflicts(jobs, save_mask)
    return Search(jobs, others, problems)


def is_video(path: Place) -> bool:
    """Whether a file is a video, by its suffix."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def _suffix(source: Place, format: str) -> str:
    """The suffix of what a photo or a video becomes."""
    if not is_video(source):
        return FORMATS[format]
    return suffix if (suffix := source.suffix.lower()) in VIDEO_FORMATS else ".mp4"


def _photos(inputs: list[Place], out: Place) -> tuple[list[tuple[Place, str]], int, list[str]]:
    """Photos and videos with their names below the folder that they were found in, the number of other files,
    problems."""
    photos: list[tuple[Place, str]] = []
    problems: list[str] = []
    others = 0
    for given in inputs:
        if given.is_dir():
            files, unsearched = search(given)
            own = _outside(files, given, out)
            images = [path for path in own if path.suffix.lower() in SUFFIXES | VIDEO_SUFFIXES]
            photos += [(path, relative(path, given)) for path in images]
            others, problems = others + len(own) - len(images), problems + unsearched
        elif not given.exists() and not (is_local(given) and given.is_symlink()):
            raise UsageError(f"no such file or folder: {given}")
        elif given.suffix.lower() in SUFFIXES | VIDEO_SUFFIXES or _is_image(given):
            photos.append((given, given.name))
        else:
            others += 1
    return photos, others, problems


def _outside(files: list[Place], folder: Place, out: Place) -> list[Place]:
    """Files of a folder less those in the output folder: results of an earlier run are no inputs."""
    if is_local(folder) != is_local(out):
        return files
    inside = _identity(out)
    if inside == _identity(folder):
        raise UsageError(
            f"--out {out} is the folder of the photos, where results could not be told from photos; give a folder "
            f"of its own, such as {out / 'restyled'}"
        )
    return [path for path in files if not f"{_folder(path)}/".startswith(f"{inside}/")]


_real = cache(os.path.realpath)  # of folders, which may hold a million photos


def _identity(path: Place) -> str:
    """The one name of a file or folder, behind all links.

    Links that are folders are resolved once for each folder, so that a file takes 3.0 us; its own `realpath` takes
    9.8 us (20,000 files in one folder). `os.stat` takes 2.5 us, but it takes hard links for one file, which they are
    not for a writer that renames, and it does not know files that are still to be written.
    """
    text = str(path)
    if is_local(path) and (os.path.islink(text) or text[-1] in "./"):  # noqa: PTH114 (a million times)
        return _real(text)
    return f"{_folder(path)}/{text.rstrip('/').rpartition('/')[2]}"


def _folder(path: Place) -> str:
    """The one name of the folder of a file. Cut off the text: 0.1 us, and 1.1 us with `Path.parent`."""
    folder = str(path).rstrip("/").rpartition("/")[0]
    return _real(folder or path.anchor) if is_local(path) else folder


def _is_image(path: Place) -> bool:
    if is_local(path) and not path.is_file():  # to open a pipe would be to wait for its other end
        return False
    try:
        with path.open("rb") as file, Image.open(file):
            return True
    except Exception:  # decoders fail in many ways; whatever cannot be opened is not an image
        return False


def _masks(mask: Place | None, names: list[str]) -> list[Place | None]:
    if mask is None:
        return [None] * len(names)
    if mask.is_file():
        return [mask] * len(names)
    if not mask.is_dir():
        raise UsageError(f"--mask {mask}: no such file or folder")
    files = [path for path in search(mask)[0] if path.suffix.lower() in SUFFIXES]
    by_name = {PurePosixPath(relative(path, mask)).with_suffix(""): path for path in reversed(files)}
    photos = list(map(PurePosixPath, names))
    stems = Counter(name.stem for name in photos)

    def own(name: PurePosixPath) -> Place | None:
        # A bare stem says which photo is meant only if no other photo has it.
        folders = [name.parent, PurePosixPath()] if stems[name.stem] == 1 else [name.parent]
        wanted = [folder / stem for folder in folders for stem in (f"{name.stem}.mask", name.stem)]
        return next((by_name[name] for name in wanted if name in by_name), None)

    return list(map(own, photos))


def _check_conflicts(jobs: list[Job], save_mask: bool) -> None:
    read = {_identity(path) for job in jobs for path in (job.source, job.mask) if path}
    written: dict[str, Place] = {}
    clashes = []
    for job in jobs:
        for path in job.outputs(save_mask):
            if (first := written.setdefault(str(path), job.source)) is not job.source:
                clashes.append(f"{first} and {job.source} would both be written to {path}")
            if _identity(path) in read:
                raise UsageError(
                    f"{job.source} would be written over {path}, which is read; give another --out"
                )
    if clashes:
        more = [f"and {len(clashes) - NAMED} more such pairs"] if len(clashes) > NAMED else []
        raise UsageError(
            "\n".join(
                [f"{len(clashes)} results would be written by two photos each:", *clashes[:NAMED], *more]
            )
            + "\nRename one of each pair, or move it to another folder; for single files give the folder that holds "
            "both"
        )


@dataclass(frozen=True)
class Options:
    """What is done to every photo."""

    strength: float = 1.0
    """As in `UniStyle.restyle_batch`."""

    color: str = "style"
    """As in `UniStyle.restyle_batch`."""

    structure: float | None = None
    """As in `UniStyle.restyle_batch`."""

    texture_scale: float = 1.0
    """As in `UniStyle.restyle_batch`."""

    max_size: int | None = MAX_SIZE
    """As in `UniStyle.restyle_batch`."""

    format: str = "png"
    """The file format of the results of photos: one of FORMATS."""

    masked: bool = False
    """Masks are given; a job without one fails."""

    save_mask: bool = False
    """Masks are written beside the results."""

    overwrite: bool = False
    """Results that exist are replaced; otherwise they are skipped."""

    batch_size: int = 1
    """Photos of one size that go through the network in one pass at most."""

    @property
    def look(self) -> dict:
        """What `UniStyle.restyle_batch` is told of them."""
        names = ("strength", "color", "max_size", "structure", "texture_scale")
        return {name: getattr(self, name) for name in names}

    def missing(self, job: Job, exists: Callable[[Place], bool] = lambda path: path.exists()) -> list[Place]:
        """Files of a job that are still to be written. exists: tells whether a file is there."""
        return [path for path in job.outputs(self.save_mask) if self.overwrite or not exists(path)]
