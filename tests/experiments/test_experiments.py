"""The experiments: what is kept and chosen, the report, all of it end to end on a tiny set."""

import csv
import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from experiments import plots, report, study
from experiments.__main__ import parse
from experiments.cache import Results
from experiments.config import ExperimentConfig, GatysSubset, Onomatopoeia
from experiments.lab import HIGH, LOW, Lab
from experiments.studies import onomatopoeia
from experiments.studies.resegmentation import SLIDES, claims, subset
from experiments.words import link, read_words
from tests.helpers import ROOT, TinyVGG, annotated_folder, make_photo
from unistyle.data.labelled import LabelledPhoto
from unistyle.errors import CheckpointError
from unistyle.teachers.classifier import MaterialClassifier
from unistyle.teachers.masks import SaliencyTeacher

MATERIALS = ("leather", "metal", "stone")  # of the checkpoint in conftest


def test_a_result_is_made_once_and_survives_a_torn_line(tmp_path):
    made = []

    def make():
        made.append(1)
        return {"x": len(made)}

    assert Results(tmp_path / "r.jsonl").get(("a", 1), make) == {"x": 1}
    with (tmp_path / "r.jsonl").open("a") as file:
        file.write('{"key": "b", "ro')
    again = Results(tmp_path / "r.jsonl")
    assert again.get(("a", 1), make) == {"x": 1}
    assert again.get(("a", 2), make) == {"x": 2}


def test_a_subset_gives_each_material_its_share_and_each_style_all_contents():
    photos = [LabelledPhoto(Path(f"{k}/{i}.jpg"), label=k) for k in range(4) for i in range(5)]
    combinations = [(content, style) for content in "xy" for style in photos]
    chosen = subset(combinations, 16, seed=0)
    assert [sum(s.label == k for _, s in chosen) for k in range(4)] == [4, 4, 4, 4]
    assert all({c for c, s in chosen if s == style} == {"x", "y"} for _, style in chosen)
    assert chosen == subset(combinations, 16, seed=0) != subset(combinations, 16, seed=1)
    assert subset(combinations, 0, seed=0) == combinations


def test_claims_are_marked_by_their_figures():
    high = {"foliage": 0.8, "fabric": 0.7, "stone": 0.9}
    rows = [
        {"pipeline": p, "material": m, "content": c, f"{j}_mean_iu": high.get(m, 0.3)}
        for p in ("network", "gatys") for c in SLIDES for m in (*HIGH, *LOW)
        for j in ("saliency",)
    ]  # fmt: skip
    rows = [r | {"segmenter_mean_iu": 1 - r["saliency_mean_iu"], "distinct_mean_iu": 0.5} for r in rows]
    marks = {(c[0].split(" ")[0], c[2], c[3]): c[-1] for c in claims(rows)}
    assert marks["foliage,", "network", "saliency"] == "yes"
    assert marks["foliage,", "network", "segmenter"] == "no"
    assert marks["foliage,", "network", "distinct"] == "no"  # neither is above the other


def test_the_page_holds_its_pictures(tmp_path):
    path = tmp_path / "figures" / "a.png"
    path.parent.mkdir()
    Image.new("RGB", (8, 8), "red").save(path)
    text = (
        "# Title\n\n" + report.figure(path, "Red", tmp_path) + "\n\n" + report.table(("a", "b"), [("x", 0.5)])
    )
    page, twin = report.write(text, "Title", tmp_path)
    assert "figures/a.png" in twin.read_text()
    assert "data:image/png;base64," in page.read_text()
    assert "figures/a.png" not in page.read_text()
    assert "<td>0.500</td>" in page.read_text()


def test_charts_leave_their_numbers(tmp_path):
    plots.bars({"mean IU": {"network": {"wood": 0.5}}}, tmp_path / "b.png", ["wood"])
    plots.heat_map({("a", "b"): 0.25}, ["a", "b"], "shares", tmp_path / "h.png")
    plots.spread({"network": [0.1, 0.2]}, "distance", tmp_path / "s.png")
    assert all(Image.open(tmp_path / f"{n}.png").size[0] > 100 for n in "bhs")
    assert list(csv.reader((tmp_path / "b.csv").open()))[1] == ["mean IU", "network", "wood", "0.5"]


def test_a_vocabulary_of_links(tmp_path):
    (tmp_path / "data" / "x").mkdir(parents=True)
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / "data" / "x" / name).write_bytes(b"")
    assert link({"fluffy": ["x/*.jpg"]}, tmp_path / "data", tmp_path / "out") == {"fluffy": 2}
    assert link({"fluffy": ["x/*.jpg"]}, tmp_path / "data", tmp_path / "out") == {"fluffy": 2}
    with pytest.raises(FileNotFoundError, match="nothing"):
        link({"fluffy": ["nothing/*"]}, tmp_path / "data", tmp_path / "out")


