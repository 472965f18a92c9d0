"""Named swatches, several exemplars for each style."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from torch import Tensor

from unistyle.errors import UnknownNameError
from unistyle.files.folders import same
from unistyle.styles.names import check_style_name, meant
from unistyle.styles.swatches import Swatches, together, without_samples


@dataclass(frozen=True)
class StyleBank:
    """Named swatches, several exemplars for each style."""

    names: tuple[tuple[str, str], ...]
    """One (style, exemplar) pair for each row of the codes; all are different."""
    codes: Tensor
    """Style codes `n d`, fp32, on the CPU."""
    swatches: Swatches = field(default=None)  # type: ignore[assignment]  # settled below
    """The exemplars as swatches, on the CPU; without samples where only codes are given."""

    def __post_init__(self):
        if self.codes.ndim != 2 or len(self.codes) != len(self.names):
            raise ValueError(
                f"{len(self.names)} names for codes of shape {tuple(self.codes.shape)}; wanted one for each row"
            )
        object.__setattr__(self, "names", tuple((same(style), same(name)) for style, name in self.names))
        if len(set(self.names)) < len(self.names):
            raise ValueError("two exemplars of the bank have the same name; give each its own")
        if self.swatches is None:
            object.__setattr__(self, "swatches", without_samples(self.codes))

    @classmethod
    def of(cls, names: tuple[tuple[str, str], ...], swatches: Swatches) -> "StyleBank":
        """A bank of swatches."""
        return cls(names, swatches.codes, swatches)

    @property
    def styles(self) -> list[str]:
        """The names of the styles, in the bank's order."""
        return list(dict.fromkeys(style for style, _ in self.names))

    def rows(self, name: str) -> list[int]:
        """Rows of a style (`stone`), or the row of one exemplar of it (`stone/quarry`), in any form of its signs
        (`same`); none if it is unknown."""
        name = same(name)
        return [i for i, (style, exemplar) in enumerate(self.names) if name in (style, f"{style}/{exemplar}")]

    def find(self, name: str, hint: str = "") -> list[int]:
        """As `rows`, but capitals do not count where only one name is meant, and an unknown name raises
        UnknownNameError, which lists the known ones and ends with a hint."""
        exemplars = [f"{style}/{exemplar}" for style, exemplar in self.names]
        rows = self.rows(name) or self.rows(meant(name, [*self.styles, *exemplars]) or "")
        if not rows:
            known = exemplars if name.partition("/")[0] in self.styles else self.styles
            raise UnknownNameError("style", name, known, hint)
        return rows

    def only(self, rows: Iterable[int]) -> "StyleBank":
        """The bank of some of the rows, in the order given."""
        rows = list(rows)
        return StyleBank.of(tuple(self.names[row] for row in rows), self.swatches[rows])

    def without(self, *names: str) -> "StyleBank":
        """The bank without whole styles (`stone`) and single exemplars (`stone/quarry`). Raises UnknownNameError."""
        gone = {row for name in names for row in self.find(name)}
        return self.only(row for row in range(len(self.names)) if row not in gone)

    def renamed(self, old: str, new: str) -> "StyleBank":
        """The bank with another name for one style. Raises UnknownNameError for a style that it does not have, and
        ValueError for a name that a style cannot have, or that another one has."""
        if (found := meant(old, self.styles)) is None:
            raise UnknownNameError("style", old, self.styles, " Styles are renamed, their exemplars are not.")
        old, new = found, same(new)
        check_style_name(new)
        if new in self.styles:
            raise ValueError(f"style {new!r} is in the bank already; choose another name, or remove it first")
        names = tuple((new if style == old else style, exemplar) for style, exemplar in self.names)
        return StyleBank.of(names, self.swatches)

    def joined(self, other: "StyleBank", replace: bool = False) -> "StyleBank":
        """This bank, and after it what only the other bank has.

        Two styles of one name count as the same style if they share an exemplar and the codes of all shared
        exemplars are equal. Of such a style only the new exemplars join. replace: styles of the other bank take the
        place of all styles of their names.

        Raises ValueError for codes of another length, and, naming them, for different styles of one name.
        """
        if self.codes.shape[1] != other.codes.shape[1]:
            lengths = [bank.codes.shape[1] for bank in (other, self)]
            raise ValueError("style codes of {} numbers for a bank whose codes have {}".format(*lengths))
        differing = [style for style in other.styles if style in self.styles and self._differs(other, style)]
        if differing and not replace:
            raise ValueError(
                f"the bank has other styles of the name {', '.join(map(repr, differing))}; "
                "rename them (unistyle bank rename), or give --replace to lose the bank's own"
            )
        kept = self.without(*(style for style in other.styles if style in self.styles)) if replace else self
        new = other.only(row for row, name in enumerate(other.names) if name not in kept.names)
        return StyleBank.of(kept.names + new.names, together([kept.swatches, new.swatches]))

    def _differs(self, other: "StyleBank", style: str) -> bool:
        """Whether a name that both banks have stands for two different styles."""
        mine, theirs = (
            {bank.names[row]: bank.swatches[row].tensors for row in bank.rows(style)}
            for bank in (self, other)
        )
        common = mine.keys() & theirs.keys()
        return not common or any(
            not x.equal(y) for n in common for x, y in zip(mine[n], theirs[n], strict=True)
        )
