"""Hashes of content, and what is kept under them."""

import hashlib

import pytest
import torch
from torch import nn

from unistyle.files.atomic import kept
from unistyle.files.digest import digest, file_digest, raw


def test_bytes_are_hashed_by_sha_256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    wanted = hashlib.sha256(b"abc").hexdigest()[:16]
    assert (digest(b"abc"), file_digest(tmp_path / "a")) == (wanted, wanted)
    assert digest(b"a", b"b") == hashlib.sha256(b"a\0b").hexdigest()[:16]


def test_what_json_holds_is_equal_whatever_the_order_of_its_keys():
    assert digest({"a": 1, "b": [2, None]}) == digest({"b": [2, None], "a": 1})
    assert len({digest(1), digest("1"), digest(1, 2), digest(2, 1), digest([1, 2])}) == 5


def test_a_tensor_counts_by_its_numbers_shape_and_kind():
    x = torch.arange(6.0)
    assert digest(x) == digest(x.clone()) == digest(torch.arange(12.0)[::2] / 2)
    others = [x.view(2, 3), x.double(), x + 1, x.flip(0)]
    assert len({digest(other) for other in [x, *others]}) == 5
    assert raw(torch.tensor([[1, 2], [3, 4]], dtype=torch.uint8).mT) == bytes([1, 3, 2, 4])


def test_a_module_counts_by_its_state():
    one, other = nn.Linear(2, 3), nn.Linear(2, 3)
    assert digest(one) != digest(other)
    other.load_state_dict(one.state_dict())
    assert digest(one) == digest(other)
    assert digest(one) != digest(nn.Sequential(one)), "the names count"


def test_what_cannot_be_hashed_is_refused():
    with pytest.raises(TypeError, match="not JSON serializable"):
        digest(object())


def test_a_thing_is_made_once_and_read_afterwards(tmp_path):
    made = []

    def make() -> str:
        made.append(1)
        return "done"

    arguments = (tmp_path / "folder" / "a.txt", make, lambda text, path: path.write_text(text))
    assert [kept(*arguments, read=lambda path: path.read_text() + " before") for _ in range(2)] == [
        "done",
        "done before",
    ]
    assert len(made) == 1


def test_nothing_is_kept_of_what_could_not_be_written(tmp_path):
    def fail(value: str, path) -> None:
        path.write_text("half")
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        kept(tmp_path / "a", lambda: "whole", fail, lambda path: path.read_text())
    assert list(tmp_path.iterdir()) == []
