"""The `Measure` record: one column of a table, with its meaning and the function that computes it.

Tables on disk, pickers, axis titles, help texts, exports and the tables of `docs/methods.md` are
derived from these records. `emoact.stats.catalogue` gathers them into tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

Kind = Literal["float", "int", "bool", "str"]


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One column of a table.

    Attributes:
        name: Column.
        table: Name of its table.
        definition: One line of plain text, without a full stop; help texts and documentation.
        kind: Type of the values.
        compute: From the source of a cell to one value, or to one value for each row of the cell.
            Identifier columns have none: the cell names them.
        judged: The value needs the significance over all emotions and models; its table computes it
            at the end.
        label: Name in pickers; a measure without a label is in no picker.
        axis: Axis title; the label and the unit where it is empty.
        unit: Unit of the values; empty for a pure number.
        formula: Formula in plain text; d is the direction.
        source: Publication.
        interval: Columns of the lower and upper end of the 95 % interval.
        null: Columns of the lower and upper end of the 95 % band of the null distribution.
        per: Column that divides `interval` and `null` to give them the units of this measure.
        chance: Expected value without an effect, where it is known without a null distribution.
        no_effect: Name of `chance` in a legend.
        since: First version of emoact that has the column.
    """

    name: str
    table: str
    definition: str
    kind: Kind = "float"
    compute: Callable[[Any], Any] | None = None
    judged: bool = False
    label: str = ""
    axis: str = ""
    unit: str = ""
    formula: str = ""
    source: str = ""
    interval: tuple[str, str] | None = None
    null: tuple[str, str] | None = None
    per: str = ""
    chance: float | None = None
    no_effect: str = "no effect"
    since: str = "0.1.0"

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"{self.table}.{self.name}: kind is {self.kind!r}; see Kind")
        if not self.name.isidentifier():
            raise ValueError(f"{self.name!r} is no column name; use letters, digits and _")

    @property
    def axis_title(self) -> str:
        """Axis title with the unit."""
        if self.axis:
            return self.axis
        name = self.label or self.name
        return f"{name}, {self.unit}" if self.unit else name


@dataclass(frozen=True, kw_only=True, eq=False)
class Cell:
    """Rows of a table that are computed together.

    Attributes:
        table: Name of the table.
        ids: Identifier columns: one value for all rows, or one for each row.
        source: Argument of the measures.
    """

    table: str
    ids: Mapping[str, Any]
    source: Any


def ends(
    low: str, high: str, *, table: str, of: str, unit: str = "", compute: Callable[[Any], Any]
) -> tuple[Measure, Measure]:
    """The two columns of an interval or a band.

    Args:
        low: Column of the lower end.
        high: Column of the upper end.
        table: Their table.
        of: The interval, such as "the 95 % interval of cv".
        unit: Unit of both.
        compute: From the source of a cell to both ends.
    """
    sides = ((low, "Lower", 0), (high, "Upper", 1))
    first, second = (
        Measure(
            name=name,
            table=table,
            definition=f"{side} end of {of}",
            unit=unit,
            compute=lambda source, index=index: compute(source)[index],  # type: ignore[misc]
        )
        for name, side, index in sides
    )
    return first, second
