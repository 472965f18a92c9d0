"""The harness of trials, end to end on a tiny set."""

import json
import runpy
import shutil

import pytest
import yaml

from tests.helpers import ROOT


@pytest.fixture(scope="module")
def trials():
    return runpy.run_path(str(ROOT / "benchmarks" / "trials.py"))


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


def test_a_plan_is_run_and_told_as_a_table(trials, command, tmp_path, capsys):
    trials["main"](command())
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
    trials["main"](command("control"))  # what is finished is not done again
    assert (out / "control/scores.json").stat().st_mtime_ns == before


def test_an_unknown_trial_is_named(trials, command, capsys):
    with pytest.raises(SystemExit):
        trials["main"](command("contrl"))
    assert "contrl" in capsys.readouterr().err
