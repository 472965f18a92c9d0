"""The Gatys teacher: what it optimises, what it leaves alone, what it keeps on disk."""

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch.testing import assert_close

from tests.helpers import TinyVGG, make_job
from unistyle.commands.gatys import main
from unistyle.data.transfer import Transfer, read_sized
from unistyle.maths.features import content_distance, gram, gram_distance
from unistyle.maths.resizing import resize_regions
from unistyle.teachers.cache import GatysCache
from unistyle.teachers.gatys import GatysConfig, restyle
from unistyle.teachers.vgg import STYLE_LAYERS, VGG19


@pytest.fixture(scope="module")
def vgg():
    return TinyVGG()


def to_style(vgg, image, job):
    f, g = vgg(image), vgg(job.style)
    sides = [(gram(f[n], resize_regions(job.region, f[n].shape[-2:])),
              gram(g[n], resize_regions(job.style_region, g[n].shape[-2:]))) for n in f]  # fmt: skip
    return torch.stack([gram_distance(*side) for side in sides]).mean().item()


def test_it_reaches_the_style_inside_the_region(vgg):
    job = make_job()
    result = restyle(vgg, *job, GatysConfig(iterations=25))
    assert to_style(vgg, result, job) < 0.25 * to_style(vgg, job.photo, job)
    assert result.min() >= 0
    assert result.max() <= 1


def test_outside_the_region_the_photo_stays_to_the_bit(vgg):
    job = make_job()
    result = restyle(vgg, *job, GatysConfig(iterations=5))
    outside = (job.region == 0).expand_as(job.photo)
    assert outside.any()
    assert torch.equal(result[outside], job.photo[outside])
    assert not torch.equal(result, job.photo)


def test_style_beyond_its_region_does_not_leak(vgg):
    job = make_job()
    narrow = job._replace(style_region=job.style_region.clone())
    narrow.style_region[..., 8:] = (
        0  # far enough from the spoiled half for every receptive field but the deepest
    )
    spoiled = narrow._replace(style=narrow.style.clone())
    spoiled.style[..., 24:] = 1
    config = GatysConfig(iterations=3, style_layers=STYLE_LAYERS[:2])
    assert_close(restyle(vgg, *narrow, config), restyle(vgg, *spoiled, config))


def test_content_weight_keeps_the_content(vgg):
    job = make_job()
    kept = []
    for weight in (0.0, 30.0):
        result = restyle(vgg, *job, GatysConfig(iterations=25, content_weight=weight))
        f, g = vgg(result)["relu4_1"], vgg(job.photo)["relu4_1"]
        kept.append(content_distance(f, g, resize_regions(job.region, f.shape[-2:])).item())
    assert kept[1] < 0.7 * kept[0]


def test_it_is_deterministic_and_leaves_its_inputs_alone(vgg):
    job = make_job()
    before = [x.clone() for x in job]
    state = torch.get_rng_state()
    first, second = (restyle(vgg, *job, GatysConfig(iterations=4)) for _ in range(2))
    assert torch.equal(first, second)
    assert all(torch.equal(a, b) for a, b in zip(before, job, strict=True))
    assert torch.equal(state, torch.get_rng_state())


def test_it_works_where_gradients_are_switched_off(vgg):
    job = make_job()
    with torch.no_grad():
        result = restyle(vgg, *job, GatysConfig(iterations=2))
    assert not result.requires_grad


def test_an_empty_region_gives_the_photo_back(vgg):
    job = make_job()
    assert torch.equal(restyle(vgg, *job._replace(region=torch.zeros_like(job.region))), job.photo)


def test_progress_names_every_term(vgg):
    calls = []
    restyle(vgg, *make_job(), GatysConfig(iterations=3), lambda i, values: calls.append((i, set(values))))
    assert calls == [(i, {"style", "content", "smoothness", "range"}) for i in (1, 2, 3)]


