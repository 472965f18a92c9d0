"""The public class: what comes out fits what went in."""

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers import make_photo
from unistyle import UniStyle
from unistyle.errors import ImageError, UnknownNameError
from unistyle.files.photos import photo_from_pil
from unistyle.restyle.plan import Plan
from unistyle.styles.codes import nearest


@pytest.fixture(scope="module")
def model(checkpoint) -> UniStyle:
    return UniStyle.from_pretrained(checkpoint, device="cpu")


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


def half_mask(size: tuple[int, int]) -> Image.Image:
    """White on the left half."""
    mask = Image.new("L", size, 0)
    mask.paste(255, (0, 0, size[0] // 2, size[1]))
    return mask


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (31, 33), (47, 65), (200, 150)])
def test_any_size_comes_back(model, size):
    result = model.restyle(make_photo(*size), to="stone")
    assert result.image.size == result.mask.size == (size[1], size[0])
    assert (result.image.mode, result.mask.mode) == ("RGB", "L")


@pytest.mark.parametrize("max_size", [None, 200])
@pytest.mark.parametrize("color", ["style", "keep"])
def test_outside_of_the_predicted_mask_nothing_changes(model, max_size, color):
    photo = make_photo(300, 240)
    result = model.restyle(photo, to="stone", max_size=max_size, color=color)
    outside = pixels(result.mask) == 0
    changed = (pixels(result.image) != pixels(photo)).any(-1)
    assert 0.01 < outside.mean() < 0.99, "the mask should decide something"
    assert not changed[outside].any()
    assert changed[pixels(result.mask) == 255].mean() > 0.9


@pytest.mark.parametrize("max_size", [None, 40])
def test_given_mask_is_kept_to_the_bit(model, max_size):
    photo = make_photo(60, 90)
    mask = half_mask(photo.size)
    result = model.restyle(photo, to="metal", mask=mask, max_size=max_size)
    np.testing.assert_array_equal(pixels(result.mask), pixels(mask))
    changed = (pixels(result.image) != pixels(photo)).any(-1)
    assert not changed[:, 45:].any()
    assert changed[:, :45].mean() > 0.9
    assert result.styles == {"*": "metal/plate"}


def test_transparent_parts_stay_and_have_no_say(model):
    """Colours under full transparency come back as they were and change nothing anywhere else."""
    photo, other = make_photo(64, 96), make_photo(64, 96, seed=7)
    opacity = half_mask(photo.size)
    other.paste(photo, mask=opacity)
    for image in (photo, other):
        image.putalpha(opacity)
    for options in ({}, {"mask": Image.new("L", photo.size, 255)}, {"max_size": 48}):
        results = [model.restyle(image, to="metal", **options) for image in (photo, other)]
        for image, result in zip((photo, other), results, strict=True):
            np.testing.assert_array_equal(pixels(result.image)[..., 3], pixels(opacity))
            np.testing.assert_array_equal(pixels(result.image)[:, 48:], pixels(image)[:, 48:])
            assert not pixels(result.mask)[:, 48:].any()
        np.testing.assert_array_equal(*(pixels(result.image)[:, :48] for result in results))


def test_half_opaque_edges_are_restyled_and_keep_their_opacity(model):
    photo = make_photo(40, 40)
    photo.putalpha(128)
    result = model.restyle(photo, to="metal", mask=Image.new("L", photo.size, 255))
    assert (pixels(result.image)[..., 3] == 128).all()
    assert (pixels(result.image) != pixels(photo)).any(-1).mean() > 0.9


def test_strength_goes_from_the_photo_to_the_style(model):
    photo = make_photo()
    mask = Image.new("L", photo.size, 255)
    zero, half, full = (pixels(model.restyle(photo, "stone", mask, strength=s).image) for s in (0, 0.5, 1))
    np.testing.assert_array_equal(zero, pixels(photo))
    assert np.abs(half - (zero + full) / 2).max() <= 1


