import copy
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from tests.teachers.making import TinyEncoder, disc, object_net
from unistyle.commands.saliency import main
from unistyle.data.labelled import folder_photos, hold_out, material_photos
from unistyle.files.photos import read_image, read_mask
from unistyle.files.tensors import to_tensor
from unistyle.maths.masks import best_threshold
from unistyle.network.encoder import EncoderConfig
from unistyle.teachers.classifier import LEVELS, MaterialClassifier, fit_head
from unistyle.teachers.comparison import score_table
from unistyle.teachers.maps import distinct, refine, rivals_of, simonyan
from unistyle.teachers.masks import SaliencyTeacher, write_masks
from unistyle.teachers.objects import object_logits
from unistyle.teachers.saliency import SaliencyConfig, SaliencyData, _Networks, calibrate, load_or_train


@pytest.fixture
def classifier():
    torch.manual_seed(0)
    return MaterialClassifier(TinyEncoder(), ("leather", "stone", "wood", "glass", "paper")).eval()


@pytest.fixture
def photos():
    return torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))


LABELS = torch.tensor([1, 3])


def test_simonyan_is_the_gradient_of_the_score(classifier, photos):
    photo = photos[:1].clone().requires_grad_()
    classifier(photo)[0, 1].backward()
    wanted = photo.grad.abs().amax(1, keepdim=True)
    got = simonyan(classifier, photos[:1], LABELS[:1], side=64)
    assert torch.allclose(got, wanted / wanted.max(), atol=1e-5)


def test_distinct_is_zero_where_the_rivals_have_the_same_gradient(classifier, photos):
    with torch.no_grad():
        classifier.head.weight[:] = classifier.head.weight[:1]
    assert distinct(classifier, photos, LABELS, scales=(64,)).max() < 1e-5


def test_distinct_follows_its_definition_at_one_scale(classifier, photos):
    """Against the definition written out with loops, for one photo and one scale."""
    photo = photos[:1]
    levels = classifier.encoder(photo.clone().requires_grad_())
    scores = classifier.head(classifier.pooled(levels))[0]
    classes = rivals_of(classifier(torch.nn.functional.interpolate(photo, (256, 384))), LABELS[:1])[
        0
    ].tolist()
    total = torch.zeros(64, 96)
    for level in LEVELS:
        maps = [
            torch.autograd.grad(scores[c], levels[level], retain_graph=True)[0].abs().amax(1)[0]
            for c in classes
        ]
        top = max(m.max() for m in maps)
        ahead = sum((maps[0] / top - m / top).clamp_min(0) for m in maps[1:])
        value = torch.tanh(3 * ahead / ahead.max())
        total += nn.functional.interpolate(value[None, None], (64, 96), mode="bilinear")[0, 0]
    got = distinct(classifier, photo, LABELS[:1], scales=(64,))[0, 0]
    assert torch.allclose(got, total / total.max(), atol=1e-4)


@pytest.mark.parametrize("method", [simonyan, distinct])
def test_maps_fit_the_photos_and_do_not_depend_on_the_batch(classifier, photos, method):
    together = method(classifier, photos, LABELS)
    alone = torch.cat([method(classifier, photos[i : i + 1], LABELS[i : i + 1]) for i in range(2)])
    assert together.shape == (2, 1, 64, 96)
    assert together.min() >= 0
    assert torch.allclose(together.amax((1, 2, 3)), torch.ones(2), atol=1e-5)
    assert torch.allclose(together, alone, atol=1e-4)


def test_rivals_are_the_best_of_the_others():
    scores = torch.tensor([[0.1, 0.9, 0.5, 0.7], [0.9, 0.8, 0.7, 0.6]])
    assert rivals_of(scores, torch.tensor([1, 3]), 2).tolist() == [[1, 3, 2], [3, 0, 1]]
    assert rivals_of(scores[:, :2], torch.tensor([0, 1]), 3).tolist() == [[0, 1], [1, 0]]


def test_refinement_brings_a_sloppy_mask_to_the_edge():
    photo = torch.full((1, 3, 96, 96), 0.2)
    photo[..., 40:] = 0.8
    truth = (photo[:, :1] > 0.5).float()
    sloppy = ((torch.arange(96.0) - 50) / 8).sigmoid().expand(1, 1, 96, 96).clone()  # 10 px off the edge
    refined = refine(photo, sloppy)
    off = [((m > 0.5).float() - truth).abs().mean().item() for m in (sloppy, refined)]
    assert off[1] < off[0] / 4
    assert 0 <= refined.min() <= refined.max() <= 1
    full = torch.ones_like(sloppy)
    assert torch.equal(refine(photo, full), full)


