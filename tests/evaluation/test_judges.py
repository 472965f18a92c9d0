"""Judges: what they name, that they cost nothing twice, and what the command prints of them."""

import pytest
import torch

from tests.helpers import TinyVGG
from unistyle.commands import evaluate
from unistyle.commands.evaluation import judges as evaluate_judges
from unistyle.evaluation.judges import MaterialJudge, ObjectJudge, Probe, two_judges
from unistyle.evaluation.judging import fitted, judge_accuracy, judged_rows, results, size_rows
from unistyle.evaluation.methods import photo_method, public_method
from unistyle.evaluation.pairs import annotated_split, at_longest, make_pairs, sized_pair
from unistyle.restyle.pipeline import UniStyle

NAMES = ("glass", "stone", "wood")
TINY = "resnet10t.c3_in1k"  # a backbone of timm that costs little


def texture(kind: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Stripes, checks or noise, with a region that leaves the left part out."""
    rng = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    shapes = [(x // 4 % 2).float(), ((x // 8 + y // 8) % 2).float(), torch.rand(64, 64, generator=rng)]
    image = (0.6 * shapes[kind] + 0.3 * torch.rand(3, 1, 1, generator=rng)).clamp(0, 1).expand(3, 64, 64)
    region = (x >= 16).float()
    return image[None].clone(), region[None, None]


def probe(seed: int = 0) -> Probe:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Probe(TINY, (1, 2), NAMES, pretrained=False)


@pytest.fixture(scope="module")
def judge() -> MaterialJudge:
    judge = MaterialJudge([(64, probe()), (48, probe(1))])
    judge.fit([texture(k, i) for k in range(3) for i in range(6)], [k for k in range(3) for _ in range(6)])
    return judge


def test_materials_are_named_by_what_is_inside_the_region(judge):
    for kind in range(3):
        image, region = texture(kind, 99)
        given = judge(image, region)
        assert given.sum().item() == pytest.approx(1)
        assert int(given.argmax()) == kind
        other = texture((kind + 1) % 3, 98)[0]
        mixed = torch.where(region > 0, image, other)
        assert int(judge(mixed, region).argmax()) == kind, "what lies outside has no say"


def test_a_judge_is_the_mean_of_its_probes(judge):
    image, region = texture(0, 50)
    first = judge.probes[0](image, region).softmax(1)
    small = [at_longest(x, 48) for x in (image, region)]
    second = judge.probes[1](*small).softmax(1)
    torch.testing.assert_close(judge(image, region), (first + second) / 2, atol=2e-3, rtol=0)


def test_a_copy_shows_the_same_object_and_another_photo_does_not():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        objects = ObjectJudge(backbone=TINY, pretrained=False)
        objects.classify.backbone.fc.weight *= 50  # random weights say the same of everything
    photo = texture(0, 0)[0]
    assert objects(photo, photo).item() == pytest.approx(1, abs=1e-5)
    assert 0 <= objects(texture(2, 5)[0], photo).item() < 0.999


def test_missing_weights_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no weights .*none\.safetensors"):
        two_judges(NAMES, tmp_path / "none.safetensors")


@pytest.mark.parametrize(("longest", "size"), [(20, (20, 10)), (80, (80, 40))])
def test_photos_are_enlarged_and_reduced(longest, size):
    assert tuple(at_longest(torch.rand(1, 3, 40, 20), longest).shape[-2:]) == size


def test_fitted_heads_are_kept(data, tmp_path):
    photos = annotated_split(data, "train")
    one, cells = fitted(MaterialJudge([(64, probe())]), photos, tmp_path)
    again = MaterialJudge([(64, probe())])
    again.fit = lambda *_: pytest.fail("fitted again")
    other, same = fitted(again, photos, tmp_path)
    assert torch.equal(other.probes[0].head.weight, one.probes[0].head.weight)
    assert [len(x) > 0 for x in cells] == [m in {p.label for p in photos} for m in range(3)]
    assert all(map(torch.equal, cells, same))
    assert len(list(tmp_path.iterdir())) == 1
    fitted(MaterialJudge([(64, probe())]), photos[1:], tmp_path)
    assert len(list(tmp_path.iterdir())) == 2, "other photos, another judge"
    assert 0 <= judge_accuracy(one, photos) <= 1


def test_cells_are_those_inside_the_region(judge):
    image, region = texture(0, 3)
    cells = judge.cells(image, region)
    side = judge.probes[0].features(image)[-1].shape[-1]
    assert len(cells) == side * side * 3 // 4
    outside = torch.where(region > 0, image, 0)
    assert not torch.equal(cells, judge.cells(outside, 1 - region)[: len(cells)])


@pytest.fixture
def pairs(data):
    return make_pairs(annotated_split(data, "val"), annotated_split(data, "train"), 2, seed=0)


def test_photos_are_restyled_at_their_size_and_judged_at_one(pairs):
    seen = []

    def method(transfer):
        seen.append(tuple(transfer.photo.shape[-2:]))
        return transfer.photo

    assert max(sized_pair(pairs[0], 96).photo.shape[-2:]) == 96
    for _, wanted, result in results(pairs, lambda _: method, 96):
        assert result.shape == wanted.photo.shape
    assert [max(size) for size in seen] == [96, 96]


def test_results_are_kept_until_something_changes(pairs, tmp_path):
    calls = []

    def method(transfer):
        calls.append(1)
        return transfer.photo / 3

    run = lambda about="a", longest=48: list(results(pairs, lambda _: method, longest, tmp_path, [about]))  # noqa: E731
    first, again = run(), run()
    assert len(calls) == 2
    assert all(torch.equal(a.result, b.result) for a, b in zip(first, again, strict=True))
    run("b"), run(longest=64)
    assert len(calls) == 6


def test_rows_of_an_untouched_photo(pairs):
    judge = probe()
    judge.cells = lambda image, region: image.flatten(2)[0].T
    named = pairs[0].style.label
    judge.forward = lambda image, region: torch.eye(3)[[named]]
    objects = ObjectJudge(backbone=TINY, pretrained=False)
    cells = [1 + torch.rand(30, 3)] * 3  # other than any pixel
    row = next(judged_rows(results(pairs, lambda _: photo_method, 48), judge, objects, TinyVGG(), cells))
    assert (row["new"], row["old"], row["probability"]) == (1, 0, 1)
    assert row["object"] == pytest.approx(1, abs=1e-4)
    assert row["relative"] == pytest.approx(1, abs=0.01)
    assert row["kid"] > 0


def test_the_same_picture_at_every_size_looks_alike(pairs):
    judged = list(results(pairs, lambda _: photo_method, 48))
    assert [row["sizes"] for row in size_rows(zip(judged, judged, strict=True), TinyVGG())] == [0, 0]


def test_the_public_call_leaves_what_is_outside(pairs, checkpoint):
    given = sized_pair(pairs[0], 64)
    result = public_method(UniStyle.from_pretrained(checkpoint, "cpu"))(given)
    outside = given.region.expand_as(result) == 0
    assert torch.equal((result * 255).round()[outside], (given.photo * 255).round()[outside])


def test_the_command(data, checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(evaluate_judges, "two_judges", lambda *_: MaterialJudge([(48, probe())]))
    monkeypatch.setattr(
        evaluate_judges, "ObjectJudge", lambda *_: ObjectJudge(backbone=TINY, pretrained=False)
    )
    monkeypatch.setattr(evaluate_judges, "read_vgg", lambda _: TinyVGG())
    monkeypatch.setattr(evaluate_judges, "FITTED", 2)
    monkeypatch.setattr(evaluate_judges, "QUICK", 3)
    given = [
        "judges",
        "--data",
        data,
        "--checkpoint",
        checkpoint,
        "--pairs",
        2,
        "--sizes",
        64,
        96,
        "--cache",
        tmp_path,
    ]
    given += ["--methods", "photo", "network", "bank", "whole", "--strengths", 0.5, 1]
    assert evaluate.main([str(x) for x in [*given, "--out", tmp_path / "rows.csv"]]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert "of the 6 photos of val" in printed[0]
    assert printed[1].split("  ")[-1].strip() == "whole"
    assert (tmp_path / "rows.csv").read_text().count("\n") == 1 + 2 * 10
    assert [line.split(": ")[0] for line in printed[-4:]] == [
        f"{bank}64 px, {x}" for bank in ("", "bank ") for x in (0.5, 1)
    ]
    assert evaluate.main([str(x) for x in [*given, "--pairs", 90]]) == 2
    assert "all photos of train serve as styles" in capsys.readouterr().err
    least = ["--quick", "--methods", "photo", "--sizes", 64, "--strengths", 1]
    assert evaluate.main([str(x) for x in [*given, *least]]) == 0
    assert ["pairs", "3"] in [line.split()[:2] for line in capsys.readouterr().out.splitlines()]
