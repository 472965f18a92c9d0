"""The house keeps its order: nothing grows until it is two things."""

import ast
from collections import Counter
from pathlib import Path

import pytest

from tests.helpers import ROOT

MODULES = sorted((ROOT / "unistyle").rglob("*.py"))
LINES, CLASS, FUNCTION, FILES = 300, 130, 40, 12


def length(node: ast.AST) -> int:
    return node.end_lineno - node.lineno + 1


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_files_classes_and_functions_stay_small(path: Path):
    text = path.read_text()
    assert text.count("\n") <= LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef):
            assert length(node) <= CLASS, node.name
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert length(node) <= FUNCTION, node.name


def test_folders_stay_small():
    counts = Counter(path.parent for path in MODULES)
    assert {folder.name: count for folder, count in counts.items() if count > FILES} == {}


def test_each_folder_says_what_it_is():
    for path in MODULES:
        if path.name == "__init__.py" and path.parent.name != "unistyle":
            tree = ast.parse(path.read_text())
            assert ast.get_docstring(tree), path
            assert len(tree.body) == 1, f"{path}: one sentence and nothing else"


def test_every_public_function_and_class_has_a_docstring():
    silent = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in MODULES
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef | ast.FunctionDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert silent == []
