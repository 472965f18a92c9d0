"""The style bank: its commands, its style files, and what a name may be."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tests.helpers import make_photo
from unistyle.checkpoint.checkpoint import load_checkpoint, save_checkpoint
from unistyle.checkpoint.style_files import StyleFile, load_style, save_style
from unistyle.errors import CheckpointError, UnknownNameError
from unistyle.evaluation.sheets import GAP, SIDE
from unistyle.styles.bank import StyleBank
from unistyle.styles.codes import code_space
from unistyle.styles.names import check_style_name, exemplar_name

NAMES = (("stone", "quarry"), ("stone", "wall"), ("metal", "plate"))


def small_bank(*names: str, start: float = 0.0) -> StyleBank:
    """Codes of two numbers: start, start + 1, ..."""
    pairs = tuple(tuple(name.split("/")) for name in names)
    return StyleBank(pairs, torch.arange(start, start + 2 * len(pairs)).view(-1, 2))


def metadata_of(path: Path) -> dict[str, str]:
    with safe_open(path, "pt") as file:
        return file.metadata()


def same(path: Path, other: Path) -> bool:
    """Whether two files hold the same metadata and the same tensors, in the same types."""
    a, b = load_file(path), load_file(other)
    equal = all(a[name].dtype == b[name].dtype and a[name].equal(b[name]) for name in a.keys() & b.keys())
    return a.keys() == b.keys() and equal and metadata_of(path) == metadata_of(other)


@pytest.fixture
def variant(checkpoint, tmp_path):
    """Write a checkpoint that differs from the tiny one: in its bank, and in the tensors that are named."""

    def write(name: str, bank: StyleBank | None = None, *changed: str) -> Path:
        made = load_checkpoint(checkpoint)
        with torch.no_grad():
            for tensor in changed:
                made.network.get_parameter(tensor).add_(1)
        return save_checkpoint(tmp_path / name, replace(made, bank=bank or made.bank))

    return write


@pytest.fixture
def codes(checkpoint) -> torch.Tensor:
    return load_checkpoint(checkpoint).bank.codes


def test_a_bank_loses_and_renames_styles():
    bank = small_bank("stone/quarry", "stone/wall", "metal/plate")
    assert bank.without("stone/quarry").names == NAMES[1:]
    assert bank.without("stone").codes.tolist() == [[4, 5]]
    assert bank.without("stone", "stone/wall", "metal").codes.shape == (0, 2)
    assert bank.without().names == bank.names
    with pytest.raises(UnknownNameError, match="Did you mean 'metal'"):
        bank.without("stone", "metall")
    renamed = bank.renamed("stone", "old brick")
    assert renamed.styles == ["old brick", "metal"]
    assert renamed.codes.equal(bank.codes)
    with pytest.raises(ValueError, match="'metal' is in the bank already"):
        bank.renamed("stone", "metal")
    with pytest.raises(UnknownNameError, match="exemplars are not"):
        bank.renamed("stone/wall", "brick")


def test_banks_join_by_what_is_new():
    bank = small_bank("stone/quarry", "stone/wall")
    same = bank.joined(small_bank("stone/quarry", "stone/wall", "metal/plate"))
    assert same.names == NAMES
    assert same.codes.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert bank.joined(small_bank("stone/quarry", "stone/new")).names == (*bank.names, ("stone", "new"))
    for other in (small_bank("stone/wall"), small_bank("stone/quarry", start=7), small_bank("stone/new")):
        with pytest.raises(ValueError, match=r"other styles of the name 'stone'; rename.*--replace"):
            bank.joined(other)
        assert bank.joined(other, replace=True).names == other.names
        assert bank.joined(other, replace=True).codes.equal(other.codes)
    subset = small_bank("stone/quarry", "felt/wool")
    assert same.joined(subset, replace=True).names == (("metal", "plate"), *subset.names), "whole styles"
    assert same.joined(subset).names == (*NAMES, ("felt", "wool"))
    with pytest.raises(ValueError, match="style codes of 4 numbers for a bank whose codes have 2"):
        bank.joined(StyleBank((("a", "b"),), torch.zeros(1, 4)))


@pytest.mark.parametrize(
    ("name", "reason"),
    [("", "empty"), ("  ", "empty"), (" a", "space"), ("a\t", "space"), (".", "folder"), ("..", "folder")]
    + [(f"a{c}b", "means something else") for c in "/:,=*\n\x00\x1b\x9b"],
)
def test_names_that_a_style_cannot_have(name, reason):
    with pytest.raises(ValueError, match=reason):
        check_style_name(name)


def test_names_that_a_style_can_have():
    for name in ("stone", "old brick", "もふもふ", "a.b-c_d", "..."):
        check_style_name(name)
    assert exemplar_name("a/b:c,d=e*f\n") == "a-b-c-d-e-f-"
    assert exemplar_name(" wall 2 ") == "wall 2"
    assert exemplar_name(" ") == "photo"


def test_code_space_is_that_of_what_makes_codes(network, checkpoint, variant):
    own = code_space(network)
    assert len(own) == 12
    assert own == code_space(load_checkpoint(checkpoint).network), "in fp16 and back"
    same = variant("same.safetensors", None, "segmenter.classify.bias", "stylizer.to_rgb.weight")
    assert code_space(load_checkpoint(same).network) == own
    for part in (
        "encoder.backbone.conv_stem.weight",
        "stylizer.adapters.0.bias",
        "stylizer.projections.2.weight",
    ):
        other = load_checkpoint(variant("other.safetensors", None, part))
        assert code_space(other.network) != own, part


def test_list(run, checkpoint):
    code, printed, _ = run("list", checkpoint)
    assert (code, printed.splitlines()) == (
        0,
        [
            "materials that it finds: leather, stone, metal",
            "stone: quarry, wall",
            "metal: plate",
            "2 styles with 3 exemplars",
        ],
    )


def test_sheet(run, checkpoint, tmp_path):
    make_photo(300, 400).save(tmp_path / "photo.png")
    given = ("--sheet", tmp_path / "sheet.png", "--photo", tmp_path / "photo.png")
    assert run("list", checkpoint, *given)[0] == 0
    with Image.open(tmp_path / "sheet.png") as sheet:
        sheet.load()
    # Blocks of two, of which three fit in a row: the photo, stone and metal.
    assert sheet.width == 3 * (2 * SIDE + GAP // 3) + 4 * GAP
    corner = sheet.crop((GAP, GAP, GAP + SIDE, GAP + SIDE * 3 // 4))
    with Image.open(tmp_path / "photo.png") as photo:
        photo.thumbnail((384, 384))
        photo.thumbnail((SIDE, SIDE))
        assert corner.tobytes() == photo.tobytes(), "first the photo itself"
    code, _, errors = run("list", checkpoint, "--photo", tmp_path / "photo.png")
    assert (code, "--sheet" in errors) == (2, True)
    assert run("list", checkpoint, *given[:3], tmp_path / "none.png")[0] == 2


def test_remove_and_rename(run, checkpoint, tmp_path, codes):
    out = tmp_path / "out.safetensors"
    code, printed, _ = run("remove", checkpoint, "stone/quarry", "metal", "--out", out)
    assert (code, printed) == (0, f"removed stone/quarry, metal; 1 styles with 1 exemplars in {out}\n")
    assert load_checkpoint(out).bank.names == (("stone", "wall"),)
    code, printed, _ = run("rename", checkpoint, "stone", "old brick", "--out", out)
    assert (code, printed.partition(";")[0]) == (0, "renamed stone to old brick")
    renamed = load_checkpoint(out)
    assert renamed.bank.styles == ["old brick", "metal"]
    assert renamed.bank.codes.equal(codes)
    assert renamed.network.config.materials == ("leather", "stone", "metal")
    assert run("remove", checkpoint, "stone", "metal", "--out", out)[0] == 0
    assert load_checkpoint(out).bank.names == ()


@pytest.mark.parametrize("half", [True, False])
def test_a_new_bank_leaves_all_else_as_it_was(run, checkpoint, tmp_path, half):
    path = save_checkpoint(tmp_path / "c.safetensors", load_checkpoint(checkpoint), half)
    loose = load_checkpoint(path)
    loose.network.encoder.backbone.conv_stem.weight.data += 1e-6 * (not half)  # what fp16 cannot hold
    save_checkpoint(path, loose, half)
    before, about = load_file(path), metadata_of(path)
    assert run("rename", path, "metal", "tin", "--out", path)[0] == 0, "over its own input"
    after = load_file(path)
    assert after.keys() == before.keys()
    for name, value in before.items():
        assert torch.equal(after[name], value), name
        assert after[name].dtype == value.dtype or not half, name
    assert metadata_of(path) == about | {"bank": about["bank"].replace("metal", "tin")}
    assert run("rename", path, "tin", "metal", "--out", path)[0] == 0
    assert same(path, checkpoint) == half


def test_merge_takes_what_is_new(run, checkpoint, variant, tmp_path, codes):
    out, own = tmp_path / "out.safetensors", load_checkpoint(checkpoint).bank
    felt = StyleBank((*NAMES, ("felt", "grey"), ("stone", "new")), torch.cat([codes, codes[:2] + 1]))
    cork = StyleBank((("cork", "board"), ("felt", "grey")), torch.stack([codes[0] + 2, felt.codes[3]]))
    others = [variant("felt.safetensors", felt, "segmenter.classify.bias"), variant("cork.safetensors", cork)]
    code, printed, _ = run("merge", checkpoint, *others, "--out", out)
    assert (code, printed.partition(";")[0]) == (0, "merged: felt/grey, stone/new, cork/board")
    merged = load_checkpoint(out)
    assert merged.bank.names == (*NAMES, *felt.names[3:], cork.names[0])
    assert merged.bank.codes.equal(torch.cat([felt.codes, cork.codes[:1]]))
    assert merged.network.segmenter.classify.bias.equal(
        load_checkpoint(checkpoint).network.segmenter.classify.bias
    )
    code, printed, _ = run("merge", checkpoint, variant("sibling.safetensors", own), "--out", out)
    assert (code, printed.partition(";")[0]) == (0, "merged: nothing, as all of it was there")
    assert same(out, checkpoint)


def test_merge_of_two_styles_of_one_name(run, checkpoint, variant, tmp_path, codes):
    out = tmp_path / "out.safetensors"
    other = variant("other.safetensors", StyleBank(NAMES, codes + torch.tensor([[1.0], [0.0], [0.0]])))
    code, _, errors = run("merge", checkpoint, other, "--out", out)
    assert (code, out.exists()) == (2, False)
    assert errors.startswith(
        f"unistyle bank merge: error: {other}: the bank has other styles of the name 'stone'; "
    )
    code, printed, _ = run("merge", checkpoint, other, "--replace", "--out", out)
    assert (code, printed.partition(";")[0]) == (0, "merged: stone/quarry")
    merged = load_checkpoint(out).bank
    assert merged.codes[merged.rows("stone/quarry")].equal(codes[:1] + 1)
    assert len(merged.names) == 3


def test_another_code_space_is_refused(run, checkpoint, variant, tmp_path):
    stranger = variant("stranger.safetensors", None, "stylizer.projections.0.weight")
    own, theirs = (code_space(load_checkpoint(path).network) for path in (checkpoint, stranger))
    out, style = tmp_path / "out.safetensors", tmp_path / "style.safetensors"
    assert run("export", stranger, "metal", "--out", style)[0] == 0
    for call in (("merge", checkpoint, stranger), ("merge", checkpoint, style)):
        code, _, errors = run(*call, "--out", out)
        assert (code, out.exists()) == (2, False)
        for words in (own, theirs, "from its photos (unistyle bank add)"):
            assert words in errors


def test_export_of_a_style_and_merge_of_its_file(run, checkpoint, tmp_path, codes):
    style, bare, out = (tmp_path / f"{name}.safetensors" for name in ("style", "bare", "out"))
    code, printed, _ = run("export", checkpoint, "stone", "--out", style)
    assert (code, printed) == (0, f"exported stone/quarry, stone/wall to {style}\n")
    space = code_space(load_checkpoint(checkpoint).network)
    assert metadata_of(style) == {
        "format": "unistyle-style",
        "version": "2",
        "style": "stone",
        "exemplars": '["quarry", "wall"]',
        "space": space,
    }
    assert load_file(style)["codes"].equal(codes[:2])
    assert style.stat().st_size < 20_000
    run("remove", checkpoint, "stone", "--out", bare)
    code, printed, _ = run("merge", bare, style, "--out", out)
    assert (code, printed.partition(";")[0]) == (0, "merged: stone/quarry, stone/wall")
    assert load_checkpoint(out).bank.names == (NAMES[2], *NAMES[:2])
    assert load_checkpoint(out).bank.codes.equal(codes[[2, 0, 1]])
    assert "merged: nothing" in run("merge", checkpoint, style, "--out", out)[1]
    changed = save_style(style, StyleFile(StyleBank((("stone", "wall"),), codes[:1]), space))
    assert run("merge", checkpoint, changed, "--out", out)[0] == 2
    assert run("merge", checkpoint, changed, "--replace", "--out", out)[0] == 0
    assert load_checkpoint(out).bank.names == (NAMES[2], ("stone", "wall"))


def test_unusable_style_files(checkpoint, tmp_path):
    bank = small_bank("stone/quarry", "stone/wall")
    good = save_style(tmp_path / "good.safetensors", StyleFile(bank, "0" * 12))
    assert load_style(good).space == "0" * 12
    about, codes, bad = metadata_of(good), load_file(good)["codes"], tmp_path / "bad.safetensors"
    for metadata, tensors, message in (
        ({"version": "3"}, {}, "format version 3.*update"),
        (
            {"version": "x"},
            {},
            "a safetensors file, but not a UniStyle style file; give one made by .* export",
        ),
        ({"format": "else"}, {}, "not a UniStyle style file"),
        ({"style": "a:b"}, {}, "cannot be the name of a style"),
        ({"exemplars": "["}, {}, "the style in it cannot be used"),
        ({"exemplars": '["a"]'}, {}, "1 names for codes of shape"),
        ({"exemplars": '["a", 2]'}, {}, "wanted a list of names"),
        ({"exemplars": '"ab"'}, {}, "wanted a list of names"),
        ({"exemplars": json.dumps(["a", "\x1b[2J"])}, {}, "wanted a list of names"),
        ({"exemplars": '["a", "a"]'}, {}, "same name"),
        ({}, {"codes": codes[0]}, r"of shape \(2,\)"),
        ({}, {"codes": codes[:, :0]}, r"of shape \(2, 0\)"),
        ({}, {"codes": codes.int()}, "int32; wanted floats"),
        ({}, {"codes": codes / 0}, "not finite"),
        ({}, {"other": codes, "codes": None}, "codes are none"),
    ):
        tensors = {k: v for k, v in ({"codes": codes} | tensors).items() if v is not None}
        save_file(tensors, bad, metadata=about | metadata)
        with pytest.raises(CheckpointError, match=message):
            load_style(bad)
    save_file({"codes": codes}, bad, metadata={k: v for k, v in about.items() if k != "space"})
    with pytest.raises(CheckpointError, match="cannot be used: 'space'"):
        load_style(bad)
    bad.write_bytes(good.read_bytes()[:-3])
    with pytest.raises(CheckpointError, match="truncated, or not a safetensors file"):
        load_style(bad)
    with pytest.raises(CheckpointError, match="no such file"):
        load_style(tmp_path / "none.safetensors")
    with pytest.raises(CheckpointError, match="a UniStyle checkpoint, which is for --checkpoint"):
        load_style(checkpoint)
    with pytest.raises(CheckpointError, match="a UniStyle style file, which is for unistyle bank merge"):
        load_checkpoint(good)
    for path, names, message in (
        (tmp_path / "a.pt", ["a/1"], "ending"),
        (good, ["a/1", "b/1"], "got 2 styles"),
        (good, ["a=b/1"], "cannot be the name"),
    ):
        with pytest.raises(ValueError, match=message):
            save_style(path, StyleFile(small_bank(*names), ""))
    assert load_style(good).bank.names == NAMES[:2]


def test_codes_of_another_length_are_refused(run, checkpoint, tmp_path):
    space = code_space(load_checkpoint(checkpoint).network)
    style = save_style(tmp_path / "style.safetensors", StyleFile(small_bank("felt/grey"), space))
    code, _, errors = run("merge", checkpoint, style, "--out", tmp_path / "out.safetensors")
    assert (code, f"{style}: style codes of 2 numbers" in errors) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["remove", "CHECKPOINT", "stnoe"], "Did you mean 'stone'"),
        (["rename", "CHECKPOINT", "stone", "a/b"], "cannot be the name of a style: '/' means something else"),
        (["rename", "CHECKPOINT", "stone", "metal"], "in the bank already"),
        (["export", "CHECKPOINT", "wood"], "unknown style 'wood'"),
        (["merge", "CHECKPOINT", "none.safetensors"], "none.safetensors: no such file or folder"),
        (["import", "CHECKPOINT", "CHECKPOINT"], "invalid choice"),
        (["remove", "none.safetensors", "stone"], "no such file or folder"),
        (["remove", "CHECKPOINT"], "STYLE"),
        (["burn", "CHECKPOINT"], "invalid choice"),
    ],
)
def test_bad_usage(run, checkpoint, tmp_path, arguments, message):
    given = [checkpoint if a == "CHECKPOINT" else a for a in arguments]
    code, printed, errors = run(*given, "--out", tmp_path / "new" / "out.safetensors")
    assert (code, printed) == (2, "")
    assert message in errors
    assert "style photo" not in errors, "which these commands do not take"
    assert not (tmp_path / "new").exists()


def test_an_output_that_cannot_be_written(run, checkpoint, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, errors = run("remove", checkpoint, "stone", "--out", tmp_path / "file" / "out.safetensors")
    assert (code, errors.startswith("unistyle bank remove: error: ")) == (2, True)
