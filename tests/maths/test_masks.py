import pytest
import torch

from unistyle.maths.masks import best_threshold, has_boundary, mean_iu, mean_iu_curve, pixel_accuracy


def mask(*rows: str) -> torch.Tensor:
    """`#` inside, `.` outside."""
    return torch.tensor([[c == "#" for c in row] for row in rows])


def test_scores_worked_out_by_hand():
    got, annotated = mask("##..", "##.."), mask("###.", "#...")
    # Foreground: 3 shared of 5; background: 3 shared of 5; 6 of 8 pixels agree.
    assert pixel_accuracy(got, annotated) == pytest.approx(6 / 8)
    assert mean_iu(got, annotated) == pytest.approx((3 / 5 + 3 / 5) / 2)


def test_foreground_and_background_count_alike():
    # One stray pixel in a frame of 16: foreground 1/2, background 14/15.
    got, annotated = mask("##..", "....", "....", "...."), mask("#...", "....", "....", "....")
    assert mean_iu(got, annotated) == pytest.approx((1 / 2 + 14 / 15) / 2)


def test_all_foreground_on_a_mask_of_two_thirds_scores_a_third():
    assert mean_iu(mask("######"), mask("####..")) == pytest.approx((4 / 6) / 2)


@pytest.mark.parametrize(("got", "score"), [("####", 1.0), ("....", 0.0), ("###.", 3 / 4 / 2)])
def test_full_frame_annotation(got, score):
    """Background is in neither mask of a perfect answer, and scores 0 as soon as the answer has any."""
    assert mean_iu(mask(got), mask("####")) == pytest.approx(score)


def test_mean_iu_agrees_with_torchmetrics():
    from torchmetrics.functional.classification import multiclass_jaccard_index

    generator = torch.Generator().manual_seed(0)
    got, annotated = torch.rand(2, 30, 40, generator=generator) > 0.4
    reference = multiclass_jaccard_index(got.long(), annotated.long(), num_classes=2, average="macro")
    assert mean_iu(got, annotated) == pytest.approx(reference.item(), abs=1e-6)


@pytest.mark.parametrize(
    "annotated", [torch.arange(600) % 7 < 3, torch.ones(600).bool(), torch.zeros(600).bool()]
)
def test_curve_equals_thresholding_one_by_one(annotated):
    generator = torch.Generator().manual_seed(1)
    soft = (
        torch.randint(0, 256, (600,), generator=generator) / 255
    )  # an 8-bit mask, with values on thresholds too
    thresholds = [0.1, 51 / 255, 0.2, 0.5, 0.9]
    wanted = [mean_iu(soft > t, annotated) for t in sorted(thresholds)]
    assert mean_iu_curve(soft, annotated, sorted(thresholds)).tolist() == pytest.approx(wanted)


def test_best_threshold_is_common_to_the_set():
    soft = [torch.tensor([0.8, 0.3, 0.1]), torch.tensor([0.9, 0.65, 0.1])]
    annotated = [torch.tensor([True, False, False]), torch.tensor([True, False, False])]
    threshold, score = best_threshold(soft, annotated)
    assert (threshold, score) == (pytest.approx(0.65), 1.0)
    assert best_threshold(soft[:1], annotated[:1])[0] == pytest.approx(0.3)


def test_boundary_is_below_95_percent():
    assert has_boundary(torch.arange(100) < 94)
    assert not has_boundary(torch.arange(100) < 95)


def test_bad_input():
    with pytest.raises(ValueError, match="shape"):
        mean_iu(torch.zeros(2, 2).bool(), torch.zeros(2, 3).bool())
    with pytest.raises(ValueError, match="no masks"):
        best_threshold([], [])
