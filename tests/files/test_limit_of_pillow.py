"""Pillow's guard against decompression bombs belongs to the program around this one. That importing leaves it alone is
held where a command runs in a fresh process (tests/commands/test_infer.py)."""

import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from tests.helpers import make_photo
from unistyle.errors import ImageError
from unistyle.files.photos import MAX_PIXELS, read_photo


@pytest.fixture
def photo(tmp_path):
    make_photo().save(tmp_path / "a.png")
    return tmp_path / "a.png"


@pytest.mark.parametrize("limit", [None, 100, 2 * MAX_PIXELS])
def test_reading_leaves_the_limit_of_others(limit, photo, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    seen = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_photo(photo, lambda size: seen.append(Image.MAX_IMAGE_PIXELS))
    assert seen == [None if limit is None else max(limit, MAX_PIXELS)]
    assert limit == Image.MAX_IMAGE_PIXELS


def test_a_file_that_fails_leaves_it_too(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(ImageError):
        read_photo(tmp_path / "none.png")
    assert Image.MAX_IMAGE_PIXELS == 100


def test_many_threads_leave_it_together(photo, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with warnings.catch_warnings(), ThreadPoolExecutor(8) as pool:
        warnings.simplefilter("error")
        assert len(list(pool.map(read_photo, [photo] * 100))) == 100
    assert Image.MAX_IMAGE_PIXELS == 100
