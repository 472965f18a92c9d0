"""Composed photos: what is known of each place is right, and the rest is unknown."""

import random

import pytest
import torch

from unistyle.data.composing import SIZE, UNKNOWN, Composer, Piece, mirrored, paste, side_by_side, sky, view

COLORS = {0: 20, 1: 90, 2: 160, 3: 230}  # grey of what is of a label


def piece(label: int, share: float = 0.5) -> Piece:
    """A photo whose main object, a disc or all of it, has the grey of its label; the rest is black."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, 120), torch.linspace(-1, 1, 160), indexing="ij")
    inside = x.square() + y.square() < (9 if share == 1 else share)
    image = torch.where(inside, COLORS[label], 0).byte().expand(3, -1, -1)
    return Piece(image, (255 * inside).byte(), label)


@pytest.fixture(scope="module")
def pieces():
    return [piece(label, share) for label in COLORS for share in (0.5, 1)]


def test_items_are_functions_of_seed_and_number(pieces):
    one, same, other = (Composer(pieces, 3, 20, seed) for seed in (0, 0, 1))
    for index in (3, 11, 3):
        for a, b in zip(one[index], same[index], strict=True):
            assert a.equal(b)
    assert not one[3][0].equal(other[3][0])
    assert len(one) == 20


def test_every_label_is_drawn_and_nothing_else(pieces):
    seen, frames = set(), Composer(pieces, 3, 60, 0)
    for index in range(60):
        image, label = frames[index]
        assert image.shape == (3, *SIZE)
        assert label.shape == SIZE
        assert 0 <= image.min() <= image.max() <= 1
        seen |= set(label.unique().tolist())
    assert seen == {0, 1, 2, 3, UNKNOWN}


def test_a_cut_out_covers_what_is_below_it():
    """Where the label is that of the cut-out its grey is seen, and where it is that of the ground the ground is."""
    for seed in range(5):
        rng = random.Random(seed)
        image, label = paste(torch.zeros(3, *SIZE), torch.full(SIZE, 3.0), piece(2), rng)
        own, ground = label == 2, label == 3
        assert own.any()
        assert ground.any()
        assert image[:, own].min() > 0.2
        assert image[:, ground].max() == 0
        assert (label == UNKNOWN).any(), "its outline"


def test_a_border_is_unknown_and_both_sides_are_known():
    first, second = (torch.full((3, *SIZE), v) for v in (0.2, 0.8))
    labels = torch.full(SIZE, 1.0), torch.full(SIZE, 2.0)
    image, label = side_by_side((first, labels[0]), (second, labels[1]), random.Random(0))
    assert set(label.unique().tolist()) == {1, 2, UNKNOWN}
    assert (image[0][label == 1] == 0.2).all()
    assert (image[0][label == 2] == 0.8).all()
    for seed in range(5):
        _, label = side_by_side((first, labels[0]), (second, labels[1]), random.Random(seed), upright=True)
        height = torch.arange(SIZE[0], dtype=torch.float)[:, None].expand(SIZE)
        assert height[label == 2].mean() < height[label == 1].mean(), "the second is above"


def test_a_view_keeps_labels_where_they_are():
    one = piece(3)
    for seed, most in ((0, 1.0), (1, 2.5), (2, 4.0)):
        image, label = view(one.image, one.labels(), random.Random(seed), 0.5, most, light=0)
        assert image[:, label == 3].mean() > 0.8
        assert image[:, label == UNKNOWN].mean() < 0.1
        assert image.shape[1:] == label.shape == SIZE


def test_a_small_photo_goes_on_mirrored():
    x = torch.arange(6.0).view(1, 2, 3)
    large = mirrored(x, (5, 8))
    assert large.shape == (1, 5, 8) or min(a - b for a, b in zip(large.shape[1:], (5, 8), strict=True)) >= 0
    assert large[0, 0, :5].tolist() == [0, 1, 2, 1, 0]


def test_a_sky_is_other_and_smooth():
    image, label = sky(random.Random(0))
    assert label.max() == 0
    assert image.diff(dim=-1).abs().mean() < 0.03


def test_what_is_known_of_a_whole_photo_takes_part():
    known = torch.full((120, 160), UNKNOWN, dtype=torch.uint8)
    known[:60] = 2
    whole = Piece(piece(1).image, piece(1).main, UNKNOWN, known)
    assert whole.labels().unique().tolist() == [2, UNKNOWN]
    assert piece(1).labels().unique().tolist() == [1, UNKNOWN]
    assert piece(1, 1).area == 1


def test_photos_without_labels_are_refused():
    with pytest.raises(ValueError, match="no photo whose main object is of a material"):
        Composer([Piece(piece(1).image, piece(1).main)], 3, 1, 0)
