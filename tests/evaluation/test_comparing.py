"""Two files of rows, pair by pair, against scipy."""

import json
import math

import numpy as np
import pytest
from scipy.stats import gmean, sem

from unistyle.commands import evaluate
from unistyle.evaluation.rows import differences, read_rows, shared_pairs, write_rows


def rows(seed, count=20, method="network"):
    rng = np.random.default_rng(seed)
    return [
        {
            "method": method,
            "photo": str(i),
            "style": "stone/0",
            "gram": rng.uniform(0.1, 1),
            "named": float(i % 2),
        }
        for i in range(count)
    ]


def scores(found, name):
    return {row["figure"]: row[name] for row in found}


@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_the_command(suffix, tmp_path, capsys):
    before, after = (tmp_path / f"{name}{suffix}" for name in ("before", "after"))
    write_rows(rows(0), before)
    write_rows(rows(1)[::-1], after)
    assert evaluate.main(["compare", str(before), str(after)]) == 0
    number, title, gram, named = capsys.readouterr().out.splitlines()
    assert number == "20 pairs"
    wanted = scores(differences(shared_pairs(rows(0), rows(1))), "gram")
    assert title.split() == list(wanted)
    assert gram.split() == [
        "gram",
        *(f"{x:.3f}" if isinstance(x, float) else str(x) for x in wanted.values()),
    ]
    assert named.split()[0] == "named"


def test_figures_are_those_of_scipy():
    a, b = (np.array([row["gram"] for row in rows(seed)]) for seed in (0, 1))
    found = scores(differences(shared_pairs(rows(0), rows(1))), "gram")
    assert found["difference"] == pytest.approx((b - a).mean())
    assert found["error"] == pytest.approx(sem(b - a))
    assert found["ratio"] == pytest.approx(gmean(b / a))
    assert found["percent"] == pytest.approx(100 * sem(np.log(b / a)))
    assert (found["lower"], found["higher"]) == (sum(b < a), sum(b > a))


def test_pairs_are_found_by_their_names_and_values_that_are_none_are_left_out():
    before, after = rows(0), rows(1)[::-1] + rows(2, method="bank")
    after[3]["gram"] = math.nan
    shared = shared_pairs(before, after)
    assert len(shared) == 20
    assert all(a["photo"] == b["photo"] for a, b in shared)
    kept = [(a["gram"], b["gram"]) for a, b in shared if not math.isnan(b["gram"])]
    assert len(kept) == 19
    assert scores(differences(shared), "gram")["before"] == pytest.approx(np.mean([a for a, _ in kept]))


def test_a_score_that_reaches_zero_has_no_ratio():
    found = scores(differences(shared_pairs(rows(0), rows(1))), "named")
    assert (found["difference"], found["error"], found["lower"], found["higher"]) == (0, 0, 0, 0)
    assert math.isnan(found["ratio"])
    assert math.isnan(found["percent"])


def test_one_pair_with_itself():
    only = scores(differences(shared_pairs(rows(0, 1), rows(0, 1))), "gram")
    assert (only["difference"], only["ratio"]) == (0, 1)
    assert math.isnan(only["error"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "no rows of scores"),
        ("[1", "no rows of scores"),
        ('{"rows": [1]}', "no rows of scores"),
        ('{"rows": []}', "it holds no row"),
        (json.dumps({"rows": [{"method": "other", "photo": "a"}]}), "no photo and style in common"),
        (json.dumps({"rows": [{"gram": 1}, {"gram": 2}]}), "2 rows with 1 names"),
        (
            json.dumps({"rows": [{"method": "network", "photo": "3", "style": "stone/0", "gram": ""}]}),
            "no score",
        ),
    ],
)
def test_files_that_cannot_be_compared(text, message, tmp_path, capsys):
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    write_rows(rows(0), good)
    bad.write_text(text)
    assert evaluate.main(["compare", str(good), str(bad)]) == 2
    assert message in capsys.readouterr().err


def test_a_file_that_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.csv: no such file; give one"):
        read_rows(tmp_path / "none.csv")
