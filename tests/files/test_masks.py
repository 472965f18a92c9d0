"""Masks as people have them, and pictures of labels, which only look like masks."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers import make_photo
from unistyle import UniStyle
from unistyle.commands import infer
from unistyle.errors import ImageError
from unistyle.files.masks import usable_mask

VOC = [
    0,
    0,
    0,
    128,
    0,
    0,
    0,
    128,
    0,
    128,
    128,
    0,
    *[0] * (251 * 3),
    224,
    224,
    192,
]  # its palette, the first labels


def labels(*values: int) -> np.ndarray:
    """Strips of labels, beginning with 0."""
    return np.repeat(np.array([0, *values], np.uint8), 10)[None].repeat(40, 0)


def indexed(values: np.ndarray, palette: list[int]) -> Image.Image:
    image = Image.fromarray(values, "P")
    image.putpalette(palette)
    return image


def colored() -> Image.Image:
    return Image.fromarray(np.stack([labels(255), labels(0), labels(0)], -1))


LABELS = {
    "0 and 1": (Image.fromarray(labels(1)), "all but black: values 0 to 1 of 255"),
    "classes": (Image.fromarray(labels(1, 2, 9)), "values 0 to 9 of 255"),
    "classes with what has none": (Image.fromarray(labels(3, 15, 15, 15, 255)), "values 0 to 15 of 255"),
    "0 and 1 in colour": (Image.fromarray(labels(1)).convert("RGB"), "values 0 to 1 of 255"),
    "0 and 1 with alpha": (Image.fromarray(labels(1)).convert("LA"), "values 0 to 1 of 255"),
    "palette of VOC": (indexed(labels(1, 2, 255), VOC), "in colours, as pictures of labels are, such as (128, 0, 0)"),
    "red on black": (colored(), "in colours"),
    "16 bits": (Image.fromarray(labels(1).astype(np.uint16)), "values 0 to 1 of 65535"),
    "8 bits in 16": (Image.fromarray(labels(100).astype(np.uint16)), "values 0 to 100 of 65535"),
}  # fmt: skip


@pytest.mark.parametrize("name", LABELS)
def test_pictures_of_labels_are_refused_with_what_is_wanted(tmp_path, name):
    image, message = LABELS[name]
    image.save(tmp_path / "mask.png")
    with pytest.raises(ImageError) as error:
        usable_mask(tmp_path / "mask.png")
    assert str(error.value).startswith(f"{tmp_path / 'mask.png'}: the mask is ")
    assert message in str(error.value)
    assert "wanted white (255)" in str(error.value)


SOFT = np.linspace(0, 30, 40 * 20).reshape(40, 20).astype(np.uint8)
MASKS = {
    "black and white": Image.fromarray(labels(255)),
    "1 bit": Image.fromarray(labels(255)).convert("1"),
    "black": Image.fromarray(labels(0)),
    "half": Image.fromarray(labels(127)),
    "soft and faint": Image.fromarray(SOFT),
    "soft edge": Image.fromarray(labels(1, 2, 255, 255, 255)),
    "black and white with a palette": indexed(labels(1), [0, 0, 0, 255, 255, 255]),
    "grey palette": Image.fromarray(labels(255, 90)).convert("P"),
    "16 bits": Image.fromarray(labels(255).astype(np.uint16) * 257),
    "transparent": Image.merge("LA", [Image.new("L", (20, 40), 255), Image.fromarray(labels(255))]),
    "colours under transparency": Image.merge("RGBA", [*Image.new("RGB", (20, 40), "red").split(),
                                                       Image.new("L", (20, 40), 0)]),
}  # fmt: skip


@pytest.mark.parametrize("name", MASKS)
def test_masks_of_every_sort_are_taken(tmp_path, name):
    MASKS[name].save(tmp_path / "mask.png")
    mask = usable_mask(tmp_path / "mask.png")
    assert mask.mode == "L"
    if name not in ("half", "soft and faint", "black", "grey palette", "colours under transparency"):
        assert mask.getextrema() == (0, 255)


def test_a_grey_jpeg_in_colour_is_a_mask(tmp_path):
    Image.fromarray(labels(255)).convert("RGB").save(tmp_path / "mask.jpg", quality=60)
    assert usable_mask(str(tmp_path / "mask.jpg")).getextrema()[1] > 250


@pytest.mark.parametrize("given", ["file", "folder", "beside"])
def test_the_command_says_which_mask_cannot_be_used(checkpoint, tmp_path, capsys, given):
    photos, masks = tmp_path / "photos", tmp_path / ("photos" if given == "beside" else "masks")
    for folder in (photos, masks):
        folder.mkdir(exist_ok=True)
    make_photo(40, 20).save(photos / "a.png")
    mask = masks / ("a.mask.png" if given == "beside" else "a.png")
    Image.fromarray(labels(1)).save(mask)
    more = [] if given == "beside" else ["--mask", str(mask if given == "file" else masks)]
    command = [
        str(photos),
        *more,
        "--to",
        "stone",
        "--out",
        str(tmp_path / "o"),
        "--checkpoint",
        str(checkpoint),
    ]
    assert infer.main([*command, "--device", "cpu"]) == 1
    errors = capsys.readouterr().err
    assert f"{mask}: the mask is all but black: values 0 to 1 of 255" in errors
    assert not Path(tmp_path / "o" / "a.png").exists()


def test_masks_in_memory_are_looked_at_too(checkpoint):
    model = UniStyle.from_pretrained(checkpoint, device="cpu")
    for image in (Image.fromarray(labels(1)), indexed(labels(1, 2), VOC)):
        with pytest.raises(ImageError, match="the mask is"):
            model.restyle(make_photo(40, image.width), "stone", mask=image)
