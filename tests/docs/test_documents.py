"""The documents hold what they say: code runs, commands parse, and what is named exists."""

import re
import shutil
from importlib import import_module
from importlib.util import find_spec

import pytest
from sybil.document import Document
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

from experiments.config import ExperimentConfig
from tests.docs.reading import FENCED, PAGES, command_lines, name_of, named_paths
from tests.helpers import ROOT, make_photo
from unistyle.__main__ import COMMANDS
from unistyle.checkpoint.checkpoint import load_checkpoint
from unistyle.checkpoint.shipped import default_checkpoint
from unistyle.commands.arguments import parser_of, settings_parser
from unistyle.export.programs import metadata
from unistyle.training.config import StyleConfig, TrainConfig
from unistyle.training.materials.config import SegmenterConfig, VocabularyConfig

TRAININGS = {"style": StyleConfig, "vocabulary": VocabularyConfig, "segmenter": SegmenterConfig}


@pytest.fixture
def folder(tmp_path, checkpoint, monkeypatch):
    """Where the blocks of a page run: a checkout's checkpoint, and the photos that the pages speak of."""
    (tmp_path / "frames").mkdir()
    for seed, name in enumerate(
        ("jacket.jpg", "wall.jpg", "photo.jpg", *(f"frames/{i}.png" for i in range(3)))
    ):
        make_photo(64, 80, seed).save(tmp_path / name)
    (tmp_path / "checkpoints").symlink_to(default_checkpoint().parent)
    shutil.copy(checkpoint, tmp_path / "mine.safetensors")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def onnx_program(folder):
    """A file with the inputs, the outputs and the metadata of `unistyle export onnx`. A real one takes a minute;
    `tests/export` holds that it has them, too."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    make = onnx.helper
    shapes = {"photo": ["n", 3, "h", "w"], "codes": ["n", "k", "d"], "routes": ["m", "k"]}
    shapes |= {"tiles": ["n", "k", 3, "t", "t"], "structure": ["n", "k"]}
    made = {"image": ["n", 3, "h", "w"], "alpha": ["n", 1, "h", "w"]}
    inputs, outputs = (
        [make.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in each.items()]
        for each in (shapes, made)
    )
    nodes = [
        make.make_node("Identity", ["photo"], ["image"]),
        make.make_node("ReduceMax", ["photo", "axis"], ["alpha"]),
    ]
    axis = make.make_tensor("axis", onnx.TensorProto.INT64, [1], [1])
    graph = make.make_graph(nodes, "program", inputs, outputs, [axis])
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 18)], ir_version=9)
    make.set_model_props(model, metadata(load_checkpoint(folder / "mine.safetensors")))
    onnx.save(model, folder / "model.onnx")


@pytest.mark.parametrize("page", [page for page in PAGES if "```python" in page.read_text()], ids=name_of)
def test_python_blocks_run(page, folder, request):
    if "model.onnx" in page.read_text():
        request.getfixturevalue("onnx_program")
    document = Document.parse(str(page), PythonCodeBlockParser(), SkipParser())
    for block in document.examples():
        block.evaluate()


def parse(words: list[str]) -> None:
    """Parse a command as its own parser does. Ends with SystemExit where it cannot be used."""
    program, *rest = words
    for door in ("infer.py", "train.py"):  # of a launcher of processes, or of Python
        if door in rest:
            return parse(["unistyle", door.removesuffix(".py"), *rest[rest.index(door) + 1 :]])
    if program == "unistyle":
        return parse_unistyle(*rest)
    if rest[:1] == ["-m"]:
        return parse_module(rest[1], rest[2:])
    return None


def parse_unistyle(command: str, *rest: str) -> None:
    assert command in COMMANDS
    if command == "train":
        kind, given = (TRAININGS[rest[0]], rest[1:]) if rest[0] in TRAININGS else (TrainConfig, rest)
        settings_parser(kind, "unistyle train").parse_args(list(given))
    else:
        import_module(f"unistyle.commands.{command}").parser().parse_args(list(rest))


def parse_module(name: str, rest: list[str]) -> None:
    if name == "unistyle":
        parse_unistyle(*rest)
    elif name == "experiments":
        settings_parser(ExperimentConfig, "python -m experiments").parse_args(rest)
    elif name.startswith(("benchmarks.", "experiments.")):
        module = import_module(name)
        if hasattr(module, "__path__"):
            module = import_module(f"{name}.__main__")
        if kind := getattr(module, "Settings", None):
            parser_of(name, kind).parse_args(rest)
    else:
        assert find_spec(name), f"no module {name}"


@pytest.mark.parametrize(
    "words", [pytest.param(words, id=" ".join(words)) for page in PAGES for words in command_lines(page)]
)
def test_command_lines_parse(words, monkeypatch):
    monkeypatch.chdir(ROOT)  # where the recipes are
    parse(words)


def test_a_command_line_that_rots_is_noticed(capsys):
    for line in ("unistyle infer --compile --samples --out out", "python -m benchmarks.memory --no-such"):
        with pytest.raises(SystemExit):
            parse(line.split())
        assert "unrecognized arguments" in capsys.readouterr().err
    with pytest.raises(AssertionError):
        parse(["python", "-m", "unistyle.bank", "list"])


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_a_page_names_exists(page):
    missing = [str(path) for path in named_paths(page) if not path.exists()]
    assert missing == []


def test_the_index_has_every_page():
    linked = set(named_paths(ROOT / "docs/index.md"))
    assert set((ROOT / "docs").glob("*.md")) - {ROOT / "docs/index.md"} <= linked


def test_every_command_is_in_the_list():
    listed = {words[1] for words in command_lines(ROOT / "docs/commands.md") if words[0] == "unistyle"}
    assert listed == set(COMMANDS)


def test_the_two_commands_of_the_readme_are_what_ci_runs():
    blocks = [block.strip() for _, block in FENCED.findall((ROOT / "README.md").read_text())]
    restyle, test = ["infer", "--samples", "--to", "stone", "--out", "out"], "python -m pytest"
    assert f"pip install -e . && python {' '.join(['infer.py', *restyle[1:]])}" in blocks
    assert f"pip install -e '.[test]' && {test}" in blocks
    run = (ROOT / ".ci/run").read_text()
    assert test in run.splitlines()
    started = re.search(r"-m unistyle (infer .*)", run)
    assert started
    assert set(restyle) <= set(started[1].split())


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_pages_name_nothing_outside_the_project(page):
    """No folder beside the checkout or of one machine, and no number of a tracker."""
    assert re.findall(r"\.\./shared|/work/|/root/|/home/|\bissues? #?\d+", page.read_text()) == []
