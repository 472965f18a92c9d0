"""Judges: what they name, that they cost nothing twice, and what the command prints of them."""

from types import SimpleNamespace

import pytest
import torch

from tests.helpers import TinyVGG
from unistyle.commands import evaluate
from unistyle.commands.evaluation import judges as evaluate_judges
from unistyle.evaluation.judges import MaterialJudge, ObjectJudge, Probe, two_judges
from unistyle.evaluation.judging import at_longest, fitted, judge_accuracy, judged_rows, working
from unistyle.evaluation.methods import photo_method, public_method
from unistyle.evaluation.pairs import annotated_split, make_pairs
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
    one = fitted(MaterialJudge([(64, probe())]), photos, tmp_path)
    again = MaterialJudge([(64, probe())])
    again.fit = lambda *_: pytest.fail("fitted again")
    assert torch.equal(fitted(again, photos, tmp_path).probes[0].head.weight, one.probes[0].head.weight)
    assert len(list(tmp_path.iterdir())) == 1
    fitted(MaterialJudge([(64, probe())]), photos[1:], tmp_path)
    assert len(list(tmp_path.iterdir())) == 2, "other photos, another judge"
    assert 0 <= judge_accuracy(one, photos) <= 1


def test_rows_are_judged_at_one_size(data, checkpoint):
    pairs = make_pairs(annotated_split(data, "val"), annotated_split(data, "train"), 2, seed=0)
    assert max(working(pairs[0], 96).photo.shape[-2:]) == 96
    seen = []

    def method(transfer):
        seen.append(tuple(transfer.photo.shape[-2:]))
        return transfer.photo

    judge = SimpleNamespace()
    style, own = pairs[0].style.label, pairs[0].content.label
    judge = lambda image, region: torch.eye(3)[[style]]  # noqa: E731
    objects = ObjectJudge(backbone=TINY, pretrained=False)
    row = next(judged_rows(pairs, method, judge, objects, TinyVGG(), longest=96))
    assert max(seen[0]) == 96
    assert (row["new"], row["old"], row["probability"]) == (1, float(style == own), 1)
    untouched = next(judged_rows(pairs, photo_method, judge, objects, TinyVGG(), longest=48))
    assert untouched["object"] == pytest.approx(1, abs=1e-4)
    assert untouched["relative"] == pytest.approx(1, abs=1e-3)
    model = UniStyle.from_pretrained(checkpoint, "cpu")
    result = public_method(model)(working(pairs[0], 64))
    region = working(pairs[0], 64).region
    before = working(pairs[0], 64).photo
    assert torch.equal((result * 255).round()[region.expand_as(result) == 0],
                       (before * 255).round()[region.expand_as(result) == 0])  # fmt: skip


def test_the_command(data, checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(evaluate_judges, "two_judges", lambda *_: MaterialJudge([(48, probe())]))
    monkeypatch.setattr(
        evaluate_judges, "ObjectJudge", lambda *_: ObjectJudge(backbone=TINY, pretrained=False)
    )
    monkeypatch.setattr(evaluate_judges, "read_vgg", lambda _: TinyVGG())
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
    given += ["--methods", "photo", "network", "whole", "--strengths", 0.5, 1, "--out", tmp_path / "rows.csv"]
    assert evaluate.main([str(x) for x in given]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert "of the 6 photos of val" in printed[0]
    assert printed[1].split("  ")[-1].strip() == "whole"
    assert (tmp_path / "rows.csv").read_text().count("\n") == 1 + 2 * 6
