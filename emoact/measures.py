"""The `Measure` record: one column of a table, with its meaning and the function that computes it.

Tables on disk, pickers, axis titles, help texts, exports and the tables of `docs/methods.md` are
derived from these records. `emoact.stats.catalogue` gathers them into tables.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

Kind = Literal["float", "int", "bool", "str"]


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One column of a table.

    Attributes:
        definition: One line of plain text, without a full stop; help texts and documentation.
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
        ids: Identifier columns: one value for all rows, or one for each row.
    """

    table: str
    ids: Mapping[str, Any]
    source: Any


@dataclass(frozen=True)
class Columns:
    """Declaration of the columns of one table, so that the table is named once.

    Attributes:
        path: Attribute of the source of a cell whose attributes are columns; the source itself
            where it is empty.
        judged: As in `Measure`, for every column.
    """

    table: str
    path: str = ""
    judged: bool = False

    def __call__(
        self, name: str, definition: str, compute: Callable[[Any], Any] | None = None, **facts: Any
    ) -> Measure:
        """One column; `compute` maps the source of a cell to the values, by default its `name`."""
        return Measure(
            name=name,
            table=self.table,
            definition=definition,
            compute=compute or self._attribute(name),
            judged=self.judged,
            **facts,
        )

    def ends(
        self, low: str, high: str, of: str, compute: Callable[[Any], Any], *, unit: str = ""
    ) -> tuple[Measure, Measure]:
        """The two columns of an interval or a band, such as "the 95 % interval of cv"."""
        return (
            self(low, f"Lower end of {of}", lambda source: compute(source)[0], unit=unit),
            self(high, f"Upper end of {of}", lambda source: compute(source)[1], unit=unit),
        )

    def estimate(
        self,
        name: str,
        definition: str,
        compute: Callable[[Any], Any] | None = None,
        *,
        of: str,
        ends: Callable[[Any], Any] | None = None,
        stem: str | None = None,
        unit: str = "",
        **facts: Any,
    ) -> tuple[Measure, ...]:
        """A column, and after it the two columns of its interval.

        Args:
            name: Column of the estimate.
            definition: One line of plain text.
            compute: From the source of a cell to the estimate; its attribute `name` when None.
            of: The interval, as in `ends`.
            ends: From the source of a cell to both ends; its attribute `stem_interval` when None.
            stem: The columns of the interval are `stem_low` and `stem_high`, or `low` and `high`
                where it is empty; the name of the estimate when None.
            unit: Unit of all three.
            facts: Further fields of `Measure`.
        """
        prefix = f"{name if stem is None else stem}_".lstrip("_")
        low, high = f"{prefix}low", f"{prefix}high"
        first = self(name, definition, compute, unit=unit, interval=(low, high), **facts)
        ends = ends or self._attribute(f"{prefix}interval")
        return (first, *self.ends(low, high, of, ends, unit=unit))

    def _attribute(self, name: str) -> Callable[[Any], Any]:
        return operator.attrgetter(f"{self.path}.{name}" if self.path else name)
