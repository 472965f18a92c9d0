"""`unistyle infer --find-only`: what photos are made of, as one indexed picture each."""

import io
import sys
from collections.abc import Iterator

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from tqdm import tqdm

from unistyle.batch.jobs import Job, collect
from unistyle.errors import ImageError, UsageError
from unistyle.files.places import Place, place, write_whole
from unistyle.restyle.finding import indexed, legend
from unistyle.restyle.pipeline import UniStyle

LEGEND = "legend.txt"


def find_all(model: UniStyle, inputs: list, out: str, overwrite: bool) -> int:
    """Write OUT/PATH/STEM.materials.png for each photo, and the meaning of its values as OUT/legend.txt. Pictures that
    exist are left. Returns the exit code: 0, or 1 where photos failed."""
    search = collect(inputs, out)
    if videos := [job.source for job in search.jobs if job.is_video]:
        raise UsageError(f"--find-only takes photos; {videos[0]} is a video")
    root = place(out)
    write_whole(root / LEGEND, legend(model.materials).encode())
    jobs = [job for job in search.jobs if overwrite or not picture_of(job).exists()]
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


def _write(model: UniStyle, jobs: tqdm) -> Iterator[str]:
    """Messages for the photos that failed."""
    for job in jobs:
        try:
            write_whole(
                picture_of(job), encode(indexed(model.find(job.source), model.materials), model.materials)
            )
        except ImageError as error:
            yield str(error) if str(job.source) in str(error) else f"{job.source}: {error}"


def encode(picture: Image.Image, materials: tuple[str, ...]) -> bytes:
    """A PNG of a picture with indices, which holds their meaning as the text `legend`."""
    buffer, text = io.BytesIO(), PngInfo()
    text.add_itxt("legend", legend(materials))
    picture.save(buffer, "PNG", pnginfo=text)
    return buffer.getvalue()
