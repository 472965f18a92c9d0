"""Which photo becomes which file, settled before any work starts, and the record of what was done."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from unistyle.files import atomic
from unistyle.images import SUFFIXES, list_images

MANIFEST = "manifest.jsonl"


class UsageError(ValueError):
    """A command that cannot be carried out as it was given."""


@dataclass(frozen=True)
class Job:
    """One photo: where it comes from, the PNG that it becomes, and the given mask (None: it has none)."""

    source: Path
    output: Path
    mask: Path | None = None

    @property
    def mask_output(self) -> Path:
        return self.output.with_name(f"{self.output.stem}.mask.png")


def collect(
    inputs: Sequence[str | Path], out: str | Path, mask: str | Path | None = None, save_mask: bool = False
) -> tuple[list[Job], int]:
    """The jobs of input files and folders, and how many other files were passed by.

    A photo of a folder becomes `out/<its path in the folder>/<stem>.png`, a photo given by itself `out/<stem>.png`.
    mask: a file, or a folder of masks with the photos' relative paths or stems (`<stem>.mask.*` before `<stem>.*`).
    Raises UsageError for an input that is not there, and where a file would be written twice or over an input.
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file; give a folder")
    found, others = _photos(inputs, out)
    if not found:
        raise UsageError(
            f"no image in {', '.join(map(str, inputs))} ({others} other files); give photos or folders of them"
        )
    masks = _masks(mask, [relative for _, relative in found])
    jobs = [
        Job(source, out / relative.parent / f"{relative.stem}.png", own)
        for (source, relative), own in zip(found, masks, strict=True)
    ]
    _check_conflicts(jobs, save_mask)
    return jobs, others


def _photos(inputs: Sequence[str | Path], out: Path) -> tuple[list[tuple[Path, Path]], int]:
    """Photos with their paths relative to the folder they were found in, and the number of other files."""
    found, others = [], 0
    for given in map(Path, inputs):
        if given.is_dir():
            images = [path for path in list_images(given) if not _inside(path, out, given)]
            found += [(path, path.relative_to(given)) for path in images]
            others += sum(p.is_file() and not _inside(p, out, given) for p in given.rglob("*")) - len(images)
        elif not given.exists():
            raise UsageError(f"no such file or folder: {given}")
        elif given.suffix.lower() in SUFFIXES or _is_image(given):
            found.append((given, Path(given.name)))
        else:
            others += 1
    return found, others


def _inside(path: Path, out: Path, folder: Path) -> bool:
    """Whether a file of `folder` lies in an output folder below it: results of an earlier run are no inputs."""
    return out.resolve() != folder.resolve() and path.resolve().is_relative_to(out.resolve())


def _is_image(path: Path) -> bool:
    try:
        with Image.open(path):
            return True
    except Exception:  # decoders fail in many ways; whatever cannot be opened is not an image
        return False


def _masks(mask: str | Path | None, relatives: list[Path]) -> list[Path | None]:
    if mask is None:
        return [None] * len(relatives)
    mask = Path(mask)
    if mask.is_file():
        return [mask] * len(relatives)
    if not mask.is_dir():
        raise UsageError(f"--mask {mask}: no such file or folder")
    by_name = {path.relative_to(mask).with_suffix(""): path for path in reversed(list_images(mask))}
    stems = Counter(relative.stem for relative in relatives)

    def own(relative: Path) -> Path | None:
        # A bare stem says which photo is meant only if no other photo has it.
        folders = [relative.parent, Path()] if stems[relative.stem] == 1 else [relative.parent]
        names = [folder / name for folder in folders for name in (f"{relative.stem}.mask", relative.stem)]
        return next((by_name[name] for name in names if name in by_name), None)

    return [own(relative) for relative in relatives]


def _check_conflicts(jobs: Iterable[Job], save_mask: bool) -> None:
    read = {path.resolve() for job in jobs for path in (job.source, job.mask) if path}
    written: dict[Path, Path] = {}
    for job in jobs:
        for path in [job.output, job.mask_output] if save_mask else [job.output]:
            if path in written:
                raise UsageError(
                    f"{written[path]} and {job.source} would both be written to {path}; rename one, or give "
                    "the folder that holds both in place of single files"
                )
            if path.resolve() in read:
                raise UsageError(
                    f"{job.source} would be written over {path}, which is read; give another --out"
                )
            written[path] = job.source


class Manifest:
    """`manifest.jsonl` of an output folder: a line a photo, the newest record of each output.

    Records are appended as photos are done, so an interrupted run keeps its own.
    """

    def __init__(self, out: str | Path):
        self.path = Path(out) / MANIFEST

    def read(self) -> dict[str, dict]:
        """Records by their output; lines that are no records, such as half of one, are dropped."""
        records = {}
        for line in self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []:
            try:
                record = json.loads(line)
                records[record["output"]] = record
            except (ValueError, KeyError, TypeError):
                continue
        return records

    def restart(self, jobs: Iterable[Job]) -> dict[str, dict]:
        """Drop the records of these jobs, which are about to get new ones; returns all the old ones by output."""
        records, mine = self.read(), {str(job.output) for job in jobs}
        with atomic(self.path) as temporary:
            kept = [record for output, record in records.items() if output not in mine]
            temporary.write_text("".join(map(_line, kept)), encoding="utf-8")
        return records

    def add(self, **record: object) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(_line(record))


def _line(record: dict) -> str:
    return json.dumps(record, ensure_ascii=False) + "\n"
