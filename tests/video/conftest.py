"""The command, for tests of videos."""

import pytest

from unistyle.commands import infer


@pytest.fixture
def run(checkpoint, capsys, tmp_path):
    """Run the command in this process: exit code, printed text, error text."""

    def call(*arguments, to="stone/quarry", out=tmp_path / "out"):
        given = [*arguments, "--to", to, "--out", out, "--checkpoint", checkpoint, "--device", "cpu"]
        code = infer.main([str(argument) for argument in given])
        return code, *capsys.readouterr()

    return call
