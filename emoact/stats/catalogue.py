"""The tables of an analysis and of norms: identifier columns and measures, in their order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from emoact.errors import RequestError
from emoact.measures import Cell, Kind, Measure
from emoact.stats import causes_columns
from emoact.stats.across import between, transfer_table
from emoact.stats.across import geometry as shared
from emoact.stats.directions import emotion, separation, stability, strength
from emoact.stats.distances import distances, geometry
from emoact.stats.norms import tables as norms
from emoact.stats.null import significance
from emoact.stats.probes import candidates, grid, headline_columns, pairs

if TYPE_CHECKING:
    import pandas as pd

Columns = dict[str, Any]
"""Values of one cell by column: one value for all of its rows, or one for each row."""

DTYPES: Mapping[Kind, str] = {
    "float": "float64",
    "int": "int64",
    "bool": "bool",
    "str": "object",
}

_IDENTIFIERS: Mapping[str, tuple[Kind, str]] = {
    "model": ("str", "Folder of the model"),
    "model_a": ("str", "Folder of the first model"),
    "model_b": ("str", "Folder of the second model"),
    "emotion": ("str", "Class label; empty where the figure concerns all classes"),
    "emotion_a": ("str", "First emotion"),
    "emotion_b": ("str", "Second emotion"),
    "site": ("str", "Hook point"),
    "layer": ("int", "Layer, from 0"),
    "norm": ("str", "Kind of the norm: l2, l1 or rms"),
    "position": ("str", "Position in the prompt; by layer, first (position 0) or content"),
    "prompt": ("str", "Id of the prompt, or its place in the file"),
    "dimension": ("int", "Dimension, from 0"),
    "layer_a": ("int", "Layer of the first model, from 0"),
    "layer_b": ("int", "Layer of the second model, from 0"),
    "kind": ("str", "Kind of the direction"),
    "probe": ("str", "mass_mean, lda or logistic"),
    "baseline": ("str", "Name of the baseline"),
    "evaluation": ("str", "cross_validated, or explicit_to_implicit"),
    "measure": ("str", "Name of the similarity"),
    "prompt_id": ("str", "Id of the prompt"),
    "target": ("str", "Label of the second data set"),
    "classifier": ("str", "mass_mean (the direction), lda or logistic, or a baseline of texts"),
    "basis": ("str", "fixed (one basis for all layers), or per_layer"),
    "axis": ("int", "Principal axis, from 0"),
    "component": ("str", "embedding, head, bias (of the output projection) or mlp"),
    "head": ("int", "Head of the layer, from 0"),
    "kv_group": ("int", "Group of keys and values that the head reads"),
    "side": ("str", "raised or lowered"),
    "rank": ("int", "Place at its end, from 1"),
    "token": ("str", "Text of the token"),
}


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table of an analysis."""

    name: str
    title: str
    identifiers: tuple[Measure, ...]
    measures: tuple[Measure, ...]

    @property
    def columns(self) -> Mapping[str, Measure]:
        """Every column in order."""
        return {each.name: each for each in (*self.identifiers, *self.measures)}


def _table(name: str, title: str, identifiers: str, measures: Iterable[Measure]) -> Table:
    return Table(
        name=name,
        title=title,
        identifiers=tuple(
            Measure(name=column, table=name, kind=kind, definition=definition)
            for column in identifiers.split()
            for kind, definition in [_IDENTIFIERS[column]]
        ),
        measures=tuple(each for each in measures if each.table == name),
    )


TABLES: tuple[Table, ...] = (
    _table(
        "headline",
        "Test and verdict of each emotion",
        "model emotion site",
        headline_columns.MEASURES,
    ),
    _table(
        "strength",
        "Strength, significance and held-out separation of each direction by layer",
        "model emotion site layer",
        (
            *strength.MEASURES,
            *significance.MEASURES,
            *separation.MEASURES,
            *emotion.MEASURES,
        ),
    ),
    _table(
        "stability",
        "Agreement of each direction with itself on other scenarios",
        "model emotion site layer",
        stability.MEASURES,
    ),
    _table(
        "variants",
        "Other kinds of direction beside the one that the analysis uses",
        "model emotion site layer kind",
        emotion.MEASURES,
    ),
    _table(
        "distances",
        "Cosines between the directions of two emotions by layer",
        "model site layer emotion_a emotion_b",
        distances.MEASURES,
    ),
    _table(
        "probes",
        "Held-out accuracy of each probe by layer",
        "model emotion site layer probe evaluation",
        grid.MEASURES,
    ),
    _table(
        "baselines",
        "Held-out accuracy of classifiers that see words only",
        "model emotion baseline evaluation",
        candidates.MEASURES,
    ),
    _table(
        "pairs",
        "Held-out accuracy of one emotion against another",
        "model site emotion_a emotion_b evaluation",
        pairs.MEASURES,
    ),
    _table(
        "similarity",
        "Similarity of two models at matched layers",
        "model_a model_b site layer_a layer_b measure",
        between.MEASURES,
    ),
    _table(
        "across",
        "Directions of one emotion in two models at matched layers",
        "model_a model_b site emotion layer_a layer_b",
        (*shared.MEASURES, *between.MEASURES),
    ),
    _table(
        "maps",
        "Similarity of every layer of one model and every layer of another",
        "model_a model_b site measure emotion layer_a layer_b",
        between.MEASURES,
    ),
    _table(
        "points",
        "Prompts on the principal axes; of more than 2,000 a sample of whole scenarios",
        "model site layer emotion prompt_id basis",
        geometry.MEASURES,
    ),
    _table(
        "axes",
        "Explained variance of the principal axes",
        "model site layer basis axis",
        geometry.MEASURES,
    ),
)


