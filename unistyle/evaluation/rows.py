"""Rows of scores: summed up, as text, in files, and two files of them pair by pair: results on the same photos and
styles differ by far less than photos do, so that a difference shows long before the medians of both do."""

import csv
import json
import math
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev

import torch

from unistyle.files.atomic import atomic

Row = dict[str, str | float]
NAMES = ("method", "photo", "style")  # of a row's values, which of them it has: what was measured


def summary(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Median, quartiles, mean and count of every score, over the rows where it is a number."""
    keys = [key for key, value in rows[0].items() if not isinstance(value, str)]
    return {key: _statistics([float(row[key]) for row in rows]) for key in keys}


def _statistics(values: Sequence[float]) -> dict[str, float]:
    x = torch.tensor(values, dtype=torch.float64)
    x = x[~x.isnan()]
    count, x = len(x), x if len(x) else torch.full((1,), torch.nan, dtype=x.dtype)
    median, lower, upper = x.quantile(x.new_tensor([0.5, 0.25, 0.75])).tolist()
    return dict(median=median, lower=lower, upper=upper, mean=x.mean().item(), n=count)


def table(rows: Sequence[Row]) -> str:
    """The summary as text, with one line for each score."""
    lines = [f"{'':12}{'median':>10}{'quartiles':>20}{'mean':>10}   n = {len(rows)}"]
    for key, x in summary(rows).items():
        lines.append(f"{key:12}{x['median']:10.4f}{x['lower']:10.4f}{x['upper']:10.4f}{x['mean']:10.4f}")
    return "\n".join(lines)


def columns(rows: Sequence[Row]) -> str:
    """Rows as text, with one column for each row and one line for each score. The first value of a row is its title."""
    title, *scores = rows[0]
    width = 2 + max(len(str(row[title])) for row in rows)
    lines = [f"{'':12}" + "".join(f"{row[title]:>{width}}" for row in rows)]
    for score in scores:
        values = [row[score] for row in rows]
        shown = [f"{value:.3f}" if isinstance(value, float) else str(value) for value in values]
        lines.append(f"{score:12}" + "".join(f"{value:>{width}}" for value in shown))
    return "\n".join(lines)


def write_rows(rows: Sequence[Row], path: Path) -> None:
    """Write rows as CSV, or together with their summary as JSON. The suffix of the path decides."""
    with atomic(path) as temporary, temporary.open("w", newline="") as file:
        if path.suffix == ".json":
            json.dump({"summary": summary(rows), "rows": rows}, file, indent=1)
        else:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


def read_rows(path: Path) -> list[Row]:
    """The rows of a file of `write_rows`. Raises FileNotFoundError, and ValueError for a file that holds none."""
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file; give one that `unistyle evaluate ... --out` has written"
        )
    try:
        with path.open(newline="") as file:
            found = json.load(file)["rows"] if path.suffix == ".json" else list(csv.DictReader(file))
        rows = [{k: v if k in NAMES else _read(v) for k, v in row.items()} for row in found]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(
            f"{path}: no rows of scores; give a file of `unistyle evaluate ... --out`"
        ) from error
    if not rows:
        raise ValueError(f"{path}: it holds no row")
    return rows


def _read(value: str | float) -> str | float:
    try:
        return float(value)
    except ValueError:
        return value


def shared_pairs(before: Sequence[Row], after: Sequence[Row]) -> list[tuple[Row, Row]]:
    """The rows of the same method, photo and style, as far as these have a name. Raises ValueError where several rows
    have the same names, and where there is nothing that both have."""
    old, new = (_by_name(rows) for rows in (before, after))
    shared = [(old[name], row) for name, row in new.items() if name in old]
    if not shared:
        raise ValueError("the two files have no photo and style in common that the same method has restyled")
    return shared


def _by_name(rows: Sequence[Row]) -> dict[tuple, Row]:
    named = {tuple(row.get(key) for key in NAMES): row for row in rows}
    if len(named) < len(rows):
        raise ValueError(
            f"{len(rows)} rows with {len(named)} names ({', '.join(NAMES)}); wanted one row for each name"
        )
    return named


def differences(shared: Sequence[tuple[Row, Row]]) -> list[Row]:
    """One row for each figure, for `columns`: its name as `figure`, and its value for each score that is a number in
    all rows (not a number counts as one, and its pair is left out):

    - `before`, `after`: means.
    - `difference`, `error`: the mean of after - before, and the standard error of that mean.
    - `ratio`, `percent`: the geometric mean of after / before, and its standard error in per cent, for scores that are
      never 0 or less.
    - `lower`, `higher`: in how many pairs it fell and rose.

    What cannot be said is not a number. Raises ValueError where there is no such score.
    """
    rows = [row for pair in shared for row in pair]
    scores = [key for key in rows[0] if all(isinstance(row.get(key), float) for row in rows)]
    if not scores:
        raise ValueError("the two files have no score in common that is a number for every pair")
    found = {key: _compared([(float(a[key]), float(b[key])) for a, b in shared]) for key in scores}
    return [{"figure": name} | {key: found[key][name] for key in scores} for name in found[scores[0]]]


def _compared(pairs: Sequence[tuple[float, float]]) -> dict[str, float]:
    known = [(a, b) for a, b in pairs if not math.isnan(a + b)]
    change, error = _mean([b - a for a, b in known])
    positive = all(a > 0 and b > 0 for a, b in known)
    ratio, spread = _mean([math.log(b / a) for a, b in known] if positive else [])
    return {
        "before": _mean([a for a, _ in known])[0],
        "after": _mean([b for _, b in known])[0],
        "difference": change,
        "error": error,
        "ratio": math.exp(ratio),
        "percent": 100 * spread,
        "lower": sum(b < a for a, b in known),
        "higher": sum(b > a for a, b in known),
    }


def _mean(values: Sequence[float]) -> tuple[float, float]:
    """The mean, not a number for no value, and its standard error, not a number for one."""
    if not values:
        return math.nan, math.nan
    return fmean(values), stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
