"""Export: ONNX and torch.export against the network, wrapped names, the hub's folder."""

import base64
import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from huggingface_hub import ModelCard
from safetensors import safe_open
from torch import nn

from tests.helpers import make_network, make_photo, sampled
from unistyle import UniStyle
from unistyle.checkpoint.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from unistyle.commands import export as export_command
from unistyle.export import programs as export
from unistyle.export.check import TOLERANCE, check, onnx_session, reference
from unistyle.export.modules import _grids, _seen_size, one_pass
from unistyle.files.tensors import as_float, to_tensor
from unistyle.maths import exportable
from unistyle.maths.resizing import resize_regions
from unistyle.network.fuse import grids_of
from unistyle.network.laying import Samples
from unistyle.network.model import SIGHT
from unistyle.styles.swatches import TILE

pytestmark = pytest.mark.timeout(
    900
)  # the program for all tests takes two minutes to write, and more beside other work

SIZES = ((48, 64), (97, 131), (32, 32), (33, 45), (289, 300), (300, 288), (333, 411), (150, 601), (210, 160),
         (577, 321))  # fmt: skip


@pytest.fixture(scope="module")
def loaded(checkpoint):
    plain = load_checkpoint(checkpoint)
    return replace(plain, bank=sampled(plain.bank))


def samples_of(swatches):
    """Tiles and structure as a program takes them, for one photo."""
    return as_float(swatches.tiles)[None], swatches.structure[None]


@pytest.fixture(scope="module")
def program(loaded):
    """The program that takes swatches; made once, because it takes a quarter of a minute."""
    return export.export_program(one_pass(loaded))


def rand(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


# Equal definitions: what the network resizes with, and what exports.


@pytest.mark.parametrize("size", [(9, 7), (24, 31), (11, 60), (40, 13), (48, 62), (24, 30)])
def test_resizing_by_products_is_the_networks(size):
    w = rand(2, 3, 24, 31)
    torch.testing.assert_close(exportable.resize_regions(w, size), resize_regions(w, size))
    torch.testing.assert_close(exportable.pooled(w, size), F.adaptive_avg_pool2d(w, size))


@pytest.mark.parametrize("size", [(60, 80), (59, 41), (24, 31), (7, 80)])
def test_shrinking_by_products_is_antialiased_interpolation(size):
    photo = rand(1, 3, 60, 80)
    wanted = F.interpolate(photo, size, mode="bilinear", antialias=True)
    torch.testing.assert_close(exportable.shrink(photo, size), wanted)
    assert torch.equal(exportable.shrink(photo, (60, 80)), photo)


def test_materials_are_looked_for_at_the_networks_size():
    for height in range(32, 1400, 37):
        for width in range(32, 1400, 11):
            scale = min(1, SIGHT / min(height, width))
            assert _seen_size((height, width)) == [round(height * scale), round(width * scale)]
            assert _grids((height, width)) == grids_of((height, width))


@pytest.mark.parametrize("size", [(48, 64), (97, 131), (333, 411)])
def test_the_module_to_export_is_the_network(loaded, size):
    photo, network = to_tensor(make_photo(*size))[None], loaded.network
    codes, routes = loaded.bank.codes[None, :2], torch.tensor([[1.0, 0], [0, 1], [1, 0]] * 2)
    samples = samples_of(loaded.bank.swatches[:2])
    with torch.no_grad():
        wanted = network(photo, codes, routes=routes, samples=Samples(*samples))
        image, alpha = one_pass(loaded)(photo, codes, *samples, routes)
        styled, _ = one_pass(loaded, "stone")(photo)
        by_style, _ = reference(network, photo, loaded.bank.swatches[:2])
    for got, want in ((image, wanted.image), (alpha, wanted.alpha), (styled, by_style)):
        torch.testing.assert_close(got, want, rtol=0, atol=1 / 255)


# torch.export


def test_a_program_of_torch_export_gives_the_networks_result_at_any_size(
    loaded, program, tmp_path, monkeypatch
):
    monkeypatch.setattr(export, "export_program", lambda module: program)
    path = export.export_torch(loaded, tmp_path / "model.pt2")
    extra = {"unistyle.json": ""}
    run = torch.export.load(path, extra_files=extra).module()
    about = json.loads(extra["unistyle.json"])
    assert json.loads(about["materials"]) == ["leather", "stone", "metal"]
    for size, batch, regions in ((SIZES[1], 1, 1), (SIZES[2], 3, 2), (SIZES[6], 1, 2)):
        photo = torch.stack([to_tensor(make_photo(*size, seed=i)) for i in range(batch)])
        codes = loaded.bank.codes[:regions].expand(batch, -1, -1)
        routes = F.one_hot(torch.arange(6) % regions, regions).float()
        samples = [x.expand(batch, *x.shape[1:]) for x in samples_of(loaded.bank.swatches[:regions])]
        with torch.no_grad():
            image, alpha = run(photo, codes, *samples, routes)
            wanted = loaded.network(photo, codes, routes=routes, samples=Samples(*samples))
        torch.testing.assert_close(image, wanted.image, rtol=0, atol=1 / 255)
        torch.testing.assert_close(alpha, wanted.alpha, rtol=0, atol=1 / 255)


# ONNX


@pytest.fixture(scope="module")
def onnx_file(loaded, program, tmp_path_factory):
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name, reason=f"{name} is not installed: pip install 'unistyle[onnx]'")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "export_program", lambda module: program)
        return export.export_onnx(loaded, tmp_path_factory.mktemp("onnx") / "model.onnx")