def test_head_is_the_penalised_optimum():
    """At the optimum of a smooth convex loss the gradient is 0; and separable classes are told apart."""
    torch.manual_seed(0)
    model = MaterialClassifier(TinyEncoder(), ("a", "b", "c"))
    labels = torch.arange(60) % 3
    features = torch.randn(60, 2, model.head.in_features) * 3 + 5
    features[..., :3] += 4 * nn.functional.one_hot(labels, 3)[:, None]
    fit_head(model, features, labels, decay=1e-2)
    x = features.flatten(0, 1)
    std = x.std(0)
    weight = (model.head.weight * std).detach().requires_grad_()
    standardised = (x - x.mean(0)) / std
    bias = (model.head.bias + model.head.weight @ x.mean(0)).detach()
    loss = nn.functional.cross_entropy(standardised @ weight.T + bias, labels.repeat_interleave(2))
    (loss + 1e-2 * weight.square().sum()).backward()
    assert weight.grad.abs().max() < 1e-3
    assert (model.head(features).mean(1).argmax(1) == labels).all()


def test_head_refuses_a_single_material():
    model = MaterialClassifier(TinyEncoder(), ("a",))
    with pytest.raises(ValueError, match="two materials"):
        fit_head(model, torch.rand(4, 2, model.head.in_features), torch.zeros(4).long())


def test_object_logits_do_not_change_under_reflection(photos):
    net = object_net().eval()
    got, mirrored = object_logits(net, photos, (64,)), object_logits(net, photos.flip(-1), (64,)).flip(-1)
    assert torch.allclose(got, mirrored, atol=1e-4)


def test_teacher_methods(classifier, photos):
    teacher = SaliencyTeacher(classifier, object_net())
    for method in teacher.methods:
        masks = teacher.masks(photos, LABELS, method)
        assert masks.shape == (2, 1, 64, 96)
        assert 0 <= masks.min() <= masks.max() <= 1
    assert SaliencyTeacher(classifier).methods == ("simonyan", "distinct", "combined")
    with pytest.raises(ValueError, match="objects"):
        SaliencyTeacher(classifier).masks(photos, LABELS, "objects")
    assert not any(p.requires_grad for p in teacher.parameters())


@pytest.fixture
def folders(tmp_path):
    """Two materials, bright discs and dark discs, with annotated masks; and objects."""
    for index in range(8):
        image, mask = disc(index, 48)
        material = ("bright", "dark")[index % 2]
        image = image if material == "bright" else 255 - image
        for kind, array in (("photos", image.permute(1, 2, 0).numpy()), ("masks", mask[0].numpy())):
            path = tmp_path / kind / material / f"p{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(path)
        for kind, array in (("image", image.permute(1, 2, 0).numpy()), ("mask", mask[0].numpy())):
            path = tmp_path / "objects" / kind / f"o{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(path)
    return tmp_path


def test_masks_already_written_are_not_made_again(folders, classifier):
    photos = material_photos(folders / "photos")[:3]
    teacher = SaliencyTeacher(MaterialClassifier(classifier.encoder, ("bright", "dark")))
    paths = write_masks(teacher, photos, folders / "out")
    assert all(p.parent.name == "bright" and read_mask(p).size == (48, 48) for p in paths)
    stamps = [p.stat().st_mtime_ns for p in paths]
    write_masks(teacher, photos, folders / "out")
    assert stamps == [p.stat().st_mtime_ns for p in paths]
    other = copy.deepcopy(teacher)
    other.classifier.head.bias.add_(1)
    write_masks(other, photos, folders / "out")
    assert all(a < p.stat().st_mtime_ns for a, p in zip(stamps, paths, strict=True))


def test_photos_of_anything_have_the_mask_of_their_object(folders, classifier):
    """In the file that they name, whatever their folder is called."""
    teacher = SaliencyTeacher(MaterialClassifier(classifier.encoder, ("bright", "dark")), object_net())
    photos = folder_photos([folders / "objects" / "image"], folders / "out")
    paths = write_masks(teacher, photos, folders / "elsewhere")
    assert paths[0] == folders / "out" / "image" / "o0.png.png"
    image = to_tensor(read_image(photos[0].path))[None]
    wanted = teacher.masks(image, torch.tensor([0]), "objects")[0]
    assert (to_tensor(read_mask(paths[0])) - wanted).abs().max() < 0.01
    with pytest.raises(FileNotFoundError, match="has no mask"):
        write_masks(teacher, folder_photos([folders / "objects" / "image"]), folders / "elsewhere")


