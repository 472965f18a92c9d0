"""Weights that cannot be fetched, and files of weights that are not there."""

import urllib.error

import pytest
import timm

from unistyle.commands import gatys, train
from unistyle.evaluation import judges
from unistyle.files.fetching import fetching
from unistyle.network.encoder import Encoder, EncoderConfig
from unistyle.teachers import vgg
from unistyle.training.targets.recognition import ObjectTeacher


class HubError(Exception):
    """An error of a client that is no OSError."""


HubError.__module__ = "httpx"
OFFLINE = [
    urllib.error.URLError("[Errno -2] Name or service not known"),
    PermissionError(13, "Permission denied"),
    HubError("no route\nto the host"),
]


def fail_with(error):
    def fail(*arguments, **options):
        raise error

    return fail


@pytest.mark.parametrize("error", OFFLINE)
def test_vgg_that_cannot_be_fetched(error, monkeypatch):
    monkeypatch.setattr(vgg, "vgg19", fail_with(error))
    with pytest.raises(ValueError, match=r"^VGG-19 cannot be fetched \(.*\); give --vgg FILE") as caught:
        vgg.read_vgg(None)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("error", OFFLINE)
@pytest.mark.parametrize(
    "make",
    [
        lambda: Encoder(EncoderConfig("mobilenetv2_050")),
        lambda: ObjectTeacher("mobilenetv2_050"),
        lambda: judges._backbone("mobilenetv2_050", None),
    ],
)
def test_backbones_that_cannot_be_fetched(make, error, monkeypatch):
    monkeypatch.setattr(timm, "create_model", fail_with(error))
    with pytest.raises(ValueError, match=r"^the weights of mobilenetv2_050 cannot be fetched \(.*\); give "):
        make()


def test_the_command_says_it_in_one_line(checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(vgg, "vgg19", fail_with(OFFLINE[0]))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "styles").mkdir()
    given = ["style", f"--checkpoint={checkpoint}", "--out=c.safetensors", "--styles=styles"]
    from tests.helpers import make_photo

    make_photo(96, 96).save(tmp_path / "styles" / "a.png")
    assert train.main(given) == 2
    assert "train style: error: VGG-19 cannot be fetched" in capsys.readouterr().err


def test_gatys_names_a_style_that_is_missing(vgg_weights, photos, tmp_path, capsys):
    photo = next((photos / "objects/image").iterdir())
    given = [
        photo,
        "--style",
        tmp_path / "none.png",
        "--out",
        tmp_path / "a.png",
        "--vgg-weights",
        vgg_weights,
    ]
    assert gatys.main([str(each) for each in given]) == 2
    assert "none.png: no such file" in capsys.readouterr().err


def test_files_of_weights_that_are_missing_are_named():
    with pytest.raises(FileNotFoundError, match=r"no weights none\.safetensors: give a safetensors file of"):
        Encoder(EncoderConfig("mobilenetv2_050", weights="none.safetensors"))
    with pytest.raises(FileNotFoundError, match="no weights none"):
        judges._backbone("mobilenetv2_050", "none")


def test_other_errors_stay_what_they_are():
    with pytest.raises(KeyError), fetching("it", "give it"):
        raise KeyError("a bug")