def test_a_term_without_weight_is_left_out(vgg):
    names = set()
    config = GatysConfig(iterations=1, smoothness_weight=0)
    restyle(vgg, *make_job(), config, lambda i, values: names.update(values))
    assert "smoothness" not in names


def test_a_non_finite_term_is_named(vgg):
    job = make_job()
    job.photo[..., 20, 24] = float("nan")
    with pytest.raises(FloatingPointError, match="style is nan at the start"):
        restyle(vgg, *job, GatysConfig(iterations=3))


@pytest.mark.parametrize("factor", [float("inf"), float("nan"), 1e4])
def test_a_step_that_goes_astray_is_taken_back(factor):
    """Features explode once, as they do where L-BFGS has jumped too far; the search recovers."""

    class Exploding(TinyVGG):
        calls = 0

        def forward(self, image):
            self.calls += 1
            features = super().forward(image)
            return {name: f * factor for name, f in features.items()} if self.calls == 15 else features

    job, values = make_job(), []
    result = restyle(Exploding(), *job, GatysConfig(iterations=40), lambda i, v: values.append(v["style"]))
    assert not values[12] < 100 * values[11]
    assert to_style(TinyVGG(), result, job) < 0.25 * to_style(TinyVGG(), job.photo, job)


def test_the_last_step_is_not_trusted_unseen():
    class ExplodingAtTheEnd(TinyVGG):
        calls = 0

        def forward(self, image):
            self.calls += 1
            return {name: f * (1 + 1e4 * (self.calls == 23)) for name, f in super().forward(image).items()}

    job, calls = make_job(), []
    last = restyle(ExplodingAtTheEnd(), *job, GatysConfig(iterations=20), lambda i, v: calls.append(i))
    assert_close(last, restyle(TinyVGG(), *job, GatysConfig(iterations=20)), atol=0.2, rtol=0)
    assert not torch.equal(last, restyle(TinyVGG(), *job, GatysConfig(iterations=20)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"photo": torch.rand(2, 3, 40, 48)}, "one at a time"),
        (
            {"region": torch.rand(1, 1, 20, 24)},
            r"photo's region has shape \(1, 1, 20, 24\), wanted \(1, 1, 40, 48\)",
        ),
        ({"style_region": torch.zeros(1, 1, 36, 32)}, "style's region is empty"),
    ],
)
def test_bad_input_is_refused(vgg, change, message):
    with pytest.raises(ValueError, match=message):
        restyle(vgg, *make_job()._replace(**change))


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="iterations is -1"):
        GatysConfig(iterations=-1)


def test_the_cache_computes_once(vgg, tmp_path):
    job, cache = make_job(), GatysCache(tmp_path, vgg, GatysConfig(iterations=3))
    first = cache.restyle(job)
    assert_close(first, restyle(vgg, *job, cache.config), atol=0.5001 / 255, rtol=0)
    outside = (job.region == 0).expand_as(job.photo)
    assert torch.equal(first[outside], job.photo[outside])
    again = GatysCache(tmp_path, TinyVGG(), GatysConfig(iterations=3))
    assert torch.equal(again.restyle(job, lambda *_: pytest.fail("optimised again")), first)


def test_a_kept_result_began_where_it_was_to(vgg, tmp_path):
    job, cache = make_job(), GatysCache(tmp_path, vgg, GatysConfig(iterations=2))
    start = torch.rand(job.photo.shape, generator=torch.Generator().manual_seed(1))
    assert_close(
        cache.restyle(job, start=start),
        restyle(vgg, *job, cache.config, start=start),
        atol=0.5001 / 255,
        rtol=0,
    )
    assert not torch.equal(cache.restyle(job, start=start), cache.restyle(job))


