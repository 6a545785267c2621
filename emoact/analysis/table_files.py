"""Tables on disk: Parquet to read back exactly, CSV for other tools."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from emoact.measures import Kind
from emoact.stats import catalogue

if TYPE_CHECKING:
    import pandas as pd

_BLANKS: dict[Kind, float | bool | str] = {
    "float": float("nan"),
    "int": float("nan"),
    "bool": False,
    "str": "",
}
_PARQUET: dict[Kind, str] = {"float": "float64", "int": "int64", "bool": "bool", "str": "string"}


def write_table(folder: Path, name: str, table: pd.DataFrame, *, badges: Sequence[str]) -> None:
    """Write `<name>.parquet` and `<name>.csv`.

    Badges go into the metadata of the Parquet file, and into a last column of the CSV file where
    there are any: a copied file keeps its warnings.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = catalogue.table_named(name).columns
    schema = pa.schema([(column, _PARQUET[each.kind]) for column, each in columns.items()])
    arrow = pa.table(
        {
            column: pa.array(table[column].to_numpy(), type=schema.field(column).type)
            for column in columns
        },
        schema=schema.with_metadata({"badges": "; ".join(badges)}),
    )
    pq.write_table(arrow, folder / f"{name}.parquet", compression="zstd")
    if badges:
        table = table.assign(badges="; ".join(badges))
    table.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n", encoding="utf-8")


def read_table(path: Path, name: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """A table as it was written, and the known columns that the file lacks.

    Missing columns are filled with blanks (NaN, False, an empty text); unknown columns come last.

    Raises:
        OSError, ValueError: The file is no Parquet file, lacks an identifier column, or holds a
            column of another type.
    """
    import pyarrow.parquet as pq

    columns = {each.name: each.columns for each in catalogue.TABLES}.get(name, {})
    frame = pq.ParquetFile(path).read().to_pandas()
    missing = tuple(column for column in columns if column not in frame)
    for column in missing:
        if columns[column].compute is None:
            raise ValueError(f"it has no column {column}")
        frame[column] = _BLANKS[columns[column].kind]
    frame = frame.astype(
        {c: catalogue.DTYPES[e.kind] for c, e in columns.items() if c not in missing}
    )
    unknown = [column for column in frame if column not in columns]
    return frame[[*columns, *unknown]], missing
