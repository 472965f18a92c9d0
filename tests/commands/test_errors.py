"""What a user can do wrong ends with a message and exit code 2, in every command; nobody sees a traceback for it."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments.__main__ import main as study
from experiments.words import main as link_words
from tests.helpers import annotated_folder
from unistyle.__main__ import main
from unistyle.commands.arguments import run
from unistyle.errors import OutputError, ProcessLostError, UniStyleError, UsageError


@pytest.fixture
def folders(tmp_path):
    """Folders that are wrong in one way each: empty; with a folder but no photo; with a photo that is broken. And a
    file that is neither settings nor weights, and one folder of annotated photos that is right."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "bare" / "stone").mkdir(parents=True)
    for material in ("stone", "wood"):
        for number in range(6):
            path = tmp_path / "broken" / material / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((64, 64, 3), 20 * number, np.uint8)).save(path)
    shutil.copytree(tmp_path / "broken", tmp_path / "whole")
    (tmp_path / "broken" / "wood" / "3.png").write_bytes(b"no photo")
    (tmp_path / "broken" / "wood" / "words.yaml").write_text("- no words")
    (tmp_path / "spoilt").mkdir()
    (tmp_path / "spoilt" / "a.png").write_bytes(b"no photo")
    (tmp_path / "bad.safetensors").write_bytes(b"[no weights" * 20)
    annotated_folder(tmp_path / "annotated", ("metal", "stone"))
    return tmp_path


