"""Photos of new styles as exemplars: how they are read, in which region, and how they are named."""

import itertools
import os
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

from tests.helpers import make_photo
from tests.styles.making import exemplars_of, half_mask, photo_of, save
from unistyle.errors import ImageError, StyleError
from unistyle.styles.exemplars import bank_of, exemplar_names, read_exemplar, read_exemplars, style_folders
from unistyle.styles.samples import swatch_of


def code_of(network, *photo):
    return swatch_of(network, *photo).codes[0]


def test_a_code_is_that_of_the_photo_in_its_region(network, tmp_path):
    path = photo_of(tmp_path, "a.png")
    photo, full = make_photo(72, 80), Image.new("L", (80, 72), 255)
    found, whole = (read_exemplar(network, "rust", path, whole=w) for w in (False, True))
    assert found.code.equal(code_of(network, photo)), "what is found"
    assert whole.code.equal(code_of(network, photo, full))
    assert not found.code.equal(whole.code)
    assert 0.02 < found.region.mean() < 0.98
    assert whole.region.equal(torch.ones(1, 1, 72, 80))
    save(half_mask((80, 72)), tmp_path / "a.mask.png")
    for given in (read_exemplar(network, "rust", path, whole=w) for w in (False, True)):
        assert given.code.equal(code_of(network, photo, half_mask((80, 72)))), "a mask comes first"
        assert given.region[..., :40].eq(1).all()
        assert given.region[..., 40:].eq(0).all()
    assert (given.style, given.path, given.image.shape) == ("rust", path, (1, 3, 72, 80))
    assert given.code.shape == (network.stylizer.code_size,)
    assert not any(tensor.requires_grad for tensor in (given.code, given.region, given.image))


def test_what_is_opaque_is_the_region(network, tmp_path):
    photo = make_photo(72, 80)
    photo.putalpha(half_mask((80, 72)))
    path = save(photo, tmp_path / "a.png")
    expected = code_of(network, make_photo(72, 80), half_mask((80, 72)))
    for whole in (False, True):
        assert read_exemplar(network, "rust", path, whole).code.equal(expected)
    upper = save(half_mask((72, 80)).transpose(Image.Transpose.ROTATE_90), tmp_path / "a.mask.png")
    masked = code_of(network, make_photo(72, 80), Image.open(upper))
    assert read_exemplar(network, "rust", path).code.equal(masked), "a mask comes first"


def test_large_photos_are_read_small(network, tmp_path):
    path = photo_of(tmp_path, "a.png", size=(300, 500))
    save(half_mask((500, 300)), tmp_path / "a.mask.png")
    for whole in (False, True):
        read = read_exemplar(network, "rust", path, whole)
        assert read.image.shape[-2:] == read.region.shape[-2:] == (154, 256)
    (tmp_path / "a.mask.png").unlink()
    assert read_exemplar(network, "rust", path).region.shape[-2:] == (154, 256), "what is found"


def test_a_mask_is_as_large_as_the_upright_photo(network, tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    lying = make_photo(72, 80)
    upright = lying.transpose(Image.Transpose.ROTATE_270)
    path = save(lying, tmp_path / "a.png", exif=exif)
    save(half_mask(upright.size), tmp_path / "a.mask.png")
    read = read_exemplar(network, "rust", path)
    assert read.image.shape[-2:] == (80, 72)
    assert read.code.equal(code_of(network, upright, half_mask(upright.size)))
    save(half_mask(lying.size), tmp_path / "a.mask.png")
    with pytest.raises(
        ImageError, match=r"a.mask.png: size \(80, 72\) for a photo of \(72, 80\); wanted the same"
    ):
        read_exemplar(network, "rust", path)


@pytest.mark.parametrize("size", [(63, 200), (200, 63), (1, 1)])
def test_photos_too_small_to_show_a_texture(network, tmp_path, size):
    path = photo_of(tmp_path, "a.png", size=size)
    with pytest.raises(
        ImageError, match=rf"a.png: {size[1]}x{size[0]} pixels; wanted 64 or more on each side"
    ):
        read_exemplar(network, "rust", path)


def test_the_smallest_photos_and_the_plainest(network, tmp_path):
    images = {
        "small": make_photo(64, 64),
        "long": make_photo(64, 510),
        "grey": Image.new("L", (90, 90), 128),
    }
    for name, image in images.items():
        for whole in (False, True):
            read = read_exemplar(network, "rust", save(image, tmp_path / f"{name}.png"), whole)
            assert read.code.isfinite().all(), name


@pytest.mark.parametrize("size", [(64, 2000), (2000, 64)])
def test_photos_too_long_and_thin_for_the_network(network, tmp_path, size):
    seen = "8x256" if size[0] > size[1] else "256x8"
    with pytest.raises(ImageError, match=rf"a.png: too long and thin, it is read at {seen} pixels; cut it"):
        read_exemplar(network, "rust", photo_of(tmp_path, "a.png", size=size))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a.jpg: the file is empty"),
        (b"a list of photos\n", "a.jpg: cannot be read as an image: .*starts with b'a list of photos"),
        (None, "a.jpg: cannot be read as an image: (?i:.*truncated)"),
    ],
)
def test_files_that_are_no_photos(network, tmp_path, content, message):
    path = photo_of(tmp_path, "a.jpg")
    path.write_bytes(path.read_bytes()[:-900] if content is None else content)
    with pytest.raises(ImageError, match=message):
        read_exemplar(network, "rust", path)


