"""Rows of scores: summed up, as text, and in files."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import torch

from unistyle.files.atomic import atomic

Row = dict[str, str | float]


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