def test_the_shipped_words_name_photos():
    """Of the data beside the project, which are not part of it."""
    if not (data := ROOT.parent / "shared" / "data").is_dir():
        pytest.skip("no data beside the project")
    for word, patterns in read_words(ROOT / "configs" / "words.yaml").items():
        assert [p for p in patterns if not any(data.glob(p))] == [], word


@pytest.fixture
def data(tmp_path):
    return annotated_folder(tmp_path / "data", MATERIALS)


class TinyJudge:
    def __call__(self, image, region):
        return torch.tensor([[0.0, 1.0, 0.5]])


def test_all_of_it_end_to_end(data, checkpoint, network, tmp_path, monkeypatch):
    config = ExperimentConfig(
        str(data), str(checkpoint), str(tmp_path / "out"), ["resegmentation", "saliency", "translation", "quality"],
        ["leather/0", "leather/2"], styles=2, size=48, pairs=6,
        gatys=GatysSubset(2, 2, 1, str(tmp_path / "gatys")),
    )  # fmt: skip
    classifier = MaterialClassifier(network.encoder, MATERIALS)
    monkeypatch.setattr(Lab, "vgg", TinyVGG())
    monkeypatch.setattr(Lab, "teacher", SaliencyTeacher(classifier))
    monkeypatch.setattr(Lab, "judge", TinyJudge())
    page, twin = study.run(config)
    text = twin.read_text()
    for title in (
        "segmented as",
        "Claims of the slides",
        "Where the material is",
        "Taken for",
        "Style and content",
        "Irregular texture and gloss",
        "a ratio of",
        "Steps of the protocol",
    ):
        assert title in text
    assert page.read_text().count("data:image/png") == text.count("![")
    rows = json.loads((tmp_path / "out" / "resegmentation.json").read_text())
    assert (
        len(rows) == 2 + 2 * 6 + 2
    )  # the untouched contents, every combination, the subset of the optimisation
    stamps = {p: p.read_text() for p in (tmp_path / "out" / "results").iterdir()}
    monkeypatch.setattr(Lab, "model", None)  # a second run asks nobody
    study.run(config)
    assert stamps == {p: p.read_text() for p in (tmp_path / "out" / "results").iterdir()}


def test_an_unknown_setting_is_named(capsys):
    with pytest.raises(SystemExit):
        parse(["--data=x", "--sytles=3"])
    assert "sytles" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"studies": ["resegmentatoin"]}, ValueError, "no study resegmentatoin: choose from"),
        ({"data": "nowhere"}, FileNotFoundError, "no folder nowhere/image"),
        ({"contents": ["leather/9"]}, ValueError, "no photo leather/9 in train.txt or val.txt"),
        ({"checkpoint": "none.safetensors"}, CheckpointError, "none.safetensors: no such file"),
        ({"studies": ["onomatopoeia"], "onomatopoeia": Onomatopoeia("none.safetensors")}, CheckpointError,
         "none.safetensors: no such file"),
    ],
)  # fmt: skip
def test_what_cannot_be_studied_is_refused_before_any_work(data, checkpoint, changes, error, message):
    given = {"data": str(data), "checkpoint": str(checkpoint), "contents": ["leather/0"]} | changes
    with pytest.raises(error, match=message):
        study.run(ExperimentConfig(**given))


def test_a_word_without_photos_is_refused(data, checkpoint, tmp_path):
    words = Onomatopoeia(str(checkpoint), str(tmp_path), "leather", "stone")
    config = ExperimentConfig(str(data), str(checkpoint), studies=["onomatopoeia"], contents=[],
                              onomatopoeia=words)  # fmt: skip
    with pytest.raises(FileNotFoundError, match=r"no photos in .*leather"):
        study.run(config)


def test_words_are_restyled_as_words(data, checkpoint, tmp_path, monkeypatch):
    """The study of onomatopoeia, with the materials of the checkpoint as its words."""
    for word, stems in {"leather": "ab", "stone": ("quarry", "wall")}.items():
        for seed, stem in enumerate(stems):
            path = tmp_path / "words" / word / f"{stem}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            make_photo(40, 48, seed).save(path)
    words = Onomatopoeia(str(checkpoint), str(tmp_path / "words"), "leather", "stone")
    lab = Lab(
        ExperimentConfig(str(data), str(checkpoint), str(tmp_path / "out"), size=48, onomatopoeia=words)
    )
    monkeypatch.setattr(Lab, "vgg", TinyVGG())
    onomatopoeia.check(lab)
    rows = list(onomatopoeia.study(lab, lambda *_: None))
    assert [row["photo"] for row in rows] in (["a", "b"], ["b", "a"])
    assert all(row["exemplar"] in ("", "stone/quarry", "stone/wall") for row in rows)
    text = onomatopoeia.section(lab, rows, report.Figures(tmp_path / "out"))
    assert "leather as stone" in text
    (sheet,) = (tmp_path / "out" / "figures").iterdir()
    assert Image.open(sheet).size == (6 * 256, 16 + 192)


def test_shipped_settings_are_valid():
    assert parse([f"--config={ROOT / 'configs' / 'experiments.yaml'}"]).studies
