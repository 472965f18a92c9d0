"""What a photo shows, from the concept in its name: weak labels that a reader can check."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import yaml

OTHER = "other"
HINTS = ("foliage_around", "sky_above", "water_below", "worn")  # keys of a table that are no materials


@dataclass(frozen=True)
class Concept:
    """What the name of a photo says of it."""

    material: int | None = None
    """What the main object is made of: 0 for other, 1 + the row of a material of the vocabulary; None: not said."""

    worn: bool = False
    """Whether the main object is fabric with somebody in it, and so fabric or other."""

    sky_above: bool = False
    """Whether the upper third shows sky around the main object."""

    water_below: int | None = None
    """1 + the row of water, where the lower third shows it around the main object."""

    foliage_around: int | None = None
    """1 + the row of foliage, where it is what is green around the main object."""


class Concepts:
    """A table of concepts: for each material, for other and for each of HINTS a list of entries. An entry is the name
    of a concept (`violin`) or a pattern of WordNet ids (`n01*`). A photo is named WNID_CONCEPT, or WNID_NUMBER_CONCEPT.
    """

    def __init__(self, table: dict[str, Sequence[str]], materials: Sequence[str]):
        """Raises ValueError for a key that is neither a material of the vocabulary nor one of the others."""
        known = (OTHER, *HINTS, *materials)
        if unknown := [key for key in table if key not in known]:
            raise ValueError(f"a table of concepts with the key {unknown[0]!r}; wanted {', '.join(known)}")
        self.table, self.materials = table, list(materials)

    def of(self, path: Path) -> Concept:
        """What the name of a photo says. Raises ValueError where it is said to be of two materials."""
        wordnet, _, rest = path.stem.partition("_")
        name = re.sub(r"^\d+_", "", rest)
        fits = {
            key
            for key, entries in self.table.items()
            if any(fnmatch(wordnet, e) or name == e for e in entries)
        }
        if "worn" in fits and "fabric" in self.materials:
            fits.add("fabric")
        made_of = fits - set(HINTS)
        if len(made_of) > 1:
            raise ValueError(f"the concept {name!r} is in the table as {' and as '.join(sorted(made_of))}")
        rows = [0 if key == OTHER else 1 + self.materials.index(key) for key in made_of]
        water, foliage = (
            1 + self.materials.index(name) if hint in fits and name in self.materials else None
            for hint, name in (("water_below", "water"), ("foliage_around", "foliage"))
        )
        return Concept(rows[0] if rows else None, "worn" in fits, "sky_above" in fits, water, foliage)


def read_concepts(path: str | Path, materials: Sequence[str]) -> Concepts:
    """The table in a YAML file. Raises FileNotFoundError, and ValueError for a file that is no such table."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no table of concepts {path}")
    table = yaml.safe_load(path.read_text())
    if not isinstance(table, dict) or not all(isinstance(x, list) for x in table.values()):
        raise ValueError(f"{path}: wanted a list of concepts for each material")
    try:
        return Concepts({str(k): [str(e) for e in v] for k, v in table.items()}, materials)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
