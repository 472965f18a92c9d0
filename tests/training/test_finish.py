"""From trained weights to a checkpoint: which photos become exemplars, and how they are named."""

import torch

from tests.helpers import make_photo
from unistyle.data.labelled import LabelledPhoto
from unistyle.network.encoder import Encoder, EncoderConfig
from unistyle.teachers.classifier import MaterialClassifier
from unistyle.training.finish import other_photos, shown_photos


def photos_of(folder, labels):
    """A photo for each label."""
    photos = [LabelledPhoto(folder / f"{i}.png", label=label) for i, label in enumerate(labels)]
    for i, photo in enumerate(photos):
        make_photo(40, 40, i).save(photo.path)
    return photos


def test_exemplars_are_those_whose_results_show_the_material_and_differ(network, tmp_path):
    photos, asked = photos_of(tmp_path, [1] * 24), []
    contents = torch.rand(2, 3, 32, 32), torch.ones(2, 1, 32, 32)

    def judge(images, regions):
        """The results of photos 5, 11 and 17 show the material, and no other's."""
        assert images.shape == (2, 3, 32, 32)
        assert regions is contents[1]
        asked.append(images)
        shown = 0.0 if len(asked) - 1 in (5, 11, 17) else -3.0
        return torch.tensor([[-1.0, shown]] * 2)

    chosen, swatches = shown_photos(network, photos, 2, contents, judge, 1, lambda photo: None)
    rows = [photos.index(photo) for photo in chosen]
    assert len(asked) == 24
    assert len(set(rows)) == 2
    assert set(rows) < {5, 11, 17}
    assert not torch.equal(*(swatch.codes for swatch in swatches))
    assert (asked[0] - asked[1]).abs().max() > 0  # each was tried
    assert shown_photos(network, photos[:2], 2, contents, judge, 1, lambda photo: None)[0] == photos[:2]


def test_a_style_is_tried_on_photos_of_other_materials(tmp_path):
    photos = photos_of(tmp_path, [0] * 3 + [1] * 9 + [2] * 2)
    for label, others in ((0, {1, 2}), (1, {0, 2}), (2, {0, 1})):
        tried = other_photos(photos, label)
        assert len(set(tried)) == 4
        assert {photo.label for photo in tried} == others
        assert tried == other_photos(photos, label)
    assert len(other_photos(photos[9:], 1)) == 2  # there are no more


def test_a_classifier_is_where_its_encoder_is():
    encoder = Encoder(EncoderConfig(pretrained=False)).to("meta")
    assert MaterialClassifier(encoder, ("wood", "stone")).head.weight.device == torch.device("meta")


def test_a_classifier_sees_a_region_alone():
    torch.manual_seed(0)
    model = MaterialClassifier(Encoder(EncoderConfig(pretrained=False)), ("wood", "stone")).eval()
    image = torch.rand(1, 3, 128, 128)
    left = torch.zeros(1, 1, 128, 128)
    left[..., :64] = 1
    with torch.inference_mode():
        levels = model.encoder(image)
        torch.testing.assert_close(model(image, torch.ones_like(left)), model(image))
        torch.testing.assert_close(
            model.pooled(levels, left), model.pooled([f[..., : f.shape[-1] // 2] for f in levels])
        )
