"""Work is done whatever becomes of what is printed."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import ROOT, make_photo
from unistyle.commands.arguments import run
from unistyle.streams import Sturdy, sturdy


class Full(io.StringIO):
    """A disk without space."""

    def write(self, text):
        raise OSError(28, "No space left on device")

    flush = write_through = lambda self: self.write("")


def test_a_full_stdout_does_not_end_the_work(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", Full())
    assert run("it", lambda: print("done")) == 0
    assert capsys.readouterr().err == ""


def test_a_reader_that_has_left_does_not_end_the_work(monkeypatch):
    there, here = os.pipe()
    os.close(there)
    with open(here, "w") as pipe:  # noqa: PTH123
        monkeypatch.setattr(sys, "stdout", pipe)
        assert run("it", lambda: print("done", flush=True)) == 0
        assert run("it", lambda: print("more")) == 0


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_letters_that_a_stream_does_not_have_are_escaped(encoding, monkeypatch):
    buffer = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(buffer, encoding=encoding))
    text = "石 \udcff.png"  # a name that is no UTF-8
    assert run("it", lambda: print(text)) == 0
    assert (
        buffer.getvalue().decode(encoding)
        == text.encode(encoding, "backslashreplace").decode(encoding) + "\n"
    )


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_stream_that_is_closed_is_none_at_all(name, monkeypatch):
    monkeypatch.setattr(sys, name, None)
    assert run("it", lambda: print("done", file=getattr(sys, name))) == 0
    assert getattr(sys, name) is None

    def fail():
        raise ValueError("wrong")

    assert run("it", fail) == 2


def test_streams_are_given_back():
    before = sys.stdout, sys.stderr
    with sturdy():
        assert isinstance(sys.stdout, Sturdy)
        inner = sys.stdout
        with sturdy():
            assert sys.stdout is inner
    assert (sys.stdout, sys.stderr) == before


def test_an_error_of_the_work_is_no_error_of_a_stream():
    def fail():
        raise OSError(28, "No space left on device")

    assert run("it", fail) == 2


# Commands that take seconds to import, each in a process of its own that begins where they are.
COMMANDS = """
import os, sys
from unistyle.__main__ import main
from unistyle.commands import bank, infer
given, codes = sys.argv[2:], []
while given:
    end = given.index(";")
    if not (child := os.fork()):
        sys.exit(main(given[:end]))
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    given = given[end + 1:]
with open(sys.argv[1], "w") as file:
    file.write(str(codes))
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", [">/dev/full", "| true", ">&- 2>&-", "2>/dev/full"])
def test_the_programs_themselves(how, checkpoint, tmp_path):
    if "/dev/full" in how and not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    make_photo().save(tmp_path / "a.png")
    (tmp_path / "commands.py").write_text(COMMANDS)
    infer = f"infer {tmp_path}/a.png --to stone --checkpoint {checkpoint} --out {tmp_path}/out --device cpu"
    given = f"{tmp_path}/codes infer --help ';' bank list {checkpoint} ';' {infer} ';'"
    for program in ("-m unistyle --help", f"{tmp_path}/commands.py {given}"):
        line = f"set -o pipefail; {sys.executable} {program} {how}"
        done = subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, done.stderr
        assert "Error" not in done.stderr
    assert (tmp_path / "codes").read_text() == "[0, 0, 0]"
    assert (tmp_path / "out" / "a.png").is_file()


@pytest.mark.slow
def test_a_folder_whose_name_is_no_text(checkpoint, tmp_path):
    make_photo().save(tmp_path / "a.png")
    out = os.fsencode(tmp_path) + b"/\xff"
    given = [
        "infer",
        tmp_path / "a.png",
        "--to",
        "stone",
        "--checkpoint",
        checkpoint,
        "--device",
        "cpu",
        "--out",
        out,
    ]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-m", "unistyle", *given], cwd=ROOT, capture_output=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert os.path.exists(out + b"/a.png")  # noqa: PTH110
