"""The command `unistyle`, and the two doors of a checkout."""

import runpy
import subprocess
import sys

import pytest

from tests.helpers import ROOT
from unistyle import __version__
from unistyle.__main__ import COMMANDS, main


def test_help_lists_every_command(capsys):
    for argv in ([], ["--help"], ["-h"]):
        assert main(argv) == 0
        printed = capsys.readouterr().out
        assert all(f"\n  {name} " in printed for name in COMMANDS)


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"{__version__}\n"


def test_an_unknown_command_is_refused_with_a_guess(capsys):
    assert main(["infre"]) == 2
    assert "unknown command 'infre'. Did you mean 'infer'?" in capsys.readouterr().err


def test_a_command_gets_the_rest_of_the_line(checkpoint, capsys):
    assert main(["bank", "list", str(checkpoint)]) == 0
    assert "stone: quarry, wall" in capsys.readouterr().out


def test_the_table_is_read_without_any_heavy_import():
    code = "import sys, unistyle.__main__; print([m for m in ('torch', 'timm', 'PIL') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


@pytest.mark.parametrize(
    ("door", "program"), [("infer.py", "unistyle infer"), ("train.py", "unistyle train")]
)
def test_the_doors_of_a_checkout(door, program, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [door, "--help"])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(ROOT / door), run_name="__main__")
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: {program}")
