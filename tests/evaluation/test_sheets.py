"""Contact sheets, and masks that failed."""

from dataclasses import replace

import pytest
import torch
from PIL import Image, ImageFont

from tests.helpers import make_photo
from unistyle import UniStyle
from unistyle.checkpoint.checkpoint import load_checkpoint
from unistyle.evaluation.failures import failure_kind
from unistyle.evaluation.sheets import FONT, GAP, LINE, SIDE, Cell, bank_page, bank_sheet, page, shorten
from unistyle.styles.bank import StyleBank


def test_a_page_is_a_table_below_its_titles():
    rows = [[Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]] * 3
    sheet = page(["photo", "a title that is far too long for its column"], rows, 40, gap=4)
    assert sheet.size == (2 * 40 + 4, LINE + 3 * 30 + 2 * 4)
    assert [sheet.getpixel((x, LINE + y)) for x, y in ((0, 0), (39, 29), (44, 34))] == [
        (255, 0, 0),
        (255, 0, 0),
        (0, 0, 255),
    ]
    assert {sheet.getpixel((x, LINE + 5)) for x in range(40, 44)} == {(255, 255, 255)}


def test_sheets_of_any_bank_and_photo(checkpoint):
    loaded = load_checkpoint(checkpoint)
    for bank in (loaded.bank.without(*loaded.bank.styles), loaded.bank):
        model = UniStyle(replace(loaded, bank=bank), "cpu")
        assert bank_sheet(model, make_photo(900, 3)).height < 300
    long = StyleBank((("もふもふ" * 20, "a\nb" * 40),), loaded.bank.codes[:1])
    assert bank_sheet(UniStyle(replace(loaded, bank=long), "cpu"), make_photo(9, 9)).width > SIDE


def test_blocks_share_rows_where_there_is_room():
    cells = [Cell(make_photo(144, SIDE), "stone", str(i)) for i in range(14)]
    many = bank_page([cells[:6], cells[6:12], cells[12:]], 6)
    assert many.width == 6 * SIDE + 5 * (GAP // 3) + 2 * GAP
    assert bank_page([[cell] for cell in cells], 1).height == many.height, "fourteen short styles, six a row"


def test_long_names_lose_their_middle():
    font = ImageFont.load_default(FONT)
    assert shorten("stone", 192, font) == "stone"
    short = shorten("a_very_long_name_" * 9 + "of_a_photo", 192, font)
    assert font.getlength(short) <= 192
    assert (short[:6], short[-7:], short.count("…")) == ("a_very", "a_photo", 1)


def square(rows, columns):
    mask = torch.zeros(20, 20, dtype=torch.bool)
    mask[rows, columns] = True
    return mask


@pytest.mark.parametrize(
    ("found", "annotated", "kind"),
    [
        (square(slice(0, 1), slice(0, 1)), square(slice(0, 10), slice(0, 10)), "nothing"),
        (square(slice(0, 10), slice(0, 20)), square(slice(0, 20), slice(0, 20)), "close-up"),
        (square(slice(8, 18), slice(0, 10)), square(slice(0, 10), slice(0, 10)), "elsewhere"),
        (square(slice(0, 20), slice(0, 15)), square(slice(0, 10), slice(0, 10)), "spill"),
        (square(slice(0, 4), slice(0, 10)), square(slice(0, 10), slice(0, 10)), "part"),
    ],
)
def test_failures_are_sorted_by_kind(found, annotated, kind):
    assert failure_kind(found, annotated) == kind
