"""The samples of style photos, which are laid over what is restyled."""

from functools import lru_cache, partial
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from unistyle.data.labelled import LabelledPhoto
from unistyle.data.pairs import StyleSamples
from unistyle.data.views import load
from unistyle.files.atomic import kept
from unistyle.files.digest import digest, file_digest
from unistyle.files.tensors import to_tensor
from unistyle.maths.resizing import within
from unistyle.styles import quilting, samples
from unistyle.styles.codes import STYLE_SIZE
from unistyle.styles.swatches import TILE
from unistyle.training.config import DataConfig

CODE = [file_digest(str(module.__file__)) for module in (quilting, samples)]  # that decides what a sample is


def style_samples(data: DataConfig) -> StyleSamples:
    """The samples of all style photos, made where the folder of the settings has none yet."""
    return StyleSamples(partial(style_sample, Path(data.samples)), TILE, data.laid)


@lru_cache(maxsize=4000)
def style_sample(folder: Path, photo: LabelledPhoto) -> Tensor | None:
    """The sample of a style photo inside its mask, uint8 `3 TILE TILE`, seen as when a style is added; None where
    there is no material to take one of. It is kept in memory and in the folder, where its name is a digest of all that
    decides it."""

    def make() -> dict[str, Tensor]:
        image, mask = (to_tensor(x)[None] for x in load(photo))
        tile = samples.sample_of(*(within(x, STYLE_SIZE) for x in (image, mask)))
        return {} if tile is None else {"tile": tile.contiguous()}

    files = [file_digest(path) for path in (photo.path, photo.mask) if path]
    path = folder / f"{digest(files, CODE, TILE, STYLE_SIZE)}.safetensors"
    return kept(path, make, save_file, load_file).get("tile")
