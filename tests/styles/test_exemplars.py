"""New styles from folders of photos: which photos there are, how they are read, which of them stand for a style, and
the command that adds them."""

import itertools
import os
import re
import threading
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image
from safetensors.torch import load_file

from tests.helpers import make_photo
from unistyle import UniStyle
from unistyle.checkpoint.checkpoint import load_checkpoint
from unistyle.errors import ImageError, StyleError
from unistyle.styles.codes import encode_photo
from unistyle.styles.exemplars import (
    Exemplar,
    bank_of,
    choose,
    medoids,
    pick,
    read_exemplar,
    read_exemplars,
    style_folders,
)

ALL = 10**6  # numbers of a code: more than it has


def save(image: Image.Image, *path, **options) -> Path:
    path = Path(*path)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def photo_of(*path, seed: int = 0, size: tuple[int, int] = (72, 80)) -> Path:
    """A good style photo, of a (height, width)."""
    return save(make_photo(*size, seed), *path)


def half_mask(size: tuple[int, int]) -> Image.Image:
    """White on the left half, of a (width, height)."""
    mask = Image.new("L", size)
    mask.paste(255, (0, 0, size[0] // 2, size[1]))
    return mask


def names(styles: dict[str, list[Path]]) -> dict[str, list[str]]:
    return {style: [path.name for path in paths] for style, paths in styles.items()}


def exemplars_of(codes, style: str = "rust") -> list[Exemplar]:
    """Exemplars `0.png`, `1.png`, ... of given codes."""
    codes, none = torch.as_tensor(np.asarray(codes), dtype=torch.float32), torch.empty(0)
    return [Exemplar(style, Path(f"{i}.png"), none, none, code) for i, code in enumerate(codes)]


def chosen(codes, count: int, **options) -> list[int]:
    """Rows of the codes that are chosen."""
    return [int(e.path.stem) for e in choose(exemplars_of(codes), count, ALL, **options)]


def clusters(sizes: list[int], spread: float = 0.1, seed: int = 0) -> tuple[np.ndarray, list[int]]:
    """Points in 6 dimensions around far corners, shuffled, and the cluster of each."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    return 10 * np.eye(6)[labels] + rng.normal(0, spread, (len(labels), 6)), labels.tolist()


@pytest.fixture
def add(run, checkpoint, tmp_path):
    """Add the styles of a folder to the tiny checkpoint, as `out.safetensors`."""

    def call(folder, *options):
        return run("add", checkpoint, "--styles", folder, "--out", tmp_path / "out.safetensors", *options)

    return call


@pytest.fixture
def rust(tmp_path) -> Path:
    """A folder of one style, rust, with four photos."""
    for seed in range(4):
        photo_of(tmp_path / "styles", "rust", f"{seed}.png", seed=seed)
    return tmp_path / "styles"


def test_a_folder_a_style(tmp_path):
    for name in ("rust/b.png", "rust/a.jpg", "rust/deep/er/c.png", "old brick/wall.JPG", "もふもふ/猫.webp"):
        photo_of(tmp_path, name)
    (tmp_path / "rust" / "notes.txt").write_text("")
    assert names(style_folders(tmp_path)) == {
        "old brick": ["wall.JPG"],
        "rust": ["a.jpg", "b.png", "c.png"],
        "もふもふ": ["猫.webp"],
    }
    assert style_folders(str(tmp_path)) == style_folders(tmp_path)


def test_a_folder_without_photos_that_can_be_read_is_named(tmp_path):
    photo_of(tmp_path, "felt", "a.png")
    (tmp_path / "empty").mkdir()
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.cr2").write_bytes(b"raw")
    save(half_mask((80, 72)), tmp_path / "masks" / "a.mask.png")
    wanted = ", ".join(str(tmp_path / name) for name in ("empty", "masks", "raw"))
    with pytest.raises(
        StyleError, match=re.escape(f"no photos that can be read in {wanted}: put photos there")
    ):
        style_folders(tmp_path)


def test_photos_alone_are_one_style_named_after_their_folder(tmp_path, monkeypatch):
    for name in ("b.png", "a.png"):
        photo_of(tmp_path, "rust", name)
    assert names(style_folders(tmp_path / "rust")) == {"rust": ["a.png", "b.png"]}
    (tmp_path / "rust" / ".empty").mkdir()
    monkeypatch.chdir(tmp_path / "rust")
    for folder in (".", "../rust", "../rust/", ".empty/.."):
        assert names(style_folders(folder)) == {"rust": ["a.png", "b.png"]}, folder
        assert all(path.is_file() for path in style_folders(folder)["rust"])
    monkeypatch.chdir(tmp_path)
    assert names(style_folders(".")) == {"rust": ["a.png", "b.png"]}, "here a folder a style"


def test_photos_beside_folders_are_refused(tmp_path):
    for name in ("loose.png", "rust/a.png", "felt/b.png"):
        photo_of(tmp_path, name)
    with pytest.raises(
        StyleError, match=r"photos \(loose.png\) beside folders \(felt, rust\): move the photos"
    ):
        style_folders(tmp_path)


def test_hidden_files_and_masks_are_no_photos(tmp_path):
    for name in ("rust/a.png", "rust/.b.png", ".felt/c.png", "rust/.cache/d.png"):
        photo_of(tmp_path, name)
    save(half_mask((80, 72)), tmp_path / "rust" / "a.mask.png")
    assert names(style_folders(tmp_path)) == {"rust": ["a.png"]}


def test_folders_without_photos(tmp_path):
    save(half_mask((80, 72)), tmp_path / "masks" / "a.mask.png")
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(StyleError, match="holds no photos; give a folder with a folder a style"):
        style_folders(tmp_path)
    for path in (tmp_path / "none", tmp_path / "notes.txt"):
        with pytest.raises(StyleError, match=f"no folder {path}; give one with a folder a style"):
            style_folders(path)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a,b", "',' means"),
        ("a=b", "'=' means"),
        (" rust", "starts or ends with a space"),
        ("a\nb", "cannot be typed"),
        (os.fsdecode(b"caf\xe9"), "its name is not UTF-8"),
    ],
)
def test_folders_whose_name_no_style_can_have(tmp_path, name, reason):
    photo_of(tmp_path, "styles", "felt", "a.png")
    try:
        photo_of(tmp_path, "styles", name, "a.png")
    except (OSError, UnicodeError):
        pytest.skip("nor a folder of this file system")
    for folder in (tmp_path / "styles", tmp_path / "styles" / name):
        with pytest.raises(StyleError, match=re.escape(str(tmp_path / "styles" / name)) + f": .*{reason}"):
            style_folders(folder)


def test_a_code_is_that_of_the_photo_in_its_region(network, tmp_path):
    path = photo_of(tmp_path, "a.png")
    photo, full = make_photo(72, 80), Image.new("L", (80, 72), 255)
    found, whole = (read_exemplar(network, "rust", path, whole=w) for w in (False, True))
    assert found.code.equal(encode_photo(network, photo)), "what is found"
    assert whole.code.equal(encode_photo(network, photo, full))
    assert not found.code.equal(whole.code)
    assert 0.02 < found.region.mean() < 0.98
    assert whole.region.equal(torch.ones(1, 1, 72, 80))
    save(half_mask((80, 72)), tmp_path / "a.mask.png")
    for given in (read_exemplar(network, "rust", path, whole=w) for w in (False, True)):
        assert given.code.equal(encode_photo(network, photo, half_mask((80, 72)))), "a mask comes first"
        assert given.region[..., :40].eq(1).all()
        assert given.region[..., 40:].eq(0).all()
    assert (given.style, given.path, given.image.shape) == ("rust", path, (1, 3, 72, 80))
    assert given.code.shape == (network.stylizer.code_size,)
    assert not any(tensor.requires_grad for tensor in (given.code, given.region, given.image))


def test_what_is_opaque_is_the_region(network, tmp_path):
    photo = make_photo(72, 80)
    photo.putalpha(half_mask((80, 72)))
    path = save(photo, tmp_path / "a.png")
    expected = encode_photo(network, make_photo(72, 80), half_mask((80, 72)))
    for whole in (False, True):
        assert read_exemplar(network, "rust", path, whole).code.equal(expected)
    upper = save(half_mask((72, 80)).transpose(Image.Transpose.ROTATE_90), tmp_path / "a.mask.png")
    masked = encode_photo(network, make_photo(72, 80), Image.open(upper))
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
    assert read.code.equal(encode_photo(network, upright, half_mask(upright.size)))
    save(half_mask(lying.size), tmp_path / "a.mask.png")
    with pytest.raises(
        ImageError, match=r"a.mask.png: size \(80, 72\) for a photo of \(72, 80\); wanted the same"
    ):
        read_exemplar(network, "rust", path)


@pytest.mark.parametrize("size", [(63, 200), (200, 63), (1, 1)])
def test_photos_too_small_to_show_a_texture(network, tmp_path, size):
    path = photo_of(tmp_path, "a.png", size=size)
    with pytest.raises(ImageError, match=rf"a.png: {size[1]}x{size[0]} pixels; wanted 64 a side or more"):
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
    assert first.startswith("no usable photo for rust; give one at least")
    assert [reason.partition(": ")[2] for reason in reasons] == [
        "40x40 pixels; wanted 64 a side or more to show a texture",
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


def test_count_photos_are_chosen_or_all():
    codes = np.random.default_rng(0).normal(size=(12, 6))
    for count in (1, 2, 3, 8, 11):
        rows = chosen(codes, count)
        assert 1 <= len(rows) <= count
        assert len(set(rows)) == len(rows)
    assert len(chosen(codes, 3)) == 3
    for count in (12, 13, 100):
        assert chosen(codes, count) == list(range(12)), "all, in their order"
    assert chosen(codes[:1], 1) == [0]


def test_the_choice_is_always_the_same():
    codes = np.random.default_rng(1).normal(size=(20, 6))
    state = np.random.get_state()[1].copy()  # noqa: NPY002  (that it is left alone)
    first = chosen(codes, 3)
    assert all(chosen(codes, 3) == first for _ in range(3))
    assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    assert chosen(codes * 7 + 3, 3) == first, "whatever the scale of the numbers"


def test_one_of_each_of_two_kinds():
    for seed, sizes in enumerate([[6, 6], [5, 5], [7, 5], [20, 20]]):
        codes, kinds = clusters(sizes, seed=seed)
        assert sorted(kinds[row] for row in chosen(codes, 2)) == [0, 1], sizes


def test_a_photo_of_something_else_is_never_chosen():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        codes = rng.normal(size=(10, 6))
        odd = int(rng.integers(10))
        codes[odd] += 50 * rng.normal(size=6)
        for count in (1, 2, 3):
            assert odd not in chosen(codes, count, seed=seed), (seed, count)


def test_the_moments_alone_decide():
    codes, kinds = clusters([6, 6])
    noisy = np.hstack([codes, 1000 * np.random.default_rng(0).normal(size=(12, 4))])
    rows = [int(e.path.stem) for e in choose(exemplars_of(noisy), 2, 6)]
    assert rows == chosen(codes, 2)
    assert sorted(kinds[row] for row in rows) == [0, 1]


def test_large_numbers_count_as_much_as_small_ones():
    for seed in range(5):
        codes, kinds = clusters([6, 6], seed=seed)
        loud = 1000 * np.random.default_rng(seed).normal(size=(12, 1))
        rows = chosen(np.hstack([codes[:, :1], codes[:, 1:2], codes[:, :1] / 7, loud]), 2)
        assert sorted(kinds[row] for row in rows) == [0, 1], seed


def test_equal_photos_are_chosen_once():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(chosen(np.full((6, 4), 0.1), 3)) == 1
        assert len(chosen(np.zeros((6, 4)), 5)) == 1
        two = chosen(np.repeat([[0.0, 1], [1, 0]], 4, axis=0), 3)
        assert sorted(row // 4 for row in two) == [0, 1]
        assert chosen(np.zeros((2, 4)), 2) == [0, 1], "all, as there are no more"


def test_numbers_that_never_differ_do_not_count():
    codes, _ = clusters([6, 6])
    constant = np.broadcast_to([0.1, 0.0, 3e3], (12, 3))
    for count in (2, 3):
        assert chosen(np.hstack([codes, constant]), count) == chosen(codes, count)
    assert len(chosen(np.repeat(constant, 100, axis=1), 3)) == 1, (
        "nor do they give the files' order a meaning"
    )


def test_rounding_errors_do_not_count():
    for seed in range(5):
        codes, kinds = clusters([6, 6], seed=seed)
        flicker = 0.1 + 1e-8 * np.random.default_rng(seed).choice([-1, 1], (12, 1)).repeat(300, axis=1)
        assert sorted(kinds[row] for row in chosen(np.hstack([codes, flicker]), 2)) == [0, 1], seed


@pytest.mark.parametrize("sizes", [[4], [5, 3], [3, 5, 3], [3, 3, 4, 3]])
def test_medoids_are_those_of_every_possible_choice(sizes):
    for seed in range(5):
        points, _ = clusters(sizes, seed=seed)
        distance = ((points[:, None] - points[None]) ** 2).sum(-1)
        # The mean square distance to a point is that to the mean and a constant: the best points are the nearest.
        best = min(
            itertools.combinations(range(len(points)), len(sizes)),
            key=lambda rows: distance[list(rows)].min(0).sum(),
        )
        rows = medoids(points, len(sizes), seed)
        assert sorted(rows) == sorted(best), (sizes, seed)


def test_clear_clusters_are_found_with_any_seed():
    points, labels = clusters([9, 9, 9])
    assert all({labels[i] for i in medoids(points, 3, seed)} == {0, 1, 2} for seed in range(20))


def test_medoids_say_nothing():
    rng = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for seed in range(100):
            points = rng.integers(0, 3, (int(rng.integers(1, 12)), 2)).astype(float)
            count = int(rng.integers(1, 6))
            rows = medoids(points, count, seed)
            assert 1 <= len(rows) <= count
            assert len({tuple(points[row]) for row in rows}) == len(rows), "equal points count once"
            near = 1e6 + rng.normal(0, 1e-8, (9, 6))  # as far apart as rounding errors: clusters run empty
            assert 1 <= len(medoids(near, 4, seed)) <= 4


def test_every_style_gets_its_exemplars(network):
    codes = torch.randn(9, network.stylizer.code_size, generator=torch.Generator().manual_seed(0))
    found = {"felt": exemplars_of(codes[:7], "felt"), "rust": exemplars_of(codes[7:])}
    picked = pick(network, found, 3)
    assert [e.style for e in picked] == ["felt"] * 3 + ["rust"] * 2
    assert picked[:3] == choose(found["felt"], 3, network.stylizer.code_sizes[0])


def test_exemplars_are_named_after_their_files():
    stems = ["wall", "a/wall", "wall-2", "b/wall", "b:c,d=e*f", "猫", "  ", "b-c:d-e-f"]
    codes = exemplars_of(np.arange(2 * len(stems)).reshape(-1, 2))
    exemplars = [replace(e, path=Path(f"{stem}.png")) for stem, e in zip(stems, codes, strict=True)]
    other = Exemplar("felt", Path("wall.png"), *(torch.zeros(2) for _ in range(3)))
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


def test_a_style_is_added_and_used(add, rust, checkpoint, tmp_path):
    out = tmp_path / "out.safetensors"
    code, printed, _ = add(rust)
    bank = load_checkpoint(out).bank
    new = [name for name in bank.names if name[0] == "rust"]
    assert code == 0
    assert (
        printed == f"added {', '.join('/'.join(n) for n in new)} (of 4 photos, 0 with masks); "
        f"3 styles with {3 + len(new)} exemplars in {out}\n"
    )
    assert bank.styles == ["stone", "metal", "rust"]
    assert 1 <= len(new) <= 3
    photo = make_photo()
    model = UniStyle.from_pretrained(out, device="cpu")
    assert np.asarray(model.restyle(photo, "rust").image).shape == np.asarray(photo).shape
    assert not np.array_equal(np.asarray(model.restyle(photo, "rust").image), np.asarray(photo))


def test_all_else_stays_as_it_was(add, rust, checkpoint, tmp_path):
    assert add(rust)[0] == 0
    before, after = load_file(checkpoint), load_file(tmp_path / "out.safetensors")
    assert before.keys() == after.keys()
    for name in before.keys() - {"bank.codes"}:
        assert after[name].dtype == before[name].dtype, name
        assert after[name].equal(before[name]), name
    assert after["bank.codes"][:3].equal(before["bank.codes"])
    old, new = load_checkpoint(checkpoint), load_checkpoint(tmp_path / "out.safetensors")
    assert (new.bank.names[:3], new.notes) == (old.bank.names, old.notes)
    assert new.network.config == old.network.config


def test_exemplars_asked_for(add, rust, tmp_path):
    for count in (1, 4, 9):
        assert add(rust, "--exemplars", count)[0] == 0
        bank = load_checkpoint(tmp_path / "out.safetensors").bank
        assert len(bank.rows("rust")) == min(count, 4)
    code, _, errors = add(rust, "--exemplars", "0")
    assert (code, "wanted a whole number from 1 up" in errors) == (2, True)


def test_a_broken_photo_is_named_and_the_rest_added(add, rust, tmp_path):
    (rust / "rust" / "2.png").write_bytes(b"else")
    save(half_mask((80, 72)), rust / "rust" / "3.mask.png")
    code, printed, errors = add(rust)
    assert code == 1
    assert printed.startswith("added rust/0, rust/1, rust/3 (of 3 photos, 1 with masks); ")
    assert f"not used: {rust / 'rust' / '2.png'}: cannot be read as an image" in errors
    assert (tmp_path / "out.safetensors").is_file()


def test_nothing_is_written_where_a_style_has_no_usable_photo(add, rust, tmp_path):
    photo_of(rust, "felt", "small.png", size=(20, 20))
    code, printed, errors = add(rust)
    assert (code, printed) == (2, "")
    assert "no usable photo for felt; give one at least" in errors
    assert f"{rust / 'felt' / 'small.png'}: 20x20 pixels; wanted 64 a side or more" in errors
    assert not (tmp_path / "out.safetensors").exists()


def test_a_name_that_is_taken(add, rust, checkpoint, tmp_path):
    out = tmp_path / "out.safetensors"
    (rust / "rust").rename(rust / "stone")
    code, printed, errors = add(rust)
    assert (code, printed, out.exists()) == (2, "", False)
    assert "the bank has other styles of the name 'stone'; rename them" in errors
    code, printed, _ = add(rust, "--replace", "--exemplars", 1)
    assert (code, printed.startswith("added stone/")) == (0, True)
    bank = load_checkpoint(out).bank
    assert len(bank.rows("stone")) == 1
    assert not bank.rows("stone/quarry")


def test_the_same_folder_twice(add, run, rust, tmp_path):
    out = tmp_path / "out.safetensors"
    assert add(rust)[0] == 0
    once = load_checkpoint(out).bank
    code, printed, _ = run("add", out, "--styles", rust, "--out", out)
    assert (code, printed.partition(" (")[0]) == (0, "added nothing, as all of it was there")
    twice = load_checkpoint(out).bank
    assert twice.names == once.names, "written onto its input"
    assert twice.codes.equal(once.codes)


def test_a_photo_more_joins_a_style_of_few(run, add, rust, tmp_path):
    out = tmp_path / "out.safetensors"
    for seed in (1, 2, 3):
        (rust / "rust" / f"{seed}.png").rename(tmp_path / f"{seed}.png")
    assert add(rust)[0] == 0
    (tmp_path / "2.png").rename(rust / "rust" / "2.png")
    code, printed, _ = run("add", out, "--styles", rust, "--out", out)
    assert (code, printed.partition(";")[0]) == (0, "added rust/2 (of 2 photos, 0 with masks)")


def test_whole_photos_or_what_is_found(add, rust, tmp_path):
    codes = []
    for options in ([], ["--whole"]):
        assert add(rust, "--exemplars", 4, *options)[0] == 0
        bank = load_checkpoint(tmp_path / "out.safetensors").bank
        codes.append(bank.codes[bank.rows("rust")])
    assert not any(found.equal(whole) for found, whole in zip(*codes, strict=True))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        ([], "holds no photos"),
        (["loose.png", "rust/a.png"], "beside folders (rust)"),
        (["a,b/a.png"], "cannot be the name of a style: ',' means"),
    ],
)
def test_folders_that_no_style_is_made_of(add, tmp_path, make, message):
    (tmp_path / "bad").mkdir()
    for name in make:
        photo_of(tmp_path, "bad", name)
    code, printed, errors = add(tmp_path / "bad")
    assert (code, printed) == (2, "")
    assert message in errors
    assert "style photos" not in errors, "before any photo is read"
    assert not (tmp_path / "out.safetensors").exists()