def test_unusable_masks(network, tmp_path):
    path, mask = photo_of(tmp_path, "a.png"), tmp_path / "a.mask.png"
    mask.write_bytes(b"else")
    with pytest.raises(ImageError, match=r"a.mask.png: cannot be read as an image"):
        read_exemplar(network, "rust", path)
    save(half_mask((72, 80)), mask)
    with pytest.raises(
        ImageError, match=r"a.mask.png: size \(72, 80\) for a photo of \(80, 72\); wanted the same"
    ):
        read_exemplar(network, "rust", path)
    for image in (Image.new("L", (80, 72)), Image.new("RGBA", (80, 72), (255, 255, 255, 0))):
        save(image, mask)
        with pytest.raises(ImageError, match=r"a.png: its mask .* covers 0.0 % of it; wanted 2 % or more"):
            read_exemplar(network, "rust", path, whole=True)
    mask.unlink()
    photo = make_photo(72, 80)
    photo.putalpha(0)
    with pytest.raises(ImageError, match=r"what is opaque covers 0.0 % of it"):
        read_exemplar(network, "rust", save(photo, path))


def test_a_picture_of_labels_is_no_mask(network, tmp_path):
    path = photo_of(tmp_path, "a.png")
    save(half_mask((80, 72)).point(lambda value: value // 255), tmp_path / "a.mask.png")
    with pytest.raises(ImageError, match=r"a.mask.png: the mask is all but black: values 0 to 1 of 255"):
        read_exemplar(network, "rust", path)


@pytest.mark.parametrize(
    ("photo", "mask"),
    [
        ("a.png", "a.mask.tif"),
        ("a.png", "a.mask.PNG"),
        ("a.b.jpg", "a.b.mask.webp"),
        ("caf\u00e9.png", "cafe\u0301.mask.png"),
    ],
)
def test_a_mask_may_be_of_any_format_and_form(network, tmp_path, photo, mask):
    path = photo_of(tmp_path, photo)
    save(half_mask((80, 72)), tmp_path / mask)
    assert 0.4 < read_exemplar(network, "rust", path).region.mean() < 0.6


def test_exemplars_whose_names_look_alike_have_two_names():
    names = exemplar_names([("rust", Path("caf\u00e9.png")), ("rust", Path("cafe\u0301.png"))])
    assert names == (("rust", "caf\u00e9"), ("rust", "caf\u00e9-2"))


def test_a_name_as_long_as_a_file_system_takes(network, tmp_path):
    path = photo_of(tmp_path, "a" * 251 + ".png")
    assert read_exemplar(network, "rust", path).code.isfinite().all(), "no file can have its mask's name"


def test_one_broken_photo_among_good_ones(network, tmp_path):
    for style, seed in itertools.product(("felt", "rust"), range(3)):
        photo_of(tmp_path, style, f"{seed}.png", seed=seed)
    (tmp_path / "rust" / "1.png").write_bytes(b"else")
    calls = []
    found, problems = read_exemplars(
        network, style_folders(tmp_path), progress=lambda *call: calls.append(call)
    )
    read = {style: [e.path.name for e in exemplars] for style, exemplars in found.items()}
    assert read == {"felt": ["0.png", "1.png", "2.png"], "rust": ["0.png", "2.png"]}, "in their order"
    assert {e.style for e in found["rust"]} == {"rust"}
    assert len(problems) == 1
    assert problems[0].startswith(f"{tmp_path / 'rust' / '1.png'}: cannot be read as an image")
    assert calls == [(i, 6) for i in range(1, 7)]


def test_progress_is_told_while_photos_are_read(network, rust, monkeypatch):
    told = threading.Event()

    def read(network, style, path, whole):
        assert path.name == "0.png" or told.wait(30), "the first is done, and nobody was told"
        return read_exemplar(network, style, path, whole)

    monkeypatch.setattr("unistyle.styles.exemplars.read_exemplar", read)
    monkeypatch.setattr("unistyle.styles.exemplars.cores", lambda: 2)
    found, _ = read_exemplars(network, style_folders(rust), progress=lambda *_: told.set())
    assert len(found["rust"]) == 4


def test_a_style_without_a_usable_photo(network, tmp_path):
    photo_of(tmp_path, "felt", "a.png")
    photo_of(tmp_path, "rust", "b.png", size=(40, 40))
    photo_of(tmp_path, "rust", "c.png").write_bytes(b"")
    with pytest.raises(StyleError) as caught:
        read_exemplars(network, style_folders(tmp_path))
    first, *reasons = str(caught.value).splitlines()
    assert first.startswith("no usable photo for rust; give at least one")
    assert [reason.partition(": ")[2] for reason in reasons] == [
        "40x40 pixels; wanted 64 or more on each side, to show a texture",
        "the file is empty",
    ]


def test_photos_that_differ_in_their_ending_share_a_mask(network, tmp_path):
    for name in ("a.png", "a.bmp"):
        photo_of(tmp_path, "rust", name)
    save(half_mask((80, 72)), tmp_path / "rust" / "a.mask.png")
    found, _ = read_exemplars(network, style_folders(tmp_path))
    assert len(found["rust"]) == 2
    assert all(e.region.mean() == 0.5 for e in found["rust"])
    assert bank_of(found["rust"]).names == (("rust", "a"), ("rust", "a-2"))


def test_a_code_does_not_depend_on_the_photos_beside_it(network, tmp_path):
    photo_of(tmp_path, "rust", "a.png", size=(250, 300))
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        alone, _ = read_exemplars(network, style_folders(tmp_path))
        for seed in range(3):
            photo_of(tmp_path, "rust", f"b{seed}.png", seed=seed)
        among, _ = read_exemplars(network, style_folders(tmp_path))
    finally:
        torch.set_num_threads(threads)
    assert among["rust"][0].code.equal(alone["rust"][0].code)


def test_exemplars_are_named_after_their_files():
    stems = ["wall", "a/wall", "wall-2", "b/wall", "b:c,d=e*f", "猫", "  ", "b-c:d-e-f"]
    codes = exemplars_of(np.arange(2 * len(stems)).reshape(-1, 2))
    exemplars = [replace(e, path=Path(f"{stem}.png")) for stem, e in zip(stems, codes, strict=True)]
    other = replace(codes[0], style="felt", path=Path("wall.png"), code=torch.zeros(2))
    bank = bank_of([*exemplars, other])
    assert bank.names == (
        *(
            ("rust", n)
            for n in ("wall", "wall-2", "wall-2-2", "wall-3", "b-c-d-e-f", "猫", "photo", "b-c-d-e-f-2")
        ),
        ("felt", "wall"),
    )
    assert bank.codes.tolist() == [[2 * i, 2 * i + 1] for i in range(len(stems))] + [[0, 0]]


def test_names_that_are_no_text_become_text():
    (e,) = exemplars_of([[1.0]])
    assert bank_of([replace(e, path=Path(os.fsdecode(b"caf\xe9.png")))]).names == (("rust", "caf?"),)


def test_many_photos_of_one_name():
    exemplars = enumerate(exemplars_of(np.zeros((600, 1))))
    bank = bank_of([replace(e, path=Path(f"{i}/image.png")) for i, e in exemplars])
    assert [name for _, name in bank.names] == ["image", *(f"image-{i}" for i in range(2, 601))]
