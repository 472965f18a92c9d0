"""One folder with every kind of file that people have, through the command once: nothing ends the run.

Good kinds are written, equal to what they show wherever the mask is black; bad kinds fail, each with its reason.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.batch.kinds import KINDS as PLAIN
from tests.batch.kinds_in_color import COLORED, HDR
from tests.files.spaces import by_profile
from unistyle.commands import infer
from unistyle.files import photos as images

KINDS = PLAIN | {name: kind for name, (kind, _) in COLORED.items()} | HDR

# Pillow tells of damaged EXIF and of bombs before they are refused.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")


def lay_out(root: Path) -> dict[str, np.ndarray | str]:
    """The photos and their masks, white in the left half; what each kind has to come to. Kinds that nothing
    here can write are left out."""
    outcomes = {}
    for name, make in KINDS.items():
        (root / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        try:
            outcomes[name] = make(root / "photos" / name)
        except pytest.skip.Exception:
            continue
        outcome = outcomes[name]
        save_mask(root / "masks" / name, (64, 48) if isinstance(outcome, str) else outcome.shape[1::-1])
    (root / "photos" / "round").symlink_to(root / "photos")
    (root / "masks" / "without a mask.png").unlink()
    Image.new("L", (3, 3)).save(root / "masks" / "mask of another size.png")
    return outcomes


def save_mask(path: Path, size: tuple[int, int]) -> None:
    mask = Image.new("L", size)
    mask.paste(255, (0, 0, size[0] // 2, size[1]))
    path.parent.mkdir(parents=True, exist_ok=True)
    mask.save(path.with_suffix(".png"))


def meddle(patch: pytest.MonkeyPatch) -> None:
    """Let one file vanish after it was listed, and one be forbidden, for the superuser as well."""
    read = images._open

    def open_(path):
        if path.name == "vanishing.png" and path.parent.name == "photos":
            path.unlink()
        if path.name == "forbidden.png" and path.parent.name == "photos":
            raise PermissionError(13, "Permission denied", str(path))
        return read(path)

    patch.setattr(images, "_open", open_)


@pytest.fixture(scope="module")
def ran(checkpoint, tmp_path_factory):
    """Exit code, outcomes by name, records by name."""
    root = tmp_path_factory.mktemp("every")
    outcomes = lay_out(root)
    command = [root / "photos", "--mask", root / "masks", "--to", "stone", "--out", root / "out"]
    command += ["--checkpoint", checkpoint, "--device", "cpu"]
    with pytest.MonkeyPatch.context() as patch:
        meddle(patch)
        code = infer.main([str(part) for part in command])
    records = [json.loads(line) for line in (root / "out" / "manifest.jsonl").read_text().splitlines()]
    names = [Path(record["input"]).relative_to(root / "photos").as_posix() for record in records]
    return code, outcomes, list(zip(names, records, strict=True))


def test_every_photo_is_recorded_once(ran):
    code, outcomes, records = ran
    assert code == 1
    assert sorted(name for name, _ in records) == sorted(outcomes)


@pytest.mark.parametrize("name", KINDS, ids=ascii)
def test_kind(ran, name):
    _, outcomes, records = ran
    if name not in outcomes:
        pytest.skip("nothing here can write such a file")
    record, wanted = dict(records)[name], outcomes[name]
    if isinstance(wanted, str):
        assert record["status"] == "failed"
        assert wanted in record["reason"]
        return
    assert record["status"] == "written", record["reason"]
    with Image.open(record["output"]) as result:
        found = np.asarray(result)
    assert found.shape == wanted.shape
    right = wanted.shape[1] // 2
    np.testing.assert_array_equal(found[:, right:], wanted[:, right:])
    if wanted.shape[1] > 1:
        assert (found[:, :right] != wanted[:, :right]).any()


@pytest.mark.parametrize("name", COLORED, ids=ascii)
def test_colours_outside_are_seen_as_before(ran, name):
    """By the profile that the result has, and formulas for the photo."""
    _, outcomes, records = ran
    if name not in outcomes:
        pytest.skip("nothing here can write such a file")
    with Image.open(dict(records)[name]["output"]) as result:
        found = by_profile(result)
    right = found.shape[1] // 2
    wanted = COLORED[name][1].seen(outcomes[name][..., :3])
    assert np.abs(found - wanted)[:, right:].max() <= 1.1
