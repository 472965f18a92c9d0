"""Charts of the report. Each is written as a PNG, with its numbers beside it as CSV."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt

from unistyle.files.atomic import atomic

matplotlib.use("Agg")  # no display is needed

Series = Mapping[str, Mapping[str, float]]  # name of a series -> category -> value


def _write(figure, path: Path) -> Path:
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110, bbox_inches="tight")
    plt.close(figure)
    return path


def _numbers(path: Path, heads: Sequence[str], rows: Sequence[Sequence]) -> None:
    with atomic(path.with_suffix(".csv")) as temporary, temporary.open("w", newline="") as file:
        csv.writer(file).writerows([heads, *rows])


def bars(panels: Mapping[str, Series], path: Path, categories: Sequence[str]) -> Path:
    """One panel for each score, one group of bars for each category, one bar for each series, as on the slides. Values
    are in [0, 1]."""
    figure, axes = plt.subplots(len(panels), 1, figsize=(10, 3.2 * len(panels)), squeeze=False)
    rows = []
    for axis, (title, series) in zip(axes[:, 0], panels.items(), strict=True):
        width = 0.8 / max(1, len(series))
        for number, (name, values) in enumerate(series.items()):
            x = [i + (number - (len(series) - 1) / 2) * width for i in range(len(categories))]
            axis.bar(x, [values.get(c, float("nan")) for c in categories], width, label=name)
            rows += [(title, name, c, values.get(c)) for c in categories]
        axis.set_xticks(range(len(categories)), categories)
        axis.set_ylim(0, 1)
        axis.set_ylabel(title)
        axis.grid(axis="y", alpha=0.3)
    # One legend, above the first panel, where it hides no bar and no label.
    axes[0, 0].legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=len(axes[0, 0].containers))
    _numbers(path, ("score", "series", "category", "value"), rows)
    return _write(figure, path)


def heat_map(values: Mapping[tuple[str, str], float], names: Sequence[str], title: str, path: Path) -> Path:
    """Values in [0, 1] of (row, column), with rows and columns in the order of `names`. What is missing stays white."""
    grid = [[values.get((a, b), float("nan")) for b in names] for a in names]
    figure, axis = plt.subplots(figsize=(7.5, 6.5))
    image = axis.imshow(grid, vmin=0, vmax=1, cmap="viridis")
    for i, row in enumerate(grid):
        for j, value in enumerate(row):
            if value == value:
                axis.text(
                    j, i, f"{value:.2f}", ha="center", va="center", color="white" if value < 0.6 else "black"
                )
    axis.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axis.set_yticks(range(len(names)), names)
    axis.set_xlabel("restyled as")
    axis.set_ylabel("photo of")
    axis.set_title(title)
    figure.colorbar(image, shrink=0.8)
    _numbers(path, ("", *names), [(a, *row) for a, row in zip(names, grid, strict=True)])
    return _write(figure, path)


def spread(groups: Mapping[str, Sequence[float]], label: str, path: Path) -> Path:
    """One box for each group: median, quartiles, and whiskers to the last value within one and a half boxes."""
    figure, axis = plt.subplots(figsize=(7, 0.6 * len(groups) + 1.2))
    axis.boxplot(list(groups.values()), orientation="horizontal", tick_labels=list(groups), showfliers=False)
    axis.set_xlabel(label)
    axis.grid(axis="x", alpha=0.3)
    _numbers(path, ("group", label), [(name, x) for name, values in groups.items() for x in values])
    return _write(figure, path)
