"""The checkpoint that comes with the program."""

import tomllib

from tests.helpers import ROOT
from unistyle.checkpoint import shipped
from unistyle.checkpoint.checkpoint import load_checkpoint
from unistyle.checkpoint.shipped import NAME, default_checkpoint


def test_a_checkout_has_its_own():
    assert default_checkpoint() == ROOT / "checkpoints" / NAME
    assert default_checkpoint().is_file()


def test_every_exemplar_has_a_sample_and_the_file_stays_small():
    bank = load_checkpoint(default_checkpoint()).bank
    assert bank.swatches.structure.tolist() == [1.0] * 30
    assert bank.swatches.tiles.float().std((1, 2, 3)).min() > 5
    assert default_checkpoint().stat().st_size < 20_000_000


def test_an_installed_package_brings_it(tmp_path, monkeypatch):
    package = tmp_path / "site-packages" / "unistyle"
    monkeypatch.setattr(shipped, "__file__", str(package / "checkpoint" / "shipped.py"))
    assert default_checkpoint() == package / "checkpoints" / NAME


def test_the_wheel_holds_every_package_and_the_checkpoint():
    setup = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {path.parent for path in (ROOT / "unistyle").rglob("*.py")}
    wanted = {".".join(folder.relative_to(ROOT).parts) for folder in folders} | {"unistyle.checkpoints"}
    assert set(setup["packages"]) == wanted
    assert setup["package-dir"] == {"unistyle.checkpoints": "checkpoints"}
    assert list((ROOT / "checkpoints").glob(setup["package-data"]["unistyle.checkpoints"][0]))
