"""What the name of a photo says of it."""

from pathlib import Path

import pytest

from tests.helpers import ROOT
from unistyle.data.concepts import Concept, Concepts, read_concepts

MATERIALS = ("fabric", "foliage", "glass", "leather", "metal", "paper", "plastic", "stone", "water", "wood")


def test_names_and_patterns_of_ids():
    concepts = Concepts({"other": ["n01*"], "wood": ["violin"], "sky_above": ["kite"]}, ("metal", "wood"))
    assert concepts.of(Path("a/n04536866_violin.jpg")) == Concept(2)
    assert concepts.of(Path("n04536866_1234_violin.jpg")).material == 2, "a number is no part of the concept"
    assert concepts.of(Path("n01440764_tench.jpg")).material == 0
    assert concepts.of(Path("n01608432_kite.jpg")) == Concept(0, sky_above=True)
    assert concepts.of(Path("n04536866_viola.jpg")) == Concept()


def test_what_is_around_needs_its_material():
    table = {"worn": ["suit"], "water_below": ["liner"], "foliage_around": ["sheep"]}
    both = Concepts(table, ("fabric", "foliage", "water"))
    assert both.of(Path("n04350905_suit.jpg")) == Concept(1, worn=True)
    assert both.of(Path("n03673027_liner.jpg")) == Concept(water_below=3)
    assert both.of(Path("n02411705_sheep.jpg")) == Concept(foliage_around=2)
    assert Concepts(table, ("metal",)).of(Path("n03673027_liner.jpg")) == Concept()


def test_the_table_of_the_recipe_names_every_material_and_nothing_twice():
    concepts = read_concepts(ROOT / "configs/concepts.yaml", MATERIALS)
    for key, entries in concepts.table.items():
        assert len(set(entries)) == len(entries), key
        for entry in entries:
            concepts.of(Path(f"n09999999_{entry}.jpg"))
    assert set(MATERIALS) <= set(concepts.table)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("wool: [sheep]", "the key 'wool'"),
        ("wood: violin", "a list of concepts for each material"),
        ("[violin]", "a list of concepts for each material"),
    ],
)
def test_tables_that_cannot_be_used_are_named(tmp_path, text, message):
    (tmp_path / "t.yaml").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_concepts(tmp_path / "t.yaml", MATERIALS)


def test_a_concept_of_two_materials_is_refused():
    with pytest.raises(ValueError, match="'cup' is in the table as glass and as metal"):
        Concepts({"glass": ["cup"], "metal": ["cup"]}, MATERIALS).of(Path("n03147509_cup.jpg"))


def test_no_table(tmp_path):
    with pytest.raises(FileNotFoundError, match="no table of concepts"):
        read_concepts(tmp_path / "none.yaml", MATERIALS)
