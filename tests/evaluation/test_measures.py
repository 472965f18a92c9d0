"""Pairs, methods and what is measured of them."""

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers import TinyVGG, make_job
from unistyle.data.labelled import LabelledPhoto
from unistyle.evaluation.measures import alpha_scores, evaluate_bank, evaluate_masks, evaluate_style
from unistyle.evaluation.methods import (
    colour_method,
    gatys_method,
    photo_method,
    public_method,
    whole_method,
)
from unistyle.evaluation.pairs import annotated_split, make_pairs, photo_name
from unistyle.evaluation.rows import summary, write_rows
from unistyle.evaluation.scores import style_scores
from unistyle.restyle.pipeline import UniStyle
from unistyle.teachers.gatys import GatysConfig


@pytest.fixture(scope="module")
def vgg():
    return TinyVGG()


def photos(data, split="val"):
    return annotated_split(data, split)


def test_pairs_are_fixed_and_of_two_materials(data):
    val, train = photos(data), photos(data, "train")
    pairs = make_pairs(val, val + train, 20, seed=0)
    assert len(pairs) == 20
    assert all(pair.content.label != pair.style.label for pair in pairs)
    assert {pair.content for pair in pairs} == set(val)
    assert pairs == make_pairs(val[::-1], (val + train)[::-1], 20, seed=0)
    assert pairs != make_pairs(val, val + train, 20, seed=1)


def test_no_pairs_is_an_error(data):
    one = [p for p in photos(data) if p.label == 0]
    with pytest.raises(ValueError, match="two materials"):
        make_pairs(one, one, 5, seed=0)


def test_photos_with_tiny_masks_are_passed_by(data, tmp_path):
    mask = np.zeros((40, 48), np.uint8)
    mask[:2, :2] = 255
    Image.fromarray(mask).save(tmp_path / "tiny.png")
    val = photos(data)
    tiny = LabelledPhoto(val[0].path, tmp_path / "tiny.png", 0)
    pairs = make_pairs([tiny, *val[1:]], [tiny, *val[1:]], 30, seed=0)
    assert all(tiny not in pair for pair in pairs)


def test_methods_keep_to_the_region(vgg, checkpoint):
    model, job = UniStyle.from_pretrained(checkpoint, device="cpu"), make_job()
    job = job._replace(
        photo=(job.photo * 255).round() / 255
    )  # as files have it, and the public class gives it back
    methods = {
        "photo": photo_method,
        "colour": colour_method,
        "gatys": gatys_method(vgg, GatysConfig(iterations=2)),
        "network": public_method(model),
        "whole": whole_method(model.network),
    }
    for name, method in methods.items():
        result = method(job)
        scores = style_scores(vgg, job, result)
        assert scores["outside"] == 0, name
        assert torch.equal(result, job.photo) == (name == "photo"), name


def test_evaluate_style_names_photo_and_style(vgg, data):
    pairs = make_pairs(photos(data), photos(data), 3, seed=0)
    rows = list(evaluate_style(pairs, photo_method, vgg, longest=48))
    assert [row["photo"] for row in rows] == [photo_name(pair.content) for pair in pairs]
    assert all(row["relative"] == pytest.approx(1, abs=1e-4) for row in rows)


def test_a_style_of_the_bank_is_measured_against_the_exemplar_used(vgg, data, checkpoint):
    model = UniStyle.from_pretrained(checkpoint, device="cpu")
    exemplars = {photo_name(photo): photo for photo in photos(data, "train")}
    pairs = make_pairs(photos(data), photos(data), 3, seed=0)
    rows = list(evaluate_bank(model, pairs, exemplars, vgg, longest=48))
    assert [row["style"] for row in rows] == [f"{p.style.path.parent.name}/0" for p in pairs]
    assert all(row["outside"] == 0 for row in rows)
    (row,) = evaluate_bank(model, pairs[:1], exemplars, vgg, to="wood")
    assert row["style"] == "wood/0"


def test_summary_and_files(tmp_path):
    rows = [{"photo": str(i), "score": float(i)} for i in (4, 0, 3, 1, 2)]
    assert summary(rows) == {"score": dict(median=2, lower=1, upper=3, mean=2, n=5)}
    write_rows(rows, tmp_path / "a.json")
    write_rows(rows, tmp_path / "a.csv")
    assert json.loads((tmp_path / "a.json").read_text())["rows"] == rows
    with (tmp_path / "a.csv").open(newline="") as file:
        assert [float(row["score"]) for row in csv.DictReader(file)] == [4, 0, 3, 1, 2]


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_masks_are_scored_against_the_annotation(data, alpha):
    for photo in photos(data):
        annotated = torch.from_numpy(np.asarray(Image.open(photo.mask)) > 0)
        area = annotated.float().mean().item()
        row = alpha_scores(torch.full(annotated.shape, alpha), annotated)
        assert row["accuracy"] == pytest.approx(area if alpha else 1 - area)
        assert row["boundary"] == float(area < 0.95)
        assert row["halo"] == 0


def test_a_halo_is_what_is_faint_outside_the_annotation():
    annotated = torch.zeros(4, 10, dtype=torch.bool)
    annotated[:, :5] = True
    alpha = annotated.float()
    alpha[:, 4:6] = 0.3  # in one column of the annotation, which does not count, and in one beside it
    assert alpha_scores(alpha, annotated)["halo"] == pytest.approx(0.1)


def test_the_masks_of_a_network_are_measured_at_the_photos_size(data, checkpoint):
    network = UniStyle.from_pretrained(checkpoint, device="cpu").network
    rows = list(evaluate_masks(network, photos(data)))
    assert [row["photo"] for row in rows] == [photo_name(photo) for photo in photos(data)]
    assert all(0 <= row["mean_iu"] <= 1 for row in rows)
