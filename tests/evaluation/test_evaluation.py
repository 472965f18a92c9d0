"""Evaluation: scores against references and known extremes, pairs, the commands end to end."""

import csv
import json
import runpy

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from tests.helpers import ROOT, TinyVGG, annotated_folder, make_job
from unistyle.checkpoint.checkpoint import Checkpoint, save_checkpoint
from unistyle.commands import evaluate as evaluate_command
from unistyle.data.labelled import LabelledPhoto, material_photos
from unistyle.evaluation import measures as evaluation
from unistyle.evaluation.failures import failure_kind
from unistyle.evaluation.methods import (
    colour_method,
    gatys_method,
    network_method,
    photo_method,
    whole_method,
)
from unistyle.evaluation.pairs import make_pairs
from unistyle.evaluation.rows import summary, write_rows
from unistyle.evaluation.scores import changed, rim, shading, style_scores
from unistyle.maths.features import content_distance, gram, gram_distance, periodic_energy
from unistyle.maths.resizing import resize_regions
from unistyle.network.encoder import EncoderConfig
from unistyle.network.model import NetworkConfig, UniStyleNetwork
from unistyle.restyle.pipeline import UniStyle
from unistyle.styles.bank import StyleBank
from unistyle.teachers.gatys import GatysConfig
from unistyle.teachers.vgg import STYLE_LAYERS

MATERIALS = ("glass", "stone", "wood")


@pytest.fixture(scope="module")
def vgg():
    return TinyVGG()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return annotated_folder(tmp_path_factory.mktemp("data"), MATERIALS)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = UniStyleNetwork(
            NetworkConfig(EncoderConfig("mobilenetv2_050", pretrained=False), MATERIALS)
        ).eval()
        codes = torch.rand(3, network.stylizer.code_size)
    bank = StyleBank(tuple((name, "0") for name in MATERIALS), codes)
    return save_checkpoint(tmp_path_factory.mktemp("checkpoint") / "c.safetensors", Checkpoint(network, bank))


def photos(data, split="val"):
    return material_photos(data / "image", data / f"{split}.txt", data / "mask")


def test_scores_equal_their_definition(vgg):
    job = make_job()
    result = job.photo.flip(1)
    scores = style_scores(vgg, job, result)

    def distance(image, name):
        f, g = vgg(image)[name], vgg(job.style)[name]
        w, v = (resize_regions(x, y.shape[-2:]) for x, y in ((job.region, f), (job.style_region, g)))
        return gram_distance(gram(f, w), gram(g, v)).item()

    after, before = ([distance(x, name) for name in STYLE_LAYERS] for x in (result, job.photo))
    assert scores["gram"] == pytest.approx(sum(after) / 4, rel=1e-4)
    assert scores["relative"] == pytest.approx(sum(after) / sum(before), rel=1e-4)
    assert scores["relu3_1"] == pytest.approx(after[2] / before[2], rel=1e-4)
    f, g = vgg(result)["relu4_1"], vgg(job.photo)["relu4_1"]
    wanted = content_distance(f, g, resize_regions(job.region, f.shape[-2:])).item()
    assert scores["content"] == pytest.approx(wanted, rel=1e-4)


def test_the_untouched_photo_scores_one(vgg):
    job = make_job()
    scores = style_scores(vgg, job, job.photo)
    for name in ("relative", *STYLE_LAYERS, "luminance", "moments", "shading"):
        assert scores[name] == pytest.approx(1, abs=1e-4)
    assert scores["content"] == pytest.approx(0, abs=1e-4)
    assert scores["outside"] == 0


def test_the_style_itself_scores_zero(vgg):
    job = make_job()
    job = job._replace(style=job.photo.flip(-1), style_region=job.region.flip(-1))
    own = job._replace(photo=torch.rand(job.photo.shape), region=job.style_region)
    scores = style_scores(vgg, own, job.style)
    for name in ("relative", *STYLE_LAYERS, "luminance", "moments"):
        assert scores[name] == pytest.approx(0, abs=1e-4)


