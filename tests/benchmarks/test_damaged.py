"""Damaged photos and videos: made by their number, and none is lost without a word."""

import json

import pytest

pytest.importorskip("av")  # the extra `video`
from benchmarks.damaged.__main__ import _checked, restyle
from benchmarks.damaged.files import DAMAGE, PHOTOS, VIDEOS, damaged, whole


def test_a_file_is_made_again_by_its_number():
    for number in range(40):
        assert damaged(number, tuple(PHOTOS)) == damaged(number, tuple(PHOTOS))
    kinds = {damaged(number, tuple(PHOTOS))[1] for number in range(200)}
    assert kinds == set(DAMAGE)


def test_damage_changes_a_file():
    files = [
        (name.partition("-")[2], blob) for name, _, blob in (damaged(n, tuple(PHOTOS)) for n in range(60))
    ]
    assert sum(blob != whole(name) for name, blob in files) >= 58  # zeros may come where zeros were


def test_damaged_files_are_written_or_named(checkpoint):
    photos = restyle(range(30), tuple(PHOTOS), checkpoint)
    assert photos.problems == []
    assert photos.outcomes.total() == 30
    assert {status for _, status in photos.outcomes} == {"written", "failed"}


def test_what_is_lost_or_gives_no_reason_is_a_problem(tmp_path):
    record = dict(input="p/2-a.png", output="2-a.png", status="failed", reason="x" * 5000)
    (tmp_path / "manifest.jsonl").write_text(json.dumps(record) + "\n")
    report = _checked({"1-a.png": "zeros", "2-a.png": "zeros"}, tmp_path)
    assert [problem.split(":")[0] for problem in report.problems] == ["1-a.png (zeros)", "2-a.png (zeros)"]


@pytest.mark.parametrize("name", VIDEOS)
def test_videos_are_whole_before_they_are_damaged(name):
    assert len(whole(name)) > 500
