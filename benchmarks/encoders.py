"""What it takes to write a result: encoders of PNG, lossless WebP and JPEG, on photos.

    python -m benchmarks.encoders

`unistyle` is `unistyle.files.writing.encode_image`. Encoders of packages that are not installed are left out: opencv
(opencv-python-headless), imagecodecs. The columns are explained in `Settings`.
"""

import importlib
import io
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from unittest import mock

import numpy as np
from PIL import Image

from unistyle.commands.arguments import argument, parser_of, read, run, whole_number
from unistyle.files import writing
from unistyle.files.photos import read_image
from unistyle.files.samples import content_photos
from unistyle.files.writing import FORMATS, encode_image

NAME = "python -m benchmarks.encoders"
STANDARD = "pillow png 1"
Encoder = Callable[[Image.Image], bytes]


@dataclass
class Settings:
    """Compare encoders of PNG, lossless WebP and JPEG on photos. The columns are: milliseconds per megapixel on one
    thread, in the best round; how many times as much two threads get done; bytes per pixel; speed and size next to
    Pillow's PNG of level 1 in the same run.

    python -m benchmarks.encoders photos/ --rounds 5
    """

    folder: Path | None = argument(None, positional=True, nargs="?", metavar="FOLDER")
    """Photos. Without it, those that ship with scikit-image."""
    rounds: int = argument(3, type=whole_number(1))
    """How often every encoder is timed."""
    count: int = argument(16, type=whole_number(1))
    """How many photos are taken at most."""


def unistyle_encoders() -> Iterator[tuple[str, Encoder]]:
    for name in FORMATS:
        yield f"unistyle {name}", lambda image, name=name: encode_image(image, name)


def pillow() -> Iterator[tuple[str, Encoder]]:
    for level in (0, 1, 2, 3, 6):
        yield f"pillow png {level}", saver("PNG", compress_level=level)
    # The strategies of zlib, by their numbers; filters are Pillow's own choice for each row.
    for number, name in enumerate(("filtered", "huffman", "rle", "fixed"), 1):
        yield f"pillow png 1 {name}", saver("PNG", compress_level=1, compress_type=number)
    for method, quality in ((0, 0), (0, 50), (1, 0), (2, 0), (4, 80)):
        options = dict(lossless=True, exact=True, method=method, quality=quality)
        yield f"pillow webp {method} quality {quality}", saver("WEBP", **options)


def saver(format: str, **options: object) -> Encoder:
    def encode(image: Image.Image) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, format, **options)
        return buffer.getvalue()

    return encode


def opencv() -> Iterator[tuple[str, Encoder]]:
    if (cv2 := optional("cv2")) is None:
        return
    cv2.setNumThreads(1)
    for strategy in ("DEFAULT", "HUFFMAN_ONLY", "RLE"):
        yield f"opencv png 1 {strategy.lower()}", opencv_encoder(cv2, strategy)
        for kind in ("SUB", "UP", "AVG") if hasattr(cv2, "IMWRITE_PNG_FILTER") else ():
            yield f"opencv png 1 {strategy.lower()} {kind.lower()}", opencv_encoder(cv2, strategy, kind)


def opencv_encoder(cv2: ModuleType, strategy: str, kind: str | None = None) -> Encoder:
    options = [cv2.IMWRITE_PNG_COMPRESSION, 1]
    options += [cv2.IMWRITE_PNG_STRATEGY, getattr(cv2, f"IMWRITE_PNG_STRATEGY_{strategy}")]
    if kind:
        options += [cv2.IMWRITE_PNG_FILTER, getattr(cv2, f"IMWRITE_PNG_FILTER_{kind}")]
    return lambda image: cv2.imencode(".png", np.asarray(image)[..., ::-1], options)[1]


def imagecodecs() -> Iterator[tuple[str, Encoder]]:
    if (codecs := optional("imagecodecs")) is None:
        return
    for name in ("png", "spng"):
        encode = getattr(codecs, f"{name}_encode")
        yield f"imagecodecs {name} 1", lambda image, encode=encode: encode(np.asarray(image), level=1)
    yield "imagecodecs qoi", lambda image: codecs.qoi_encode(np.asarray(image))


def without_isal() -> Iterator[tuple[str, Encoder]]:
    """What is written where ISA-L is not available."""
    # Around all that is done with it, not in the function: threads that replace it at the same time would put back what
    # another one had put there.
    with mock.patch.object(writing, "isal_zlib", None):
        yield "unistyle png without isal", encode_image


def optional(name: str) -> ModuleType | None:
    """A module, where its package is installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def seconds(encode: Encoder, photos: list[Image.Image], threads: int, rounds: int) -> float:
    """Time in which some threads each encode all photos once, divided by the number of threads: the best round."""
    # Pillow keeps settings in the image while it saves one, so that every thread needs its own.
    own = [[photo.copy() for photo in photos] for _ in range(threads)]
    times = []
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(rounds):
            start = time.perf_counter()
            list(pool.map(lambda images: [len(encode(image)) for image in images], own))
            times.append((time.perf_counter() - start) / threads)
    return min(times)


def rows(photos: list[Image.Image], rounds: int) -> Iterator[tuple[str, float, float, float]]:
    """Name, seconds on one thread, gain of two threads, and bytes, for all photos together."""
    encoders = [unistyle_encoders(), pillow(), opencv(), imagecodecs(), without_isal()]
    for name, encode in (pair for group in encoders for pair in group):
        one, two = (seconds(encode, photos, threads, rounds) for threads in (1, 2))
        yield name, one, one / two, sum(len(encode(photo)) for photo in photos)


def table(photos: list[Image.Image], rounds: int) -> str:
    """The rows as Markdown, next to those of `STANDARD`."""
    found, pixels = list(rows(photos, rounds)), sum(photo.width * photo.height for photo in photos)
    time_1, size_1 = next((time, size) for name, time, _, size in found if name == STANDARD)
    lines = [
        "| encoder | ms/MP | two threads | bytes/pixel | speed | size |",
        "| --- | --: | --: | --: | --: | --: |",
    ]
    for name, time_, gain, size in found:
        lines.append(
            f"| {name} | {time_ / pixels * 1e9:.1f} | {gain:.2f}x | {size / pixels:.2f} "
            f"| {time_1 / time_:.2f}x | {size / size_1:.2f}x |"
        )
    return "\n".join(lines)


def compare(settings: Settings) -> None:
    paths = content_photos([settings.folder] if settings.folder else None)
    print(table([read_image(path) for path in paths[: settings.count]], settings.rounds))


def main(argv: list[str] | None = None) -> int:
    return run(NAME, lambda: compare(read(parser_of(NAME, Settings), Settings, argv)))


if __name__ == "__main__":
    sys.exit(main())
