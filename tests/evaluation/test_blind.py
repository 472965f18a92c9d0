"""The blind comparison: sheets that do not tell, a key that does, and the sign test."""

import json

import pytest
from PIL import Image
from scipy.stats import binomtest

from unistyle.commands import evaluate
from unistyle.errors import ImageError
from unistyle.evaluation.blind import CELL, from_folder, read_answers, sign_test, write_sheets
from unistyle.evaluation.pairs import annotated_split, make_pairs


@pytest.fixture
def pairs(data):
    return make_pairs(annotated_split(data, "val"), annotated_split(data, "train"), 7, seed=0)


def test_sheets_and_key_agree(pairs, tmp_path):
    red, blue = (lambda pair, c=c: Image.new("RGB", (64, 48), c) for c in ("red", "blue"))
    sheets = list(write_sheets(pairs, red, blue, tmp_path, seed=3))
    assert [path.name for path in sheets] == ["sheet-1.png", "sheet-2.png"]
    key = json.loads((tmp_path / "key.json").read_text())["key"]
    assert set(key.values()) == {"12", "21"}, "both orders come up"
    assert key == {**key}
    step, down = CELL + 4, CELL * 3 // 4 + 4
    for number, order in key.items():
        sheet, row = divmod(int(number) - 1, 5)
        with Image.open(sheets[sheet]) as page:
            seen = [page.getpixel((column * step + 20, 16 + row * down + 20)) for column in (2, 3)]
        wanted = [(255, 0, 0), (0, 0, 255)]
        assert seen == (wanted if order == "12" else wanted[::-1])


def test_the_sign_test_by_hand():
    key = {"1": "12", "2": "21", "3": "12", "4": "21", "5": "12"}
    scores = sign_test({"1": "1", "2": "2", "3": "1", "4": "1", "5": "0"}, key)
    assert scores == {"first": 3, "second": 1, "neither": 1, "p": pytest.approx(binomtest(3, 4).pvalue)}
    assert scores["p"] == pytest.approx(2 * (4 + 1) / 16), "3 or more of 4, either way"
    assert sign_test({"1": "0"}, key)["p"] == 1
    many = {str(i): "12" for i in range(40)}
    assert sign_test({str(i): "1" if i < 30 else "2" for i in range(40)}, many)["p"] < 0.01


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 3", "wanted a number from 1 to 4 and 1, 2 or 0"),
        ("5 1", "wanted a number from 1 to 4"),
        ("one 1", "wanted a number"),
        ("1 1\n1 2", "1 is answered twice"),
    ],
)
def test_answers_that_cannot_be_read(tmp_path, text, message):
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_answers(tmp_path / "a.txt", 4)


def test_answers(tmp_path):
    (tmp_path / "a.txt").write_text("1 2\n\n02,1\n3  0\n")
    assert read_answers(tmp_path / "a.txt", 4) == {"1": "2", "2": "1", "3": "0"}


def test_results_of_a_folder(pairs, tmp_path):
    pair = pairs[0]
    Image.new("RGB", (8, 6), "red").save(tmp_path / f"{pair.content.path.stem}__{pair.style.path.stem}.png")
    assert from_folder(tmp_path)(pair).size == (8, 6)
    with pytest.raises(ImageError, match="no such file"):
        from_folder(tmp_path / "none")(pair)


def test_the_command(data, checkpoint, tmp_path, capsys):
    given = [
        "blind",
        checkpoint,
        checkpoint,
        "--data",
        data,
        "--out",
        tmp_path / "b",
        "--pairs",
        3,
        "--size",
        64,
    ]
    assert evaluate.main([str(x) for x in [*given, "--answers", tmp_path / "a.txt"]]) == 2
    assert "write the sheets first" in capsys.readouterr().err
    assert evaluate.main([str(x) for x in given]) == 0
    assert (tmp_path / "b" / "sheet-1.png").is_file()
    (tmp_path / "a.txt").write_text("1 1\n2 1\n3 0\n")
    capsys.readouterr()
    assert evaluate.main([str(x) for x in [*given, "--answers", tmp_path / "a.txt"]]) == 0
    assert "neither: 1; p = " in capsys.readouterr().out
