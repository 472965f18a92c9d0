"""`unistyle infer --find-only`: what photos are made of, as one indexed picture each."""

import io
import json
import sys
from collections.abc import Iterator

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from tqdm import tqdm

from unistyle.batch.jobs import Job, collect
from unistyle.errors import ImageError, UsageError
from unistyle.files.places import Place, place, stamp, write_whole
from unistyle.restyle.finding import indexed, legend
from unistyle.restyle.pipeline import UniStyle

LEGEND = "legend.txt"
STAMP = "photo"  # the text in a picture that says which content of its photo it is of


def find_all(model: UniStyle, inputs: list, out: str, overwrite: bool) -> int:
    """Write OUT/PATH/STEM.materials.png for each photo, and the meaning of its values as OUT/legend.txt. Pictures that
    exist are left, unless their photo has changed since. Returns the exit code: 0, or 1 where photos failed. Raises
    UsageError where the pictures that exist have another meaning."""
    search = collect(inputs, out)
    if videos := [job.source for job in search.jobs if job.is_video]:
        raise UsageError(f"--find-only takes photos; {videos[0]} is a video")
    root = place(out)
    meaning = root / LEGEND
    if not overwrite and meaning.exists() and meaning.read_bytes() != legend(model.materials).encode():
        raise UsageError(
            f"the pictures in {root} are of other materials ({meaning}); give --overwrite to make them anew, "
            "or another --out to keep both"
        )
    write_whole(meaning, legend(model.materials).encode())
    jobs = [job for job in search.jobs if overwrite or not _stands(job)]
    problems = [*search.problems, *_write(model, tqdm(jobs, desc="photos", unit="photo"))]
    for problem in problems:
        print(f"failed: {problem}", file=sys.stderr)
    done = len(jobs) - len(problems) + len(search.problems)
    print(
        f"{done} written, {len(search.jobs) - len(jobs)} skipped, {len(problems)} failed; "
        f"pictures in {root}, what their values mean in {root / LEGEND}"
    )
    return int(bool(problems))


def picture_of(job: Job) -> Place:
    """The file of what was found in a photo."""
    return job.output.with_name(f"{job.output.stem}.materials.png")


def _stands(job: Job) -> bool:
    """Whether the picture of a photo exists and is of the photo as it is now. What does not say is taken for that."""
    picture = picture_of(job)
    if not picture.exists():
        return False
    try:
        with picture.open("rb") as file, Image.open(file) as image:
            then = json.loads(image.info.get(STAMP, "null"))
    except (OSError, ValueError):
        return True
    return then is None or then == stamp(job.source)


def _write(model: UniStyle, jobs: tqdm) -> Iterator[str]:
    """Messages for the photos that failed."""
    for job in jobs:
        about = stamp(job.source)
        try:
            picture = indexed(model.find(job.source), model.materials)
            write_whole(picture_of(job), encode(picture, model.materials, about))
        except ImageError as error:
            yield str(error) if str(job.source) in str(error) else f"{job.source}: {error}"


def encode(picture: Image.Image, materials: tuple[str, ...], about: dict | None = None) -> bytes:
    """A PNG of a picture with indices, which holds their meaning as the text `legend`, and `about`, the stamp of the
    photo, as the text `photo`."""
    buffer, text = io.BytesIO(), PngInfo()
    text.add_itxt("legend", legend(materials))
    if about is not None:
        text.add_text(STAMP, json.dumps(about))
    picture.save(buffer, "PNG", pnginfo=text)
    return buffer.getvalue()