def cases(folders, checkpoint, vgg) -> dict[str, tuple[list, str]]:
    """By name: a command line that cannot be carried out, and a part of what its message says."""
    out, none, bad = folders / "out", folders / "none", folders / "bad.safetensors"
    empty, bare, broken, whole, data = (
        folders / name for name in ("empty", "bare", "broken", "whole", "annotated")
    )
    photo, other, no_photo = (broken / "wood" / f"{i}.png" for i in (1, 2, 3))
    infer = ["infer", "--to", "stone", "--out", out, "--checkpoint", checkpoint]
    ended = [f"--out={out}/c.safetensors", f"--checkpoint={checkpoint}"]
    training = [
        "train",
        "--encoder.name=mobilenetv2_050",
        "--encoder.pretrained=false",
        f"--teachers.vgg={vgg}",
        f"--out={out}",
        f"--checkpoint={out}/c.safetensors",
        "--data.masks=null",
    ]
    style, words = ["train", "style", *ended, f"--vgg={vgg}"], ["train", "vocabulary", *ended]
    measure = ["--data", data, "--checkpoint", checkpoint]
    gatys = ["gatys", photo, "--style", other, "--out", out / "a.png", "--vgg-weights", vgg]
    saliency = [
        "saliency",
        "--out",
        out,
        "--settings.encoder.pretrained=false",
        "--settings.encoder.name=mobilenetv2_050",
        "--cache",
        folders / "cache",
    ]
    study = ["experiments", f"--out={out}", f"--checkpoint={checkpoint}"]
    link = ["words", "--data", data, "--out", out]
    return {
        "infer: no input": (infer, "give INPUT or --samples"),
        "infer: no such folder": ([*infer, none], "none"),
        "infer: no such checkpoint": ([*infer, "--samples", "--checkpoint", none], "none: no such file"),
        "infer: no such style": ([*infer, photo, "--to", "stoon"], "Did you mean 'stone'?"),
        "infer: an empty input": ([*infer, ""], "argument INPUT: got '', which is empty"),
        "infer: an empty input among others": ([*infer, photo, " "], "is a variable not set?"),
        "infer: an empty mask": ([*infer, photo, "--mask", ""], "argument --mask: got ''"),
        "infer: an empty style": ([*infer, photo, "--to", ""], "argument --to: got ''"),
        "infer: an empty folder's name": ([*infer, photo, "--out", ""], "argument --out: got ''"),
        "infer: an empty checkpoint": ([*infer, photo, "--checkpoint", ""], "argument --checkpoint: got ''"),
        "infer: a folder as style": ([*infer, photo, "--to", whole], "whole' is a folder; give the path of one photo"),
        "infer: percentages": ([*infer, photo, "--to", "stone:70%,metal:30%"], "got weight '70%'"),
        "infer: a percentage": ([*infer, photo, "--to", "stone:70 %"], "got weight '70 %'"),
        "infer: a mix of another form": ([*infer, photo, "--to", "stone=0.7,metal=0.3"],
                                         "A mix is STYLE:WEIGHT,STYLE:WEIGHT"),
        "infer: a long style": ([*infer, photo, "--to", "s" * 300], "unknown style"),
        "infer: a long path as style": ([*infer, photo, "--to", f"{none}/{'s' * 5000}.jpg"], "unknown style"),
        "infer: a style of no text": ([*infer, photo, "--to", "a\0b"], "unknown style"),
        "infer: no such device": ([*infer, photo, "--device", "nonsense"], "device 'nonsense'"),
        "train: no settings": (["train"], "data.photos"),
        "train: no such config": (["train", f"--config={none}.yaml"], "none.yaml"),
        "train: a broken config": (["train", f"--config={bad}"], "config"),
        "train: no such setting": ([*training, f"--data.photos={broken}", "--speed=9"], "--speed"),
        "train: an empty folder's name": ([*training, "--data.photos="], "argument --data.photos: got an empty text"),
        "train: an empty name in a list": ([*training, f"--data.photos={whole}", "--data.contents=['']"],
                                           "argument --data.contents: got an empty text"),
        "train style: an empty folder's name": ([*style, "--styles="], "argument --styles: got an empty text"),
        "train: no such folder": ([*training, f"--data.photos={none}"], "none"),
        "train: an empty folder": ([*training, f"--data.photos={empty}"], "empty"),
        "train: a folder without photos": ([*training, f"--data.photos={bare}"], "bare"),
        "train: broken photos alone": ([*training, f"--data.photos={whole}", f"--data.contents=[{folders / 'spoilt'}]"],
                                       "a.png"),
        "train: no such weights": ([*training, f"--data.photos={whole}", f"--teachers.vgg={none}"],
                                   "no VGG-19 weights at"),
        "train: no weights": ([*training, f"--data.photos={whole}", f"--teachers.vgg={bad}"],
                              "no weights of VGG-19"),
        "train style: no such folder": ([*style, f"--styles={none}"], "none"),
        "train style: a folder without photos": ([*style, f"--styles={empty}"], "empty"),
        "train style: no such device": ([*style, f"--styles={broken}", "--device=nonsense"], "device 'nonsense'"),
        "train vocabulary: no such folder": ([*words, f"--photos={none}"], "none"),
        "train vocabulary: a folder without photos": ([*words, f"--photos={bare}"], "bare"),
        "train vocabulary: no such device": ([*words, f"--photos={broken}", "--device=nonsense"],
                                             "device 'nonsense'"),
        "bank: no such checkpoint": (["bank", "list", none], "none: no such file"),
        "bank: no command": (["bank"], "list|add"),
        "bank: no such command": (["bank", "ad"], "'ad'"),
        "bank add: no such folder": (["bank", "add", checkpoint, "--styles", none, "--out", out], "none"),
        "bank add: an empty folder's name": (["bank", "add", checkpoint, "--styles", "", "--out", out],
                                             "argument --styles: got ''"),
        "bank add: another ending": (["bank", "add", checkpoint, "--styles", whole, "--out", folders / "mine.pth"],
                                     "checkpoints are .safetensors files, not .pth; give mine.safetensors"),
        "bank rename: another ending": (["bank", "rename", checkpoint, "stone", "rock", "--out", folders / "mine.pt"],
                                        "give mine.safetensors"),
        "bank samples: another ending": (["bank", "samples", checkpoint, "--samples", whole, "--out", "mine.bin"],
                                         "give mine.safetensors"),
        "bank list: a sheet of another format": (["bank", "list", checkpoint, "--sheet", folders / "x.jpg"],
                                                 "x.jpg'; wanted a name that ends in .png"),
        "evaluate sheet: another format": (["evaluate", "sheet", *measure, "--out", folders / "x.WEBP"], ".png"),
        "gatys: another format": ([*gatys, "--out", folders / "x.jpg"], "results are PNGs"),
        "train style: another ending": (["train", "style", f"--styles={whole}", f"--out={out}.pth",
                                         f"--checkpoint={checkpoint}"], "give out.safetensors"),
        "train vocabulary: another ending": (["train", "vocabulary", f"--photos={whole}", f"--out={out}.pth",
                                              f"--checkpoint={checkpoint}"], "give out.safetensors"),
        "train: another ending": ([*training, f"--data.photos={whole}", f"--checkpoint={out}.pth"],
                                  "give out.safetensors"),
        "bank merge: no styles": (["bank", "merge", checkpoint, bad, "--out", out], "bad.safetensors"),
        "bank export: no such style": (["bank", "export", checkpoint, "stoon", "--out", out], "'stone'?"),
        "evaluate: rows of no kind": (
            ["evaluate", "masks", *measure, "--out", out / "a.txt"],
            "wanted a name that ends in .csv or .json",
        ),
        "evaluate: no such data": (["evaluate", "masks", "--data", none, "--checkpoint", checkpoint], "none"),
        "evaluate: no such split": (["evaluate", "masks", *measure, "--split", "test"], "test.txt"),
        "evaluate: no such checkpoint": (["evaluate", "masks", "--data", data, "--checkpoint", none],
                                         "none: no such file"),
        "evaluate: no such weights": (["evaluate", "style", *measure, "--vgg-weights", none],
                                      "no VGG-19 weights at"),
        "evaluate: no weights": (["evaluate", "bank", *measure, "--vgg-weights", bad], "no weights of VGG-19"),
        "evaluate: no such style": (["evaluate", "sheet", *measure, "--out", out / "a.png", "--styles", "stoon"],
                                    "'stone'?"),
        **{f"evaluate {name}: no such device": (["evaluate", name, *measure, "--device", "nonsense", *more],
                                                "device 'nonsense'")
           for name, more in (("style", ["--vgg-weights", vgg]), ("bank", ["--vgg-weights", vgg]), ("masks", []),
                              ("outside", []), ("sheet", ["--out", out]), ("failures", ["--out", out]))},
        "export: no such checkpoint": (["export", "onnx", none, "--out", out / "a.onnx"], "none: no such file"),
        "export: another ending": (["export", "onnx", checkpoint, "--out", out / "a.txt"], ".onnx"),
        "export check: no program": (["export", "check", checkpoint, bad, photo], "bad.safetensors"),
        "demo: no such checkpoint": (["demo", "--checkpoint", none], "none: no such file"),
        "demo: no port": (["demo", "--port", "none"], "a port from 1 to 65535"),
        "demo: no such port": (["demo", "--checkpoint", checkpoint, "--port", "65536"], "a port from 1 to 65535"),
        "demo: no such device": (["demo", "--checkpoint", checkpoint, "--device", "nonsense"], "device 'nonsense'"),
        "gatys: no such photo": ([*gatys, none], "none"),
        "gatys: a broken photo": ([*gatys[:3], no_photo, *gatys[4:]], "3.png"),
        "gatys: no such weights": ([*gatys, "--vgg-weights", none], "no VGG-19 weights at"),
        "gatys: no such device": ([*gatys, "--device", "nonsense"], "device 'nonsense'"),
        "saliency: nothing to do": (["saliency", "--photos", broken], "give --out"),
        "saliency: no such folder": ([*saliency, "--photos", none], "none"),
        "saliency: an empty folder": ([*saliency, "--photos", empty], "empty"),
        "saliency: a broken photo": ([*saliency, "--photos", broken], "3.png"),
        "saliency: no such device": ([*saliency, "--photos", broken, "--device", "nonsense"], "device 'nonsense'"),
        "experiments: no such data": ([*study, f"--data={none}"], "none"),
        "experiments: no such study": ([*study, f"--data={none}", "--studies=[nothing]"], "nothing"),
        "words: no such file": ([*link, none], "none"),
        "words: a broken file": ([*link, no_photo.parent / "words.yaml"], "wanted words"),
    }  # fmt: skip


