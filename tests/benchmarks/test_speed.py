"""The speed of the network: what is counted, and the table."""

import pytest
import torch

from benchmarks.speed import main, work


def test_arithmetic_and_traffic_are_counted():
    conv, x = torch.nn.Conv2d(8, 16, 3, padding=1), torch.rand(1, 8, 20, 30)
    gmac, gb = work(lambda: conv(x))
    assert gmac == pytest.approx(20 * 30 * 16 * 8 * 9 / 1e9)
    assert gb == pytest.approx(4 * (20 * 30 * (8 + 16) + 16 * 8 * 9 + 16) / 1e9)


def test_the_table_has_one_line_for_each_side(checkpoint, capsys):
    quick = ["--sizes", "48x32", "--batches", "2", "--runs", "1", "--warm-up", "0"]
    assert main(["--checkpoint", str(checkpoint), *quick]) == 0
    heading, limits, _, *rows = capsys.readouterr().out.splitlines()
    assert heading.startswith("CPU")
    assert limits.startswith("this device: ")
    assert [row.split()[2] for row in rows] == ["restyle", "network", "no", "LR-ASPP"]
    assert all(float(number.rstrip("%")) >= 0 for row in rows for number in row[34:].split())
