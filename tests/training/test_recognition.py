"""What results are to be recognised as."""

import pytest
import torch

from unistyle.teachers.vgg import VGG19
from unistyle.training.targets.recognition import MaterialTeacher, ObjectTeacher, Seen


def grain(period, seed):
    """Stripes of a period in pixels, `3 32 48`, in random light."""
    generator = torch.Generator().manual_seed(seed)
    wave = torch.sin(torch.arange(48) * 2 * torch.pi / period).expand(3, 32, 48)
    return (0.5 + 0.3 * wave + 0.1 * torch.rand(3, 32, 48, generator=generator)).clamp(0, 1)


@pytest.fixture
def taught(vgg_weights):
    vgg = VGG19(vgg_weights)
    photos = [(grain((4, 12)[i % 2], i), torch.ones(1, 32, 48)) for i in range(12)]
    teacher = MaterialTeacher(2)
    teacher.fit(vgg, photos, [i % 2 for i in range(12)])
    return teacher, vgg


def test_a_picture_is_recognised_as_its_material_and_no_other(taught):
    teacher, vgg = taught
    seen, whole = Seen(vgg, grain(4, 99)[None]), torch.ones(1, 1, 32, 48)
    right, wrong = (teacher.term(seen, whole, torch.tensor([label])) for label in (0, 1))
    assert right < 0.4 < wrong
    assert teacher.term(seen, whole, torch.tensor([-1])) == 0  # whose material is not known


def test_only_the_region_counts(taught):
    teacher, vgg = taught
    teacher.eval()
    half = torch.zeros(1, 1, 32, 48)
    half[..., :16] = 1
    both = torch.cat([grain(4, 1)[..., :16], grain(12, 1)[..., 16:]], dim=-1)[None]
    left, right = (teacher.term(Seen(vgg, both), w, torch.tensor([0])) for w in (half, 1 - half))
    assert left < right


def test_the_teacher_teaches_a_picture(taught):
    teacher, vgg = taught
    torch.manual_seed(0)
    picture = grain(12, 5)[None].requires_grad_()
    whole, label = torch.ones(1, 1, 32, 48), torch.tensor([0])
    before = teacher.term(Seen(vgg, picture), whole, label)
    (gradient,) = torch.autograd.grad(before, picture)
    after = teacher.term(Seen(vgg, picture - 0.1 * gradient.sign()), whole, label)
    assert gradient.abs().sum() > 0
    assert after < before


def test_a_picture_shows_the_object_that_it_shows():
    torch.manual_seed(0)
    teacher = ObjectTeacher("mobilenetv2_050", pretrained=False)
    photo, other = torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64) ** 3
    assert teacher.term(photo, photo) < 1e-4
    far = teacher.term(other.requires_grad_(), photo)
    assert 0 < far <= 1
    assert torch.autograd.grad(far, other)[0].abs().sum() > 0


def test_missing_weights_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing"):
        ObjectTeacher(weights=tmp_path / "nothing.safetensors")


def test_teachers_see_in_mixed_precision_what_they_see_in_full(taught):
    teacher, vgg = taught
    teacher.eval()
    picture, whole, label = grain(12, 5)[None], torch.ones(1, 1, 32, 48), torch.tensor([1])
    exact = Seen(vgg, picture)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        seen = Seen(vgg, picture)
    for name, features in seen.full.items():
        assert features.dtype == torch.float32  # Gram matrices are not made in half precision
        assert torch.equal(features, features.bfloat16().float())
        torch.testing.assert_close(
            features, exact.full[name], rtol=0.1, atol=0.1 * exact.full[name].std().item()
        )
    torch.testing.assert_close(
        teacher.term(seen, whole, label), teacher.term(exact, whole, label), rtol=0.1, atol=0.02
    )
