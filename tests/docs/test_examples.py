"""Every public name is explained, and the examples in the docstrings run."""

import doctest

import pytest

import unistyle
from tests.helpers import ROOT

NAMES = [name for name in unistyle.__all__ if not name.startswith("__")]


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_is_explained(name):
    assert (vars(getattr(unistyle, name))["__doc__"] or "").strip()


@pytest.mark.parametrize("name", NAMES)
def test_examples_of_public_names_run(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    finder, runner = doctest.DocTestFinder(recurse=False), doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    examples = [
        test for test in finder.find(getattr(unistyle, name), name, module=False, globs={}) if test.examples
    ]
    assert examples, f"the docstring of {name} has no example"
    for test in examples:
        runner.run(test)
    assert runner.summarize(verbose=False).failed == 0