def test_onnx_is_the_network_on_ten_sizes(loaded, onnx_file):
    photos = (make_photo(*size, seed=i) for i, size in enumerate(SIZES))
    found = list(check(loaded, onnx_file, photos))
    print("\n".join(map(str, found)))
    assert [each.size for each in found] == list(SIZES)
    assert max(max(each.image, each.alpha) for each in found) <= TOLERANCE
    assert max(each.covered for each in found) > 0.3


def test_onnx_takes_batches_and_several_regions(loaded, onnx_file):
    photo = torch.stack([to_tensor(make_photo(61, 83, seed=i)) for i in range(3)])
    codes, routes = (
        loaded.bank.codes[None, 1:].expand(3, -1, -1),
        torch.tensor([[1.0, 0], [0, 1], [0, 0]] * 2),
    )
    tiles, structure = (x.expand(3, *x.shape[1:]) for x in samples_of(loaded.bank.swatches[1:]))
    with torch.no_grad():
        wanted = loaded.network(photo, codes, routes=routes, samples=Samples(tiles, structure)).image
    inputs = {"photo": photo, "codes": codes, "tiles": tiles, "structure": structure, "routes": routes}
    inputs = {name: x.contiguous().numpy() for name, x in inputs.items()}
    image, _ = onnx_session(onnx_file).run(None, inputs)
    assert np.abs(image - wanted.numpy()).max() <= 2 / 255


def test_onnx_says_what_it_takes_and_holds_the_bank(loaded, onnx_file):
    session = onnx_session(onnx_file)
    assert {i.name: i.shape for i in session.get_inputs()} == {
        "photo": ["batch", 3, "height", "width"],
        "codes": ["batch", "regions", loaded.network.stylizer.code_size],
        "tiles": ["batch", "regions", 3, TILE, TILE],
        "structure": ["batch", "regions"],
        "routes": [6, "regions"],
    }
    assert [o.name for o in session.get_outputs()] == ["image", "alpha"]
    about = session.get_modelmeta().custom_metadata_map
    assert json.loads(about["styles"]) == [list(pair) for pair in loaded.bank.names]
    codes = np.frombuffer(base64.b64decode(about["codes"]), "<f4").reshape(len(loaded.bank.names), -1)
    assert np.array_equal(codes, loaded.bank.codes.numpy())


def test_check_ends_with_one_where_the_difference_is_large(
    checkpoint, onnx_file, tmp_path, monkeypatch, capsys
):
    make_photo(120, 140).save(tmp_path / "a.png")
    arguments = ["check", str(checkpoint), str(onnx_file), str(tmp_path / "a.png")]
    assert export_command.main(arguments) == 0
    assert "97 x 131" in capsys.readouterr().out
    monkeypatch.setattr(export_command, "TOLERANCE", -1)
    assert export_command.main(arguments) == 1