def test_color_keep_changes_lightness_alone(model):
    photo = Image.new("RGB", (48, 48), (120, 128, 136))
    image = pixels(model.restyle(photo, "stone", Image.new("L", photo.size, 255), color="keep").image)
    unclipped = ((image > 0) & (image < 255)).all(-1)
    assert unclipped.mean() > 0.5
    differences = np.stack([image[..., 1] - image[..., 0], image[..., 2] - image[..., 1]], -1)[unclipped]
    assert np.abs(differences - 8).max() <= 1


def test_batch_of_two_equals_two_batches_of_one(model):
    photos = [make_photo(seed=1), make_photo(seed=2)]
    masks = [half_mask(photos[0].size), Image.new("L", photos[0].size, 255)]
    for given in (None, masks):
        together = model.restyle_batch(photos, "stone", given)
        for i, result in enumerate(together):
            alone = model.restyle(photos[i], "stone", None if given is None else given[i])
            assert np.abs(pixels(result.image) - pixels(alone.image)).max() <= 1
            assert np.abs(pixels(result.mask) - pixels(alone.mask)).max() <= 1
            assert result.styles == alone.styles


def test_the_caller_s_photo_and_the_random_state_are_left_alone(model):
    photo, state = make_photo(), torch.random.get_rng_state()
    before = pixels(photo)
    first = model.restyle(photo, "stone")
    assert (torch.random.get_rng_state() == state).all()
    np.testing.assert_array_equal(pixels(photo), before)
    np.testing.assert_array_equal(pixels(model.restyle(photo, "stone").image), pixels(first.image))


def test_nearest_exemplar_is_chosen_and_named(model):
    """A photo that is an exemplar picks itself; one exemplar by name is taken as it is."""
    for seed, name in ((10, "stone/quarry"), (11, "stone/wall")):
        photo = make_photo(64, 64, seed)
        mask = Image.new("L", photo.size, 255)
        codes = model.network.encode_style(torch.from_numpy(np.asarray(photo).copy()).permute(2, 0, 1)[None] / 255,
                                           torch.ones(1, 1, 64, 64))  # fmt: skip
        row = nearest(codes[0, 0].detach(), model.bank.codes[:2], model.network.stylizer.levels)
        wanted = "/".join(model.bank.names[row])
        assert model.restyle(photo, "stone", mask).styles == {"*": wanted}
        assert model.restyle(photo, name, mask).styles == {"*": name}


def test_mapping_restyles_what_it_names_and_nothing_else(model):
    photo = make_photo(200, 150)
    everything = model.restyle(photo, "stone")
    assert everything.materials == {m: s for m, s in everything.materials.items() if 0.01 <= s <= 1}
    name = max(everything.materials, key=everything.materials.get)
    one = model.restyle(photo, {name: "metal"})
    assert one.styles == {name: "metal/plate"}
    assert one.materials == everything.materials
    others = model.restyle(photo, {name: "metal", "*": "stone/wall"})
    assert others.styles[name] == "metal/plate"
    assert others.styles.get("*", "stone/wall") == "stone/wall"
    assert pixels(others.mask).mean() >= pixels(one.mask).mean()
    absent = next(m for m in model.materials if m not in everything.materials)
    untouched = model.restyle(photo, {absent: "metal"})
    assert untouched.styles == {}
    np.testing.assert_array_equal(pixels(untouched.image), pixels(photo))


def test_style_from_a_photo_a_path_and_a_cut_out(model, tmp_path):
    photo, style = make_photo(), make_photo(70, 50, seed=3)
    style.save(tmp_path / "wall.png")
    mask = Image.new("L", photo.size, 255)
    by_image = model.restyle(photo, to=style, mask=mask)
    by_path = model.restyle(photo, to=tmp_path / "wall.png", mask=mask)
    assert by_image.styles == {"*": "photo"}
    assert by_path.styles == {"*": str(tmp_path / "wall.png")}
    np.testing.assert_array_equal(pixels(by_image.image), pixels(by_path.image))
    # The opaque part of a cut-out is the style; by far not what the whole photo gives.
    style.putalpha(half_mask(style.size))
    assert (pixels(model.restyle(photo, style, mask).image) != pixels(by_image.image)).any()


