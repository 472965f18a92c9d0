"""Work is done whatever becomes of what is printed."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import command
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


def restyling(photo, checkpoint, out) -> list:
    about = ["--to", "stone", "--device", "cpu"]
    return ["infer", photo, *about, "--checkpoint", checkpoint, "--out", out]


REDIRECTED = {
    ">/dev/full": {1: "/dev/full"},
    "| true": {1: command.LEFT},
    ">&- 2>&-": {1: command.CLOSED, 2: command.CLOSED},
    "2>/dev/full": {2: "/dev/full"},
}


@pytest.mark.slow
@pytest.mark.parametrize("how", REDIRECTED)
def test_the_programs_themselves(how, checkpoint, tmp_path):
    if "/dev/full" in how and not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    line = f"set -o pipefail; {sys.executable} -m unistyle --help {how}"
    done = subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    make_photo().save(tmp_path / "a.png")
    log = tmp_path / "log"
    infer = restyling(tmp_path / "a.png", checkpoint, tmp_path / "out")
    for given in (["infer", "--help"], ["bank", "list", checkpoint], infer):
        process = command.start_printing(given, {1: str(log), 2: str(log)} | REDIRECTED[how])
        assert command.end(process) == 0, log.read_text()
    assert not log.exists() or "Error" not in log.read_text()
    assert "Error" not in done.stderr
    assert (tmp_path / "out" / "a.png").is_file()


@pytest.mark.slow
def test_a_folder_whose_name_is_no_text(checkpoint, tmp_path):
    make_photo().save(tmp_path / "a.png")
    out, log = os.fsencode(tmp_path) + b"/\xff", tmp_path / "log"
    given = restyling(tmp_path / "a.png", checkpoint, out)
    process = command.start_printing(given, {1: str(log), 2: str(log)}, encoding="ascii")
    assert command.end(process) == 0, log.read_text()
    assert b"\\udcff" in log.read_bytes()
    assert os.path.exists(out + b"/a.png")  # noqa: PTH110