def test_recolouring_does_not_change_what_grey_and_structure_say(vgg):
    """A shift of colour that keeps the luminance moves the colour score and leaves that of grey images."""
    job = make_job()
    shift = torch.tensor([0.05 / 0.2126, 0, -0.05 / 0.0722])[None, :, None, None] * 0.2
    scores = style_scores(vgg, job, job.photo + shift)
    assert scores["luminance"] == pytest.approx(1, abs=1e-3)
    assert abs(scores["relative"] - 1) > 1e-3


def grating(period, u, v, size=64):
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    return (0.5 + 0.2 * torch.cos(2 * torch.pi * (u * y + v * x) / period)).expand(1, 3, size, size)


@pytest.mark.parametrize("period", [2, 4])
@pytest.mark.parametrize("direction", [(0, 1), (1, 0), (1, 1), (1, -1)])
def test_periodic_energy_is_that_of_a_grating_of_the_period_alone(period, direction):
    everywhere = torch.ones(1, 1, 64, 64)
    # The mean power of a cosine of amplitude a is a^2 / 4 on one side of the spectrum; at 2 pixels the sides are one.
    wanted = 0.2**2 / (1 if period == 2 else 4)
    energy = periodic_energy(grating(period, *direction), everywhere, period).item()
    assert energy == pytest.approx(wanted, rel=1e-3)
    for other in (8, 16, 1000):
        assert periodic_energy(grating(other, *direction), everywhere, period).item() < 1e-3 * wanted


def test_periodic_energy_looks_at_the_region_alone():
    image, region = torch.full((1, 3, 64, 96), 0.5), torch.zeros(1, 1, 64, 96)
    image[..., 48:] = grating(2, 1, 1)[..., :48]
    region[..., :24] = 1
    assert periodic_energy(image, region, 2).item() < 1e-9
    assert periodic_energy(image, 1 - region, 2).item() > 1e-3


def test_shading_is_the_correlation_of_low_frequencies():
    y, x = torch.meshgrid(torch.linspace(0, 1, 64), torch.linspace(0, 1, 96), indexing="ij")
    photo, across = (a.expand(1, 3, 64, 96) for a in (x, y))
    everywhere = torch.ones(1, 1, 64, 96)
    noise = 0.3 * (torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0)) - 0.5)
    assert_close(shading(0.5 * photo + 0.2 + noise, photo, everywhere), torch.ones(1), atol=0.02, rtol=0)
    assert_close(shading(1 - photo, photo, everywhere), -torch.ones(1), atol=0.02, rtol=0)
    assert_close(shading(across, photo, everywhere), torch.zeros(1), atol=0.02, rtol=0)


def test_shading_looks_at_the_region_alone():
    photo = torch.linspace(0, 1, 96).expand(1, 3, 64, 96).clone()
    region = torch.zeros(1, 1, 64, 96)
    region[..., :48] = 1
    result = photo.clone()
    result[..., 48:] = 0.9 - result[..., 48:]
    assert_close(shading(result, photo, region), torch.ones(1), atol=1e-3, rtol=0)


def test_changed_counts_8_bit_values_outside():
    photo, alpha = torch.full((1, 3, 4, 4), 100 / 255), torch.zeros(1, 1, 4, 4)
    alpha[..., :2, :] = 0.3
    result = photo.clone()
    result[..., :2, :] = 1
    assert changed(result, photo, alpha) == 0
    result[0, 1, 3, 2] += 1 / 255
    result[0, 2, 3, 3] += 0.4 / 255
    assert changed(result, photo, alpha) == 1


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
    network = UniStyle.from_pretrained(checkpoint, device="cpu").network
    job = make_job()
    methods = {
        "photo": photo_method,
        "colour": colour_method,
        "gatys": gatys_method(vgg, GatysConfig(iterations=2)),
        "network": network_method(network),
        "whole": whole_method(network),
    }
    for name, method in methods.items():
        result = method(job.photo, job.region, job.style, job.style_region)
        scores = style_scores(vgg, job, result)
        assert scores["outside"] == 0, name
        assert torch.equal(result, job.photo) == (name == "photo"), name