NAMES = list(cases(Path(), "", ""))
PROGRAMS = {"experiments": study, "words": link_words}


@pytest.mark.parametrize("name", NAMES)
def test_a_users_mistake_ends_with_a_message_and_two(name, folders, checkpoint, vgg_weights, capsys):
    arguments, said = cases(folders, checkpoint, vgg_weights)[name]
    command, *rest = map(str, arguments)
    code = PROGRAMS[command](rest) if command in PROGRAMS else main([command, *rest])
    errors = capsys.readouterr().err
    assert code == 2, errors
    assert "Traceback" not in errors
    assert said in errors.rpartition("error: ")[2]


def test_errors_name_the_command_of_a_command(checkpoint, tmp_path, capsys):
    assert main(["bank", "remove", str(checkpoint), "stoon", "--out", str(tmp_path / "a.safetensors")]) == 2
    assert capsys.readouterr().err.startswith("unistyle bank remove: error: unknown style 'stoon'")


@pytest.mark.parametrize("command", ["masks", "failures"])
def test_auto_is_a_device_to_measure_on(command, folders, checkpoint):
    given = ["--data", str(folders / "annotated"), "--checkpoint", str(checkpoint), "--device", "auto"]
    more = ["--out", str(folders / "sheets")] if command == "failures" else []
    assert main(["evaluate", command, *given, *more]) == 0


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UsageError("give another"), 2, "it: error: give another"),
        (FileNotFoundError(2, "No such file", "a.png"), 2, "it: error: [Errno 2] No such file: 'a.png'"),
        (FloatingPointError("the term 'style' is nan"), 2, "it: error: the term 'style' is nan"),
        (ModuleNotFoundError("No module named 'onnx'", name="onnx"), 2, "pip install 'unistyle[onnx]'"),
        (ModuleNotFoundError("No module named 'markdown'", name="markdown"), 2, "unistyle[experiments]"),
        (UniStyleError("put it right"), 2, "it: error: put it right"),
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