def test_every_input_and_setting_has_its_own_place_in_the_cache(vgg, tmp_path):
    job, config = make_job(), GatysConfig(iterations=3)
    paths = [GatysCache(tmp_path, vgg, config).path(job)]
    for name in Transfer._fields:
        changed = getattr(job, name).clone()
        changed[0, 0, 0, 0] = 1 - changed[0, 0, 0, 0].round()
        paths.append(GatysCache(tmp_path, vgg, config).path(job._replace(**{name: changed})))
    paths.append(GatysCache(tmp_path, vgg, GatysConfig(iterations=4)).path(job))
    paths.append(GatysCache(tmp_path, TinyVGG(seed=1), config).path(job))
    paths += [GatysCache(tmp_path, vgg, config).path(job, start) for start in (job.photo, job.photo / 2)]
    assert len(set(paths)) == len(paths)


def test_interrupted_work_leaves_nothing_broken_and_resumes(vgg, tmp_path):
    jobs = [make_job(seed=i) for i in range(3)]
    cache = GatysCache(tmp_path, vgg, GatysConfig(iterations=2))

    def stop(iteration, values):
        if len(list(tmp_path.rglob("*.png"))) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        [cache.restyle(job, stop) for job in jobs]
    assert sum(path.is_file() for path in tmp_path.rglob("*")) == 2
    seen = []
    results = [cache.restyle(job, lambda iteration, values: seen.append(iteration)) for job in jobs]
    assert len(results) == 3
    assert seen == [1, 2]


def test_the_command_end_to_end(tmp_path):
    rng = np.random.default_rng(0)
    for name, size in (("photo", (40, 32)), ("style", (24, 36))):
        pixels = rng.integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    mask = np.zeros((32, 40), np.uint8)
    mask[:, :20] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    full = {f"features.{k}": v for k, v in _random_vgg().items()}
    save_file(full, tmp_path / "vgg.safetensors")
    arguments = [tmp_path / "photo.png", "--style", tmp_path / "style.png", "--mask", tmp_path / "mask.png",
                 "--out", tmp_path / "out.png", "--iterations", 2, "--vgg-weights", tmp_path / "vgg.safetensors",
                 "--cache", tmp_path / "cache"]  # fmt: skip
    for _ in range(2):
        main([str(x) for x in arguments])
    before, after = (np.asarray(Image.open(tmp_path / f"{n}.png")) for n in ("photo", "out"))
    assert np.array_equal(before[:, 20:], after[:, 20:])
    assert not np.array_equal(before[:, :20], after[:, :20])
    assert len(list((tmp_path / "cache").rglob("*.png"))) == 1


def _random_vgg():
    """Random weights of VGG-19 up to relu4_1, scaled to keep the size of activations."""
    layers = ((0, 3, 64), (2, 64, 64), (5, 64, 128), (7, 128, 128), (10, 128, 256), (12, 256, 256), (14, 256, 256),
              (16, 256, 256), (19, 256, 512))  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    weights = {}
    for index, c, d in layers:
        weights[f"{index}.weight"] = torch.randn(d, c, 3, 3, generator=generator) * (2 / (9 * c)) ** 0.5
        weights[f"{index}.bias"] = torch.zeros(d)
    return weights


def test_vgg_features_have_the_papers_sizes(tmp_path):
    save_file({f"features.{k}": v for k, v in _random_vgg().items()}, tmp_path / "vgg.safetensors")
    features = VGG19(tmp_path / "vgg.safetensors")(torch.rand(1, 3, 32, 48))
    shapes = {name: tuple(f.shape[1:]) for name, f in features.items()}
    assert shapes == {
        "relu1_1": (64, 32, 48), "relu2_1": (128, 16, 24), "relu3_1": (256, 8, 12), "relu4_1": (512, 4, 6)
    }  # fmt: skip
    assert all(f.min() >= 0 for f in features.values())


def test_a_mask_of_another_size_than_its_photo_is_refused(tmp_path):
    Image.new("RGB", (8, 6)).save(tmp_path / "photo.png")
    Image.new("L", (6, 8)).save(tmp_path / "mask.png")
    with pytest.raises(ValueError, match=r"6x8.*8x6"):
        read_sized(tmp_path / "photo.png", tmp_path / "mask.png", 256)
