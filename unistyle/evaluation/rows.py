"""Rows of scores: summed up, as text, in files."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import torch

from unistyle.files.atomic import atomic

Row = dict[str, str | float]


def summary(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Median, quartiles, mean and number of every score, over the rows where it is a number."""
    keys = [key for key, value in rows[0].items() if not isinstance(value, str)]
    result = {}
    for key in keys:
        x = torch.tensor([row[key] for row in rows], dtype=torch.float64)
        x = x[~x.isnan()]
        count, x = len(x), x if len(x) else torch.full((1,), torch.nan, dtype=x.dtype)
        median, lower, upper = x.quantile(x.new_tensor([0.5, 0.25, 0.75])).tolist()
        result[key] = dict(median=median, lower=lower, upper=upper, mean=x.mean().item(), n=count)
    return result


def table(rows: Sequence[Row]) -> str:
    """The summary as text."""
    lines = [f"{'':12}{'median':>10}{'quartiles':>20}{'mean':>10}   n = {len(rows)}"]
    for key, x in summary(rows).items():
        lines.append(f"{key:12}{x['median']:10.4f}{x['lower']:10.4f}{x['upper']:10.4f}{x['mean']:10.4f}")
    return "\n".join(lines)


def write_rows(rows: Sequence[Row], path: Path) -> None:
    """Rows as CSV, or with their summary as JSON, by the suffix of the path."""
    with atomic(path) as temporary, open(temporary, "w", newline="") as file:
        if path.suffix == ".json":
            json.dump({"summary": summary(rows), "rows": rows}, file, indent=1)
        else:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