NORM_TABLES: tuple[Table, ...] = tuple(
    _table(f"norms_{name}", title, identifiers, norms.MEASURES)
    for name, title, identifiers in (
        ("layer", "Norms by layer", "model emotion site layer norm position"),
        ("position", "Norms by layer and position", "model emotion site layer norm position"),
        ("prompt", "Mean norm of each prompt", "model emotion site layer norm prompt"),
        ("token", "Norm of each token", "model emotion site layer norm prompt position"),
        ("length", "Length of each prompt", "model emotion prompt"),
        ("growth", "Growth of the residual stream by layer", "model emotion layer"),
        ("dimension", "Magnitude of each dimension", "model emotion site layer dimension"),
    )
)
"""The tables of `emoact norms`, by its option `--by`."""


TRANSFER_TABLES: tuple[Table, ...] = (
    _table(
        "transfer",
        "Directions, probes and baselines of one data set, tested on another",
        "model emotion target site classifier",
        transfer_table.MEASURES,
    ),
    _table(
        "transfer_layers",
        "The same of each layer",
        "model emotion target site layer probe",
        transfer_table.MEASURES,
    ),
)
"""The tables of `emoact transfer`."""


CAUSE_TABLES: tuple[Table, ...] = (
    _table(
        "heads",
        "Contributions of every component to a direction",
        "component layer head kv_group",
        causes_columns.MEASURES,
    ),
    _table(
        "lens",
        "Tokens of a direction through the unembedding",
        "side rank token",
        causes_columns.MEASURES,
    ),
)
"""The tables of results about heads and directions."""


def table_named(name: str, among: Sequence[Table] | None = None) -> Table:
    """The table of this name, of all tables unless some are given; `RequestError` without one."""
    for table in among or (*TABLES, *NORM_TABLES, *TRANSFER_TABLES, *CAUSE_TABLES):
        if table.name == name:
            return table
    names = ", ".join(table.name for table in TABLES)
    raise RequestError(f"there is no table {name!r}; there are {names}")


def measure(table: str, name: str) -> Measure:
    """The record of a column; `RequestError` without such a table or column."""
    columns = table_named(table).columns
    if name not in columns:
        raise RequestError(f"table {table} has no column {name!r}; it has {', '.join(columns)}")
    return columns[name]


def labelled(table: str) -> tuple[Measure, ...]:
    """The measures of a table that a picker offers."""
    return tuple(each for each in table_named(table).measures if each.label)


def computed(cell: Cell) -> Columns:
    """Identifier columns of one cell, and the measures that need no significance."""
    columns = dict(cell.ids)
    for each in table_named(cell.table).measures:
        if each.compute is not None and not each.judged:
            columns[each.name] = each.compute(cell.source)
    return columns


def frame(table: str, cells: Sequence[Columns]) -> pd.DataFrame:
    """Cells one below the other as a data frame with the columns and types of a table.

    Raises:
        ValueError: The columns of a cell differ in length.
    """
    import pandas as pd

    sizes = [_n_rows(cell) for cell in cells]
    columns = {}
    for name, column in table_named(table).columns.items():
        dtype = DTYPES[column.kind]
        values = _column([cell[name] for cell in cells], sizes, dtype)
        # Without a dtype, pandas makes strings of its own of objects.
        columns[name] = pd.Series(values, dtype=dtype, copy=False)
    # Without a copy: a row for each prompt and layer is large.
    return pd.DataFrame(columns, copy=False)


def _n_rows(cell: Columns) -> int:
    lengths = {len(value) for value in cell.values() if _is_column(value)}
    if len(lengths) > 1:
        raise ValueError(f"the columns of a cell have {sorted(lengths)} rows")
    return lengths.pop() if lengths else 1


def _column(values: Sequence[Any], sizes: Sequence[int], dtype: str) -> np.ndarray:
    parts = [
        np.asarray(value, dtype=dtype) if _is_column(value) else np.full(size, value, dtype=dtype)
        for value, size in zip(values, sizes, strict=True)
    ]
    return np.concatenate([np.empty(0, dtype=dtype), *parts])


def _is_column(value: Any) -> bool:
    return not isinstance(value, str) and np.ndim(value) == 1


def measures_markdown(table: str) -> str:
    """The measures of a table as a Markdown table for `docs/methods.md`."""
    lines = ["| column | unit | definition |", "|---|---|---|"]
    for each in table_named(table).measures:
        text = ". ".join(part for part in (each.definition, each.formula) if part)
        text += f" ({each.source})" if each.source else ""
        text = text.replace("|", r"\|")
        lines.append(f"| `{each.name}` | {each.unit} | {text} |")
    return "\n".join(lines)