def test_what_cannot_be_exported_is_said(checkpoint, tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    for arguments, message in (
        (["onnx", checkpoint, "--out", tmp_path / "a.pt"], "ends in .onnx"),
        (["torch", checkpoint, "--out", tmp_path / "a.onnx"], "ends in .pt2"),
        (["onnx", checkpoint, "--out", tmp_path / "a.onnx", "--to", "stnoe"], "Did you mean 'stone'"),
        (["onnx", tmp_path / "none.safetensors", "--out", tmp_path / "a.onnx"], "no such file"),
        (["check", checkpoint, checkpoint, checkpoint], "onnxruntime cannot use it"),
    ):
        assert export_command.main([str(a) for a in arguments]) == 2
        assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


# Wrapped names


class Shell(nn.Module):
    """A part of a backbone that holds another one as `module`, as timm's iFormer has."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, x):
        return self.module(x)


def wrappings():
    def parts(network):
        network.encoder = torch.compile(network.encoder)
        network.stylizer.merge8 = torch.compile(nn.DataParallel(network.stylizer.merge8))
        return network

    def in_place(network):
        network.encoder.compile()
        return network

    return {
        "compiled": torch.compile,
        "parallel": nn.DataParallel,
        "both": lambda network: torch.compile(nn.DataParallel(network)),
        "both, the other way": lambda network: nn.DataParallel(torch.compile(network)),
        "parts": parts,
        "in place": in_place,
    }


@pytest.mark.parametrize("wrap", wrappings().values(), ids=wrappings())
def test_names_of_wrapped_models_do_not_reach_a_file(loaded, tmp_path, wrap):
    network = make_network()
    names = set(network.state_dict())
    path = save_checkpoint(tmp_path / "a.safetensors", Checkpoint(wrap(network), loaded.bank), half=False)
    with safe_open(path, "pt") as file:
        assert set(file.keys()) == {f"network.{name}" for name in names} | {
            "bank.codes",
            "bank.tiles",
            "bank.structure",
        }
    state = load_checkpoint(path).network.state_dict()
    for name, value in make_network().state_dict().items():
        assert torch.equal(state[name], value), name


def test_a_distributed_network_is_saved_by_its_own_names(loaded, tmp_path):
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        network = nn.parallel.DistributedDataParallel(make_network())
        path = save_checkpoint(tmp_path / "a.safetensors", Checkpoint(network, loaded.bank))
    finally:
        torch.distributed.destroy_process_group()
    assert load_checkpoint(path).network.config.materials == loaded.network.config.materials


def test_a_part_that_is_called_module_keeps_its_name():
    from unistyle.checkpoint.checkpoint import plain_state

    plain = nn.Sequential(Shell(nn.Linear(2, 2)))
    assert set(plain_state(torch.compile(plain))) == {"0.module.weight", "0.module.bias"}


# The hub


@pytest.fixture
def model(checkpoint):
    return UniStyle.from_pretrained(checkpoint, "cpu")


def test_a_folder_for_the_hub(model, tmp_path):
    model.notes |= {"steps": 12, "calibration mean IU": 0.5, "terms": "photos of my own"}
    saved = model.save_pretrained(tmp_path / "model")
    assert saved == tmp_path / "model" / "model.safetensors"
    assert {path.name for path in saved.parent.iterdir()} == {"model.safetensors", "config.json", "README.md"}
    config = json.loads((saved.parent / "config.json").read_text())
    assert config["encoder"] == "mobilenetv2_050"
    assert config["styles"] == {"stone": ["quarry", "wall"], "metal": ["plate"]}
    card = ModelCard.load(saved.parent / "README.md")
    assert card.data.license == "apache-2.0"
    assert card.data.library_name == "unistyle"
    for part in ("leather, stone, metal", "quarry, wall", "- calibration mean IU: 0.5", "photos of my own"):
        assert part in card.text
    photo = make_photo(80, 90)
    again = UniStyle.from_pretrained(tmp_path / "model", "cpu")
    wanted, got = (m.restyle(photo, to="stone").image for m in (model, again))
    assert np.array_equal(np.asarray(got), np.asarray(wanted))


def test_a_card_of_ones_own_stays_and_a_file_is_a_file(model, tmp_path):
    (tmp_path / "README.md").write_text("mine")
    model.save_pretrained(tmp_path)
    assert (tmp_path / "README.md").read_text() == "mine"
    saved = model.save_pretrained(tmp_path / "one" / "a.safetensors", half=False)
    assert list(saved.parent.iterdir()) == [saved]


def test_push_to_hub(model, monkeypatch):
    calls = Counter()

    class Api:
        def __init__(self, token=None):
            assert token == "secret"

        def create_repo(self, repo_id, **_):
            calls["create"] += 1
            return type("Repo", (), {"repo_id": repo_id})

        def upload_folder(self, repo_id, folder_path, **_):
            names = {path.name for path in folder_path.iterdir()}
            assert names == {"model.safetensors", "config.json", "README.md"}
            assert 'from_pretrained("me/mine")' in (folder_path / "README.md").read_text()
            return f"https://huggingface.co/{repo_id}/commit/1"

    monkeypatch.setattr("huggingface_hub.hub_mixin.HfApi", Api)
    url = model.push_to_hub("me/mine", token="secret", model_card_kwargs={"source": "me/mine"})
    assert url == "https://huggingface.co/me/mine/commit/1"
    assert calls == {"create": 1}
