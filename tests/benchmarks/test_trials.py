"""The harness of trials, end to end on a tiny set."""

import json
import shutil

import pytest
import yaml

from benchmarks import trials
from tests.helpers import ROOT
from unistyle.training.config import LossWeights


def test_the_shipped_plan_is_valid(tmp_path):
    folder = ROOT / "configs"
    plan = yaml.safe_load((folder / "trials.yaml").read_text())
    configs = {
        name: trials.config_of(plan, folder, name, changes, tmp_path)
        for name, changes in plan["trials"].items()
    }
    assert configs["one objective throughout"].opening == LossWeights()
    assert configs["control"].opening != LossWeights()


@pytest.fixture
def command(recipe, photos, tmp_path):
    """Arguments of a plan with a control and one idea, on the photos of the training tests."""
    data = tmp_path / "data"
    shutil.copytree(photos / "materials", data)
    for split in ("train", "val"):
        (data / f"{split}.txt").write_text("\n".join(f"{m}/{i}" for m in ("brick", "wool") for i in range(3)))
    settings = {}
    for flag in recipe(1):
        key, value = flag.removeprefix("--").split("=", 1)
        *groups, last = key.split(".")
        place = settings
        for group in groups:
            place = place.setdefault(group, {})
        place[last] = yaml.safe_load(value)
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(settings))
    plan = dict(recipe="recipe.yaml", settings={"optimizer.steps": 2, "seed": 3},
                trials={"control": {}, "smoother": {"loss.smooth": 1}})  # fmt: skip
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(plan))
    sample = next((data / "image" / "wool").iterdir())
    return lambda *more: [str(x) for x in (tmp_path / "plan.yaml", *more, "--data", data, "--out", tmp_path / "out",
                                           "--pairs", 2, "--photos", sample)]  # fmt: skip


def test_a_plan_is_run_and_told_as_a_table(command, tmp_path, capsys):
    assert trials.main(command()) == 0
    table = capsys.readouterr().out.strip().splitlines()
    assert [line.split(" | ")[0] for line in table[2:]] == ["| control", "| smoother"]
    assert len({line.count("|") for line in table}) == 1
    out = tmp_path / "out"
    configs = {
        name: json.loads((out / name / "run/config.json").read_text()) for name in ("control", "smoother")
    }
    assert [c["loss"]["smooth"] for c in configs.values()] == [0.06, 1]
    assert all(c["seed"] == 3 and c["optimizer"]["steps"] == 2 for c in configs.values())
    assert (out / "smoother/sheet.jpg").is_file()
    before = (out / "control/scores.json").stat().st_mtime_ns
    assert trials.main(command("control")) == 0  # what is finished is not done again
    assert (out / "control/scores.json").stat().st_mtime_ns == before


def test_an_unknown_trial_is_named(command, capsys):
    assert trials.main(command("contrl")) == 2
    assert "no trial contrl in " in capsys.readouterr().err
