"""What is made of what: the scores worked out by hand, files that do not fit, composites with exact labels."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers import make_network, make_photo
from unistyle.commands import evaluate
from unistyle.data.composites import composites
from unistyle.errors import ImageError
from unistyle.evaluation.pairs import annotated_split
from unistyle.evaluation.rows import columns
from unistyle.evaluation.scenes import (
    IGNORE,
    count,
    counts_of,
    found_labels,
    list_scenes,
    named_right,
    pick_sets,
    scene_scores,
    set_row,
    single_material,
)
from unistyle.files.tensors import to_tensor

NAMES = ["glass", "stone"]


def test_scores_by_hand():
    """100 pixels of each row times 10: glass is found in 6 of 10 and called stone in 2; stone in 5; other spills 3."""
    counts = torch.tensor([[700, 200, 100], [200, 600, 200], [500, 0, 500]])
    scores = scene_scores(counts, NAMES)
    glass, stone, other = 600 / (1000 + 800 - 600), 500 / (1000 + 800 - 500), 700 / (1000 + 1400 - 700)
    assert scores == pytest.approx({
        "glass": glass, "stone": stone, "mean_iu": (glass + stone) / 2, "with_other": (glass + stone + other) / 3,
        "found": 1300 / 2000, "right": 1100 / 2000, "spill": 300 / 1000,
    })  # fmt: skip


def test_a_swapped_pair_of_labels_moves_both_ious():
    right = torch.tensor([[0, 0, 0], [0, 400, 0], [0, 0, 400]])
    swapped = right[:, [0, 2, 1]]
    assert scene_scores(right, NAMES)["mean_iu"] == 1
    scores = scene_scores(swapped, NAMES)
    assert [scores[name] for name in ("glass", "stone", "right", "found")] == [0, 0, 0, 1]


def test_what_is_absent_is_no_number_and_not_part_of_the_mean():
    scores = scene_scores(torch.tensor([[0, 0, 0], [0, 400, 0], [0, 0, 10]]), NAMES)
    assert math.isnan(scores["stone"])
    assert math.isnan(scores["spill"])
    assert scores["mean_iu"] == 1


def test_counts_leave_out_what_is_ignored():
    annotated = torch.tensor([[0, 1, 2], [IGNORE, 1, 2]], dtype=torch.uint8)
    found = torch.tensor([[1, 1, 0], [2, 2, 2]])
    assert count(annotated, found, 2).tolist() == [[0, 1, 0], [0, 1, 1], [1, 0, 1]]
    assert named_right(torch.tensor([[9, 1, 0], [0, 4, 3], [0, 0, 0]]))
    assert not named_right(torch.tensor([[9, 0, 9], [0, 4, 3], [0, 0, 0]]))
    assert not named_right(torch.tensor([[9, 0, 0], [7, 0, 0], [0, 0, 0]])), "nothing is found"


def test_found_labels_follow_the_names_and_agree_with_the_masks():
    network, image = make_network(), to_tensor(make_photo(64, 80))[None]
    materials = network.config.materials
    found = found_labels(network, image, list(materials))
    assert found.shape == (64, 80)
    assert set(found.unique().tolist()) <= set(range(4))
    turned = found_labels(network, image, [*materials[::-1]])
    assert torch.equal(turned, torch.where(found > 0, 4 - found, 0))
    assert not found_labels(network, image, ["wood"]).any(), "what the labels do not have is other"


@pytest.fixture
def scenes(tmp_path):
    for name, value in (("0001", 1), ("n1_sky", 0), ("n2_room", 2)):
        for kind in ("image", "label"):
            (tmp_path / kind).mkdir(exist_ok=True)
        make_photo(48, 64).save(tmp_path / "image" / f"{name}.jpg")
        Image.fromarray(np.full((48, 64), value, np.uint8)).save(tmp_path / "label" / f"{name}.png")
    return tmp_path


def test_scenes_from_files(scenes):
    found = list_scenes(scenes)
    assert [scene.path.stem for scene in found] == ["0001", "n1_sky", "n2_room"]
    image, label = found[2].read()
    assert (tuple(image.shape), label.unique().tolist()) == ((1, 3, 48, 64), [2])
    sets = {"A": {"take": ["[0-9]*"]}, "B": {"take": ["n*"]}, "no sky": {"take": ["n*"], "leave": ["*_sky"]}}
    assert pick_sets(found, sets) == {"A": [0], "B": [1, 2], "no sky": [2]}
    with pytest.raises(ValueError, match="the set 'C' has no photo"):
        pick_sets(found, {"C": {"take": ["z*"]}})


def test_scenes_that_do_not_fit(scenes):
    (scenes / "label" / "0001.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"no label map .*0001\.png \(1 missing\)"):
        list_scenes(scenes)
    with pytest.raises(FileNotFoundError, match="no photos in"):
        list_scenes(scenes / "none")
    make_photo(8, 9).convert("L").save(scenes / "label" / "0001.png")
    with pytest.raises(ImageError, match="a label map of shape"):
        list_scenes(scenes)[0].read()


def test_photos_of_one_material(data):
    photos = annotated_split(data, "val")
    made = list(single_material(photos))
    for photo, (image, label) in zip(photos, made, strict=True):
        assert label.shape == image.shape[-2:]
        assert set(label.unique().tolist()) <= {0, 1 + photo.label}


def test_composites_are_exact_and_repeat(data):
    photos = annotated_split(data, "val")
    once, again = (list(composites(photos, 4, seed=1)) for _ in range(2))
    for (image, label), (other, same) in zip(once, again, strict=True):
        assert torch.equal(image, other)
        assert torch.equal(label, same)
        assert label.shape == image.shape[-2:]
        materials = set(label.unique().tolist()) - {IGNORE}
        assert len(materials) >= 2, "a ground and something on it"
        assert 0 not in materials
        assert 0.001 < (label == IGNORE).float().mean() < 0.3, "edges are left out"
    with pytest.raises(ValueError, match="no composites"):
        list(composites(photos[:1], 1, seed=0))


def test_rows_side_by_side():
    counts = [torch.tensor([[300, 0, 0], [0, 300, 0], [0, 0, 300]])]
    text = columns([set_row("A", counts, NAMES), set_row("all of B", counts * 2, NAMES)])
    lines = text.splitlines()
    assert lines[0].split() == ["A", "all", "of", "B"]
    assert lines[1].split() == ["photos", "1", "2"]
    assert [line.split()[1:] for line in lines if line.startswith("mean_iu")] == [["1.000", "1.000"]]


def test_the_command(scenes, data, checkpoint, tmp_path, capsys):
    (tmp_path / "sets.yaml").write_text(
        "materials: [glass, stone, wood]\nsets: {A: {take: ['0*']}, B: {take: ['n*'], leave: ['*_sky']}}"
    )
    given = [
        "scenes",
        "--data",
        scenes,
        "--annotated",
        data,
        "--sets",
        tmp_path / "sets.yaml",
        "--composites",
        2,
    ]
    given += ["--checkpoint", checkpoint, "--out", tmp_path / "rows.csv"]
    assert evaluate.main([str(x) for x in given]) == 0
    printed = capsys.readouterr().out
    assert "named right: " in printed
    assert "one material" in printed
    assert (tmp_path / "rows.csv").read_text().count("\n") == 5
    (tmp_path / "sets.yaml").write_text("sets: 3")
    assert evaluate.main([str(x) for x in given]) == 2
    assert "wanted materials (a list) and sets" in capsys.readouterr().err
    assert next(counts_of(make_network(), [list_scenes(scenes)[0].read()], NAMES)).sum() == 48 * 64