def test_evaluate_style_names_photo_and_style(vgg, data):
    pairs = make_pairs(photos(data), photos(data), 3, seed=0)
    rows = list(evaluation.evaluate_style(pairs, photo_method, vgg))
    assert [row["photo"] for row in rows] == [
        f"{p.content.path.parent.name}/{p.content.path.stem}" for p in pairs
    ]
    assert all(row["relative"] == pytest.approx(1, abs=1e-4) for row in rows)


def test_a_style_of_the_bank_is_measured_against_the_exemplar_used(vgg, data, checkpoint):
    model = UniStyle.from_pretrained(checkpoint, device="cpu")
    exemplars = {f"{p.path.parent.name}/{p.path.stem}": p for p in photos(data, "train")}
    pairs = make_pairs(photos(data), photos(data), 3, seed=0)
    rows = list(evaluation.evaluate_bank(model, pairs, exemplars, vgg))
    assert [row["style"] for row in rows] == [f"{p.style.path.parent.name}/0" for p in pairs]
    assert all(row["outside"] == 0 for row in rows)
    (row,) = evaluation.evaluate_bank(model, pairs[:1], exemplars, vgg, to="wood")
    assert row["style"] == "wood/0"


def test_summary_and_files(tmp_path):
    rows = [{"photo": str(i), "score": float(i)} for i in (4, 0, 3, 1, 2)]
    assert summary(rows) == {"score": dict(median=2, lower=1, upper=3, mean=2, n=5)}
    write_rows(rows, tmp_path / "a.json")
    write_rows(rows, tmp_path / "a.csv")
    assert json.loads((tmp_path / "a.json").read_text())["rows"] == rows
    with open(tmp_path / "a.csv", newline="") as file:
        assert [float(row["score"]) for row in csv.DictReader(file)] == [4, 0, 3, 1, 2]


@pytest.mark.parametrize("annotated", [0.0, 1.0])
def test_masks_are_scored_against_the_annotation(data, annotated, monkeypatch):
    def found(network, image):
        return torch.full_like(image[:, :1], annotated)

    monkeypatch.setattr(evaluation, "predicted_mask", found)
    for row, photo in zip(evaluation.evaluate_masks(None, photos(data)), photos(data), strict=True):
        area = (np.asarray(Image.open(photo.mask)) > 0).mean()
        assert row["accuracy"] == pytest.approx(area if annotated else 1 - area)
        assert row["boundary"] == float(area < 0.95)


def run(capsys, *arguments):
    evaluate_command.main([str(x) for x in arguments])
    return capsys.readouterr().out


def test_the_mask_command(data, checkpoint, tmp_path, capsys):
    text = run(capsys, "masks", "--data", data, "--checkpoint", checkpoint, "--out", tmp_path / "m.json")
    assert "n = 6" in text
    assert "below 95 %" in text
    assert "n = 3" in text
    rows = json.loads((tmp_path / "m.json").read_text())["rows"]
    assert all(0 <= row["mean_iu"] <= 1 for row in rows)


def test_the_outside_command_finds_no_change(data, checkpoint, tmp_path, capsys):
    run(capsys, "outside", "--data", data, "--checkpoint", checkpoint, "--out", tmp_path / "o.json")
    assert {row["outside"] for row in json.loads((tmp_path / "o.json").read_text())["rows"]} == {0}


def test_the_style_command(data, checkpoint, tmp_path, capsys, monkeypatch, vgg):
    monkeypatch.setattr(evaluate_command, "VGG19", lambda weights: vgg)
    for method in ("network", "gatys"):
        arguments = ("--method", method, "--pairs", 4, "--iterations", 1, "--cache", tmp_path / "cache")
        out = tmp_path / f"{method}.csv"
        text = run(capsys, "style", "--data", data, "--checkpoint", checkpoint, "--out", out, *arguments)
        assert "n = 4" in text
        assert out.is_file()
    assert len(list((tmp_path / "cache").rglob("*.png"))) == 4
    run(
        capsys,
        "style",
        "--data",
        data,
        "--checkpoint",
        checkpoint,
        "--strength",
        0,
        "--pairs",
        2,
        "--out",
        out,
    )
    rows = list(csv.DictReader(out.open()))
    assert [float(row["relative"]) for row in rows] == [pytest.approx(1, abs=1e-3)] * 2


