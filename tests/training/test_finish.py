"""From trained weights to a checkpoint: which photos become exemplars, and how they are named."""

from types import SimpleNamespace

import torch
from PIL import Image

from unistyle.data.labelled import LabelledPhoto
from unistyle.training.finish import sure_photos


def test_exemplars_are_sure_and_differ(tmp_path):
    class ColourNetwork:
        """The code of a photo is its colour; the brighter it is, the surer the material."""

        stylizer = SimpleNamespace(code_sizes=(3, 0), encode=lambda features, region: features)

        def find(self, image):
            colour = image.mean((-2, -1))[:, None]
            return colour, torch.stack([colour.mean(-1) * k for k in (0, 0, 9, 0)], dim=1)[..., None].expand(
                1, 4, 8, 8
            )

    greys = [5 * i for i in range(20)]
    photos = [LabelledPhoto(tmp_path / f"{i}.png", label=1) for i in greys]
    for photo, grey in zip(photos, greys, strict=True):
        Image.new("RGB", (32, 32), (grey,) * 3).save(photo.path)
    chosen = [photos.index(p) for p in sure_photos(ColourNetwork(), photos, 2, (32, 32))]
    assert len(set(chosen)) == 2
    assert min(chosen) >= 15
    assert sure_photos(ColourNetwork(), photos[:2], 2, (32, 32)) == photos[:2]
