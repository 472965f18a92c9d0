"""What a user can do wrong ends with one line and exit code 2, in every command; nobody sees a traceback for it."""

import numpy as np
import pytest
from PIL import Image

from experiments.__main__ import main as study
from unistyle.__main__ import main
from unistyle.commands.arguments import run
from unistyle.errors import OutputError, ProcessLostError, UsageError


@pytest.fixture
def folders(tmp_path):
    """Folders that are wrong in one way each: empty; with a folder but no photo; with a photo that is broken."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "bare" / "stone").mkdir(parents=True)
    for material in ("stone", "wood"):
        for number in range(6):
            path = tmp_path / "broken" / material / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((64, 64, 3), 20 * number, np.uint8)).save(path)
    (tmp_path / "broken" / "wood" / "3.png").write_bytes(b"no photo")
    return tmp_path


def cases(folders, checkpoint, vgg) -> dict[str, list]:
    out, none = folders / "out", folders / "none"
    encoder = ["--encoder.name=mobilenetv2_050", "--encoder.pretrained=false", f"--teachers.vgg={vgg}"]
    training = [*encoder, f"--out={out}", f"--checkpoint={out}/c.safetensors", "--data.masks=null"]
    style = ["train", "style", f"--checkpoint={checkpoint}", f"--out={out}/c.safetensors", f"--vgg={vgg}"]
    words = ["train", "vocabulary", f"--checkpoint={checkpoint}", f"--out={out}/c.safetensors"]
    saliency = ["saliency", "--out", out, "--settings.encoder.pretrained=false"]
    gatys = ["gatys", "--out", out / "a.png", "--vgg-weights", vgg, "--style"]
    return {
        "infer: no input": ["infer", "--to", "stone", "--out", out],
        "infer: no such folder": ["infer", none, "--to", "stone", "--out", out, "--checkpoint", checkpoint],
        "infer: no such checkpoint": ["infer", "--samples", "--to", "stone", "--out", out, "--checkpoint", none],
        "train: no settings": ["train"],
        "train: no such config": ["train", f"--config={none}.yaml"],
        "train: no such folder": ["train", f"--data.photos={none}", *training],
        "train: an empty folder": ["train", f"--data.photos={folders / 'empty'}", *training],
        "train: a folder without photos": ["train", f"--data.photos={folders / 'bare'}", *training],
        "train: a broken photo": ["train", f"--data.photos={folders / 'broken'}", "--teachers.gatys_pairs=0",
                                  "--optimizer.steps=40", "--data.crop=32", *training],
        "train: no such weights": ["train", f"--data.photos={folders / 'broken'}", *training, f"--teachers.vgg={none}"],
        "train style: no such folder": [*style, f"--styles={none}"],
        "train style: a folder without photos": [*style, f"--styles={folders / 'empty'}"],
        "train vocabulary: no such folder": [*words, f"--photos={none}"],
        "train vocabulary: a folder without photos": [*words, f"--photos={folders / 'bare'}"],
        "bank: no such checkpoint": ["bank", "list", none],
        "bank: no command": ["bank"],
        "bank: no such folder": ["bank", "add", checkpoint, "--styles", none, "--out", out],
        "evaluate: no such data": ["evaluate", "masks", "--data", none, "--checkpoint", checkpoint],
        "evaluate: no such checkpoint": ["evaluate", "masks", "--data", folders, "--checkpoint", none],
        "evaluate: no such weights": ["evaluate", "style", "--data", none, "--checkpoint", checkpoint,
                                      "--vgg-weights", none],
        "export: no such checkpoint": ["export", "onnx", none, "--out", out / "a.onnx"],
        "export: another ending": ["export", "onnx", checkpoint, "--out", out / "a.txt"],
        "demo: no such checkpoint": ["demo", "--checkpoint", none],
        "demo: no port": ["demo", "--port", "none"],
        "gatys: no such photo": [*gatys, none, none],
        "gatys: a broken photo": [*gatys, folders / "broken/wood/1.png", folders / "broken/wood/3.png"],
        "gatys: no such weights": [*gatys, folders / "broken/wood/1.png", folders / "broken/wood/2.png",
                                   "--vgg-weights", none],
        "saliency: nothing to do": ["saliency", "--photos", folders / "broken"],
        "saliency: no such folder": [*saliency, "--photos", none],
        "saliency: an empty folder": [*saliency, "--photos", folders / "empty"],
        "saliency: a broken photo": [*saliency, "--photos", folders / "broken", "--cache", folders / "cache",
                                     "--settings.encoder.name=mobilenetv2_050"],
        "experiments: no such data": ["experiments", f"--data={none}", f"--out={out}", f"--checkpoint={checkpoint}"],
        "experiments: no such study": ["experiments", f"--data={none}", f"--out={out}", "--studies=[none]"],
    }  # fmt: skip


NAMES = list(cases(__import__("pathlib").Path("."), "", ""))


@pytest.mark.parametrize("name", NAMES)
def test_a_users_mistake_ends_with_one_line_and_two(name, folders, checkpoint, vgg_weights, capsys):
    command, *rest = map(str, cases(folders, checkpoint, vgg_weights)[name])
    code = study(rest) if command == "experiments" else main([command, *rest])
    errors = capsys.readouterr().err
    assert code == 2, errors
    assert "Traceback" not in errors
    assert "error: " in errors.splitlines()[-1] or "error: " in errors


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UsageError("give another"), 2, "it: error: give another"),
        (FileNotFoundError(2, "No such file", "a.png"), 2, "it: error: [Errno 2] No such file: 'a.png'"),
        (FloatingPointError("the term 'style' is nan"), 2, "it: error: the term 'style' is nan"),
        (ModuleNotFoundError("No module named 'onnx'", name="onnx"), 2, "pip install 'unistyle[onnx]'"),
        (OutputError("cannot write"), 1, "stopped: cannot write"),
        (ProcessLostError("another process ended"), 1, "stopped: another process ended"),
        (KeyboardInterrupt(), 130, "stopped: interrupted"),
        (SystemExit(2), 2, ""),
    ],
)
def test_errors_to_exit_codes(error, code, said, capsys):
    def fail():
        raise error

    assert run("it", fail) == code
    assert said in capsys.readouterr().err


def test_work_says_its_own_code():
    assert [run("it", lambda value=value: value) for value in (None, 0, 1)] == [0, 0, 1]


@pytest.mark.parametrize("error", [TypeError("a bug"), KeyError("a bug"), ModuleNotFoundError(name="torchh")])
def test_an_error_of_the_program_itself_keeps_its_traceback(error):
    def fail():
        raise error

    with pytest.raises(type(error)):
        run("it", fail)