def test_plan_is_resolved_once_and_used_again(model):
    plan = model.plan({"leather": "stone", "*": "metal"})
    assert isinstance(plan, Plan)
    assert [target.places for target in plan] == [(0, 3), (1, 2)]  # leather also beside the main object
    assert model.plan(plan) is plan
    assert [target.places for target in model.plan("stone")] == [(0, 1, 2)]
    assert [target.places for target in model.plan({"*": "stone", "metal": "stone"}, True)] == [
        (0, 1, 3, 4),
        (2, 5),
    ]


def test_save_pretrained_gives_the_same_model(model, tmp_path):
    path = model.save_pretrained(tmp_path / "copy")
    again = UniStyle.from_pretrained(tmp_path / "copy", device="cpu")
    assert path.name == "model.safetensors"
    assert (again.materials, again.styles, again.notes) == (model.materials, model.styles, model.notes)
    photo = make_photo()
    np.testing.assert_array_equal(
        pixels(again.restyle(photo, "stone").image), pixels(model.restyle(photo, "stone").image)
    )


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_lower_precision_is_close_and_exact_outside(model, checkpoint, precision):
    photo = make_photo()
    low = UniStyle.from_pretrained(checkpoint, "cpu", precision)
    mask = half_mask(photo.size)
    got, wanted = (pixels(m.restyle(photo, "metal", mask).image) for m in (low, model))
    np.testing.assert_array_equal(got[:, 32:], wanted[:, 32:])
    assert np.abs(got - wanted).mean() < 4


def test_bad_input_is_named(model):
    photo = make_photo()
    with pytest.raises(UnknownNameError, match="Did you mean 'stone'"):
        model.restyle(photo, "stonee")
    with pytest.raises(UnknownNameError, match=r"unknown material 'lether'.*'leather'"):
        model.restyle(photo, {"lether": "stone"})
    with pytest.raises(ImageError, match=r"mask of size \(3, 3\) for a photo of size \(64, 48\)"):
        model.restyle(photo, "stone", Image.new("L", (3, 3)))
    with pytest.raises(ImageError, match="in one batch"):
        model.restyle_batch([photo, make_photo(9, 9)], "stone")
    for options in ({"strength": 1.5}, {"strength": float("nan")}, {"color": "kept"}, {"max_size": 5}):
        with pytest.raises(ValueError, match=next(iter(options))):
            model.restyle(photo, "stone", **options)
    for to in ({}, 5, None):
        with pytest.raises(ValueError, match=r"mapping|style is"):
            model.restyle(photo, to)
    with pytest.raises(ValueError, match="one region"):
        model.restyle(photo, {"leather": "stone", "metal": "stone"}, half_mask(photo.size))


def test_absent_device_and_unknown_precision(checkpoint):
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="device 'cuda' is not usable here"):
            UniStyle.from_pretrained(checkpoint, device="cuda")
    for device in ("gpu", "cuda:99"):
        with pytest.raises(ValueError, match=f"device '{device}'"):
            UniStyle.from_pretrained(checkpoint, device=device)
    with pytest.raises(ValueError, match="precision 'int8'"):
        UniStyle.from_pretrained(checkpoint, "cpu", precision="int8")


def test_photo_objects_are_taken_as_they_are(model):
    photo = make_photo()
    by_pil, by_photo = model.restyle(photo, "stone"), model.restyle(photo_from_pil(photo), "stone")
    np.testing.assert_array_equal(pixels(by_pil.image), pixels(by_photo.image))


def test_fingerprint_stands_for_weights_and_styles(model, checkpoint):
    again = UniStyle.from_pretrained(checkpoint, "cpu")
    assert again.fingerprint(again.plan("stone")) == model.fingerprint(model.plan("stone"))
    assert model.fingerprint(model.plan("metal")) != model.fingerprint(model.plan("stone"))
    with torch.no_grad():
        next(again.network.parameters()).add_(1e-3)
    assert again.fingerprint(again.plan("stone")) != model.fingerprint(model.plan("stone"))