def test_the_bank_command(data, checkpoint, tmp_path, capsys, monkeypatch, vgg):
    monkeypatch.setattr(evaluate_command, "VGG19", lambda weights: vgg)
    out = tmp_path / "b.csv"
    arguments = ("--checkpoint", checkpoint, "--pairs", 2, "--out", out, "--to", "wood")
    assert "n = 2" in run(capsys, "bank", "--data", data, *arguments)
    assert "wood/0" in out.read_text()


def test_the_style_command_asks_for_a_checkpoint(data, monkeypatch, vgg):
    monkeypatch.setattr(evaluate_command, "VGG19", lambda weights: vgg)
    with pytest.raises(SystemExit, match="--checkpoint is missing"):
        evaluate_command.main(["style", "--data", str(data)])


def test_the_sheet_command(data, checkpoint, tmp_path, capsys):
    out = tmp_path / "sheet.png"
    run(
        capsys, "sheet", "--data", data, "--checkpoint", checkpoint, "--out", out, "--styles", "stone", "wood"
    )
    # A row for each material, whose first photo with a boundary is shown; photo, mask and two styles across.
    assert Image.open(out).size == (4 * 320, 16 + 3 * 240)


@pytest.fixture(scope="module")
def speed():
    return runpy.run_path(str(ROOT / "benchmarks" / "speed.py"))


def test_the_speed_benchmark_counts_arithmetic_and_traffic(speed):
    conv, x = torch.nn.Conv2d(8, 16, 3, padding=1), torch.rand(1, 8, 20, 30)
    gmac, gb = speed["work"](lambda: conv(x))
    assert gmac == pytest.approx(20 * 30 * 16 * 8 * 9 / 1e9)
    assert gb == pytest.approx(4 * (20 * 30 * (8 + 16) + 16 * 8 * 9 + 16) / 1e9)


def test_the_speed_benchmark_end_to_end(speed, checkpoint, capsys):
    speed["main"](
        [
            "--checkpoint",
            str(checkpoint),
            "--sizes",
            "48x32",
            "--batches",
            "2",
            "--runs",
            "1",
            "--warm-up",
            "0",
        ]
    )
    heading, limits, _, *rows = capsys.readouterr().out.splitlines()
    assert heading.startswith("CPU")
    assert limits.startswith("this device: ")
    assert [row.split()[:3] for row in rows] == [["48x32", "2", "UniStyle"], ["48x32", "2", "LR-ASPP"]]
    assert all(float(number.rstrip("%")) >= 0 for row in rows for number in row[34:].split())


@pytest.fixture
def half():
    """A photo of a gradient, its left half the region: photo and region at 48 x 96."""
    photo = torch.linspace(0.2, 0.8, 48)[:, None].expand(1, 3, 48, 96).clone()
    region = torch.zeros(1, 1, 48, 96)
    region[..., :48] = 1
    return photo, region


def test_a_rim_is_measured_in_standard_deviations_of_the_result(half):
    photo, region = half
    result = 0.5 * photo + 0.1  # gain and offset alone make no rim
    assert rim(result, photo, region).item() == pytest.approx(0, abs=1e-5)
    result[..., 44:48] -= 0.1  # dark in the last four columns of the region
    spread = result[..., :48].std(correction=0).item()
    assert rim(result, photo, region).item() == pytest.approx(-0.1 / spread, rel=1e-3)


def test_a_region_without_an_edge_has_no_rim(half):
    photo, _ = half
    assert rim(torch.rand(photo.shape), photo, torch.ones_like(photo[:, :1])).isnan().all()
    rows = [{"rim": float("nan"), "x": 1.0}, {"rim": 0.5, "x": 2.0}]
    assert summary(rows[:1])["rim"]["n"] == 0
    assert (summary(rows)["rim"]["median"], summary(rows)["rim"]["n"]) == (0.5, 1)


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


def test_the_failures_command(data, checkpoint, tmp_path, capsys):
    printed = run(capsys, "failures", "--data", data, "--checkpoint", checkpoint, "--out", tmp_path / "f")
    kinds = [line.split(":")[0] for line in printed.splitlines()]
    assert kinds
    assert {p.stem for p in (tmp_path / "f").iterdir()} == set(kinds)
