"""Two ways to restyle, compared by eye: `unistyle evaluate blind`."""

import json
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from unistyle.commands.arguments import argument, whole_number
from unistyle.errors import UsageError
from unistyle.evaluation.blind import ROWS, Show, from_folder, read_answers, shown, sign_test, write_sheets
from unistyle.evaluation.methods import gatys_method, public_method
from unistyle.evaluation.pairs import SIZE, annotated_split, make_pairs
from unistyle.files.folders import list_images
from unistyle.restyle.pipeline import UniStyle
from unistyle.teachers.gatys import GatysConfig
from unistyle.teachers.vgg import read_vgg


@dataclass
class Blind:
    """Write sheets that show results of two ways side by side in random order, with a key; or score the answers of
    somebody who has looked at them.

    unistyle evaluate blind before.safetensors after.safetensors --data DATA/fmd --out blind
    unistyle evaluate blind before.safetensors after.safetensors --data DATA/fmd --out blind --answers answers.txt
    """

    first: str = argument(positional=True, metavar="FIRST")
    """A checkpoint (file, folder with one, or hub id); `gatys`, the optimisation; or a folder of results
    PHOTO__STYLE.png."""
    second: str = argument(positional=True, metavar="SECOND")
    """The same."""
    data: Path = argument(metavar="FOLDER")
    """Folder with image/MATERIAL/STEM.jpg, mask/MATERIAL/STEM.png, train.txt and val.txt (docs/data.md)."""
    out: Path = argument(metavar="FOLDER")
    """Where the sheets and key.json are written."""
    answers: Path | None = argument(None, metavar="FILE")
    """Score these answers by the key in place of writing sheets. One line for each: a number, and 1, 2 or 0 for the
    better result or neither."""
    pairs: int = argument(40, type=whole_number(1))
    """How many pairs: a photo of val with a style photo of train."""
    seed: int = 0
    """Seed of the list of pairs and of the order."""
    size: int = argument(SIZE, type=whole_number(64), metavar="PIXELS")
    """Longer side of the photos that are restyled."""
    vgg_weights: Path | None = argument(None, metavar="FILE")
    """Weights of VGG-19 for `gatys`, as safetensors. Without it they come from the hub."""
    cache: Path = argument(Path("cache/gatys"), metavar="FOLDER")
    """Where finished results of `gatys` are kept."""


def way(name: str, settings: Blind) -> Show:
    """What a user's word for a way to restyle stands for."""
    if name == "gatys":
        vgg = read_vgg(settings.vgg_weights)
        return shown(gatys_method(vgg, GatysConfig(iterations=60), settings.cache), settings.size)
    folder = Path(name)
    if folder.is_dir() and any("__" in path.stem for path in list_images(folder)):
        return from_folder(folder)
    return shown(public_method(UniStyle.from_pretrained(name, "cpu")), settings.size)


def blind(settings: Blind) -> None:
    """Write the sheets, or print what the answers say."""
    if settings.answers:
        return _score(settings)
    val, train = (annotated_split(settings.data, split) for split in ("val", "train"))
    pairs = make_pairs(val, train, settings.pairs, settings.seed)
    first, second = (way(name, settings) for name in (settings.first, settings.second))
    sheets = write_sheets(pairs, first, second, settings.out, settings.seed)
    for _ in tqdm(sheets, total=-(-len(pairs) // ROWS), desc="sheets"):
        pass
    print(
        f"{len(pairs)} pairs in {settings.out}: look at sheet-*.png, write one line for each (7 2), then --answers"
    )
    return None


def _score(settings: Blind) -> None:
    key_file = settings.out / "key.json"
    if not key_file.is_file():
        raise UsageError(f"no {key_file}: write the sheets first, with the same --out and without --answers")
    key = json.loads(key_file.read_text())["key"]
    scores = sign_test(read_answers(settings.answers or Path(), len(key)), key)
    print(f"{settings.first}: {scores['first']}, {settings.second}: {scores['second']}, neither: {scores['neither']}; "
          f"p = {scores['p']:.4f} if both were equally good")  # fmt: skip
