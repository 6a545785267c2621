"""Tidy tables on disk: Parquet to read back exactly, CSV to open anywhere."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emoact.stats import rows

ROW_TYPES: Mapping[str, type] = {
    "headline": rows.HeadlineRow,
    "strength": rows.StrengthRow,
    "stability": rows.StabilityRow,
    "variants": rows.VariantRow,
    "distances": rows.DistanceRow,
    "probes": rows.ProbeRow,
    "baselines": rows.BaselineRow,
    "similarity": rows.SimilarityRow,
    "across": rows.AcrossRow,
    "maps": rows.MapRow,
    "points": rows.PointRow,
    "axes": rows.AxisRow,
}
"""What a row of each table is made from."""

_PARQUET = {int: "int64", float: "float64", bool: "bool", str: "string"}
_NUMPY = {int: "int64", float: "float64", bool: "bool", str: "object"}


def columns_of(name: str) -> dict[str, type]:
    """The columns of a table in order, with the type of their values."""
    row = ROW_TYPES[name]
    hints = typing.get_type_hints(row)
    found = {}
    for field in dataclasses.fields(row):
        hint = hints[field.name]
        found[field.name] = hint if hint in _PARQUET else str
    return found


def write_table(
    folder: Path, name: str, table: Sequence[Mapping[str, Any]], *, badges: Sequence[str]
) -> None:
    """Write `<name>.parquet` and `<name>.csv`.

    Badges go into the metadata of the Parquet file, and into a last column of the CSV file where
    there are any: a file that is passed on still says what is wrong with its figures.
    """
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = columns_of(name)
    schema = pa.schema([(column, _PARQUET[kind]) for column, kind in columns.items()])
    values = {column: [row[column] for row in table] for column in columns}
    arrow = pa.table(
        {c: pa.array(values[c], type=schema.field(c).type, from_pandas=False) for c in columns},
        schema=schema.with_metadata({"badges": "; ".join(badges)}),
    )
    pq.write_table(arrow, folder / f"{name}.parquet", compression="zstd")
    frame = pd.DataFrame(values, columns=list(columns))
    if badges:
        frame["badges"] = "; ".join(badges)
    frame.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n", encoding="utf-8")


def read_table(path: Path, name: str) -> Any:
    """The table as a pandas data frame, columns and types as they were written.

    Raises:
        OSError, ValueError: The file is no such table.
    """
    import pyarrow.parquet as pq

    columns = columns_of(name)
    arrow = pq.ParquetFile(path).read()
    if arrow.column_names != list(columns):
        raise ValueError(f"its columns are {', '.join(arrow.column_names)[:200]}")
    frame = arrow.to_pandas()
    return frame.astype({column: _NUMPY[kind] for column, kind in columns.items()})