def test_two_photos_of_one_stem_are_refused(folders, classifier):
    shutil.copy(folders / "photos/bright/p0.png", folders / "photos/bright/p0.jpg")
    teacher = SaliencyTeacher(MaterialClassifier(classifier.encoder, ("bright", "dark")))
    with pytest.raises(ValueError, match="p0"):
        write_masks(teacher, material_photos(folders / "photos"), folders / "out")


def test_hold_out_takes_a_part_of_every_material(folders):
    train, held = hold_out(material_photos(folders / "photos"))
    assert sorted(p.label for p in held) == [0, 1]
    assert len(train) == 6
    assert not {p.path for p in train} & {p.path for p in held}
    assert hold_out(material_photos(folders / "photos")) == (train, held)


FAST = [
    "--settings.encoder.name=mobilenetv2_035",
    "--settings.encoder.pretrained=false",
    *(f"--settings.{part}.steps=2" for part in ("objects", "adapt")),
    *(f"--settings.{part}.batch_size=2" for part in ("objects", "adapt")),
    *(f"--settings.{part}.size=64" for part in ("objects", "adapt")),
]


def test_command_end_to_end(folders, capsys):
    command = [f"--{name}={folders / name}" for name in ("photos", "out", "objects", "masks", "cache")]
    main([*command, *FAST])
    table = capsys.readouterr().out
    for method in ("simonyan", "distinct", "objects", "combined"):
        assert method in table
    written = sorted((folders / "out").rglob("*.png"))
    assert len(written) == 8
    assert np.asarray(read_mask(written[0])).shape == (48, 48)
    networks = sorted((folders / "cache").glob("*.safetensors"))
    assert [p.name.split("-")[0] for p in networks] == ["adapted", "adapted", "classifier", "objects"]
    stamps = [p.stat().st_mtime_ns for p in written + networks]
    main([*command, *FAST])
    assert stamps == [p.stat().st_mtime_ns for p in written + networks]
    assert capsys.readouterr().out == table


def test_command_names_what_is_missing(folders, capsys):
    assert main([f"--photos={folders / 'nowhere'}", f"--out={folders / 'out'}", *FAST]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_without_objects_there_is_a_teacher_too(folders):
    config = SaliencyConfig(encoder=EncoderConfig("mobilenetv2_035", pretrained=False))
    teacher = load_or_train(SaliencyData(folders / "photos"), folders / "cache", config)
    assert teacher.materials == ("bright", "dark")
    assert teacher.objects is None


def test_table_scores_with_and_without_boundary():
    half = torch.zeros(1, 10, 10, dtype=torch.bool)
    half[..., :5] = True
    full = torch.ones_like(half)
    table = score_table({"objects": [half * 0.8, full * 0.8]}, [half, full])
    assert "2 photos, 1 with a boundary" in table
    assert "1.000" in table
    with pytest.raises(ValueError, match="boundary"):
        score_table({"objects": [full * 0.8]}, [full])


def test_networks_are_found_again_wherever_the_weights_lie(tmp_path):
    made = []

    def make():
        made.append(1)
        return torch.nn.Linear(1, 1), {}

    for name, content in (("a", b"same"), ("b", b"same"), ("c", b"other")):
        (tmp_path / name).write_bytes(content)
        config = SaliencyConfig(EncoderConfig(weights=str(tmp_path / name)))
        networks = _Networks(tmp_path / "cache", config, lambda *_: None, "cpu")
        networks.kept("classifier", [], lambda: torch.nn.Linear(1, 1), make)
    assert len(made) == 2


def test_the_bias_is_moved_until_a_half_is_the_best_threshold(folders, classifier):
    photos = [replace(p, mask=folders / "masks" / p.path.relative_to(folders / "photos"))
              for p in material_photos(folders / "photos")]  # fmt: skip
    teacher = SaliencyTeacher(
        MaterialClassifier(classifier.encoder, ("bright", "dark")), object_net(), bias=0.7
    )
    annotated = [to_tensor(read_mask(p.mask)) > 0.5 for p in photos]
    teacher.mask_of = lambda photo: (None, (2 * (to_tensor(read_mask(photo.mask)) - 0.5) - 3).sigmoid())
    before = teacher.bias
    calibrate(teacher, [])
    assert teacher.bias == before
    calibrate(teacher, photos)
    threshold, _ = best_threshold([teacher.mask_of(p)[1] for p in photos], annotated)
    assert teacher.bias == pytest.approx(before - math.log(threshold / (1 - threshold)))
    assert teacher.bias > before  # masks that are too small ask for a larger one
