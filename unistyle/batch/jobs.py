"""Which photo becomes which file, settled before any work starts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from unistyle.batch.inputs import Inputs, masks_for, photos_in
from unistyle.errors import UsageError
from unistyle.files.folders import VIDEO_FORMATS, VIDEO_SUFFIXES
from unistyle.files.places import Place, forget, identity, place
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
    """Its mask, which was given or lies beside it; None: it has none."""

    anew: bool = False
    """The results that exist are of before, and are replaced."""

    read: dict | None = None
    """What `photo` and `mask` were when work on them began, as `inputs_of` says it."""

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

    left_alone: int = 0
    """The number of masks beside photos that are not used."""


def collect(
    inputs: Sequence[str | Path],
    out: str | Path,
    mask: str | Path | None = None,
    save_mask: bool = False,
    format: str = "png",
    beside: bool = True,
) -> Search:
    """The jobs of input files and folders, which may be addresses of fsspec.

    A photo of a folder becomes `out/<its path in the folder>/<stem>.png`, and a photo given by itself becomes
    `out/<stem>.png`. A video keeps its suffix where that is one of VIDEO_FORMATS, and gets `.mp4` otherwise. What is
    given twice is done once. mask: a file, or a folder of masks with the photos' relative paths or stems
    (`<stem>.mask.*` before `<stem>.*`). beside: without it, masks `<stem>.mask.*` beside the photos are theirs; they
    are no photos in any case. save_mask: masks are written too. format: one of FORMATS, for the results of photos.
    Raises UsageError for an input that is not there, and where a file would be written twice or over an input.
    """
    folder, masks = place(out), None if mask is None else place(mask)
    forget()
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--out {folder} is a file; give a folder")
    found = photos_in([place(given) for given in inputs], folder, masks)
    if not found.photos:
        raise UsageError(_nothing(inputs, found, folder))
    own = [found.beside.get(source) if beside else None for source, _ in found.photos]
    if masks is not None:
        own = masks_for(masks, found.photos)
    jobs = [
        Job(source, folder / (_stem(source, name) + _suffix(source, format)), mask)
        for (source, name), mask in zip(found.photos, own, strict=True)
    ]
    left_alone = 0 if beside or masks is not None else len(found.beside)
    return Search(_checked(jobs, save_mask, found.above), found.others, found.problems, left_alone)


def _nothing(inputs: Sequence[str | Path], found: Inputs, out: Place) -> str:
    """Why there is nothing to do."""
    others = f"{found.others} other files" + f", {found.results} in --out {out}" * bool(found.results)
    problems = "".join(f"\n{problem}" for problem in found.problems)
    return f"no image in {', '.join(map(str, inputs))} ({others}); give photos or folders of them{problems}"


def is_video(path: Place) -> bool:
    """Whether a file is a video, by its suffix."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def _stem(source: Place, name: str) -> str:
    """The name of a photo less its ending. What only looks like one stays: of `5.6.2024` and `7.6.2024` it is all
    that tells them apart."""
    ending = source.suffix
    return name.removesuffix(ending) if ending[1:2].isalpha() else name


def _suffix(source: Place, format: str) -> str:
    """The suffix of what a photo or a video becomes."""
    if not is_video(source):
        return FORMATS[format]
    return suffix if (suffix := source.suffix.lower()) in VIDEO_FORMATS else ".mp4"


def _checked(jobs: list[Job], save_mask: bool, above: Sequence[str]) -> list[Job]:
    """The jobs less those that would do the same once more. above: folders of photos that the output folder holds.
    Raises UsageError where a file would be written twice, over an input, or among the photos."""
    read = {identity(path) for job in jobs for path in (job.source, job.mask) if path}
    written: dict[str, Job] = {}
    kept, clashes = [], []
    for job in jobs:
        if (first := written.get(str(job.output))) and identity(first.source) == identity(job.source):
            continue
        kept.append(job)
        for path in job.outputs(save_mask):
            if (first := written.setdefault(str(path), job)) is not job:
                clashes.append(f"{first.source} and {job.source} would both be written to {path}")
            if (name := identity(path)) in read:
                raise UsageError(
                    f"{job.source} would be written over {path}, which is read; give another --out"
                )
            if any(name.startswith(f"{folder}/") for folder in above):
                raise UsageError(
                    f"{job.source} would be written to {path}, among the photos, from which results could not be told; "
                    "give another --out"
                )
    if clashes:
        _refuse_clashes(clashes)
    return kept


def _refuse_clashes(clashes: list[str]) -> None:
    more = [f"and {len(clashes) - NAMED} more such pairs"] if len(clashes) > NAMED else []
    raise UsageError(
        "\n".join([f"{len(clashes)} results would be written by two photos each:", *clashes[:NAMED], *more])
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
        anew = self.overwrite or job.anew
        return [path for path in job.outputs(self.save_mask) if anew or not exists(path)]
