"""Tables on disk: Parquet to read back exactly, CSV for other tools."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emoact.measures import Kind, Measure
from emoact.stats import catalogue
from emoact.stats.directions.directions import DIRECTION_KINDS
from emoact.stats.probes.probes import EVALUATIONS, PROBE_KINDS

if TYPE_CHECKING:
    import pandas as pd

_BLANKS: dict[Kind, float | bool | str] = {
    "float": float("nan"),
    "int": float("nan"),
    "bool": False,
    "str": "",
}
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_NAMES: Mapping[str, Collection[str]] = {
    "evaluation": EVALUATIONS,
    "probe": PROBE_KINDS,
    "kind": DIRECTION_KINDS,
    "basis": ("fixed", "per_layer"),
}
"""Values of identifier columns that do not depend on the analysis."""
_MOST_PLACES = 1000
"""Layers of a model, and axes."""
_BATCH = 1024
_LARGEST = 1_000_000_000
"""Bytes of a table in memory."""
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
    (folder / f"{name}.csv").write_text(csv_of(table, badges), encoding="utf-8")


def csv_of(table: pd.DataFrame, badges: Sequence[str], shown: Callable[[str], str] = str) -> str:
    """A table in full, with the badges as a last column where there are any.

    A spreadsheet would compute a text that begins like a formula. Such a text gets an apostrophe.
    `shown` is applied to every text and name of a column first.
    """

    def harmless(cell: Any) -> Any:
        text = shown(cell) if isinstance(cell, str) else cell
        return f"'{text}" if isinstance(text, str) and text.startswith(_FORMULA) else text

    rows = table.assign(badges="; ".join(badges)) if badges else table
    texts = rows.select_dtypes(["object", "string", "category"])
    clean = rows.assign(**{name: texts[name].map(harmless) for name in texts})
    clean = clean.rename(columns=harmless)
    return str(clean.to_csv(index=False, lineterminator="\n"))


def missing_columns(data: bytes, name: str) -> tuple[str, ...]:
    """Known columns of a table that the file lacks.

    Raises:
        OSError, ValueError: The bytes are no Parquet file.
    """
    there = _parquet(data).schema_arrow.names
    return tuple(column for column in _known(name) if column not in there)


def read_table(data: bytes, name: str) -> pd.DataFrame:
    """A table as it was written.

    Missing columns are filled with blanks (NaN, False, an empty text); unknown columns come last.

    Raises:
        OSError, ValueError: The bytes are no Parquet file, lack an identifier column, or hold a
            column of another type.
    """
    columns = _known(name)
    frame = _parquet(data).read().to_pandas()
    there = list(frame)
    for column, each in columns.items():
        if column in there:
            frame[column] = frame[column].astype(catalogue.DTYPES[each.kind])
        elif each.compute is None:
            raise ValueError(f"it has no column {column}")
        else:
            frame[column] = _BLANKS[each.kind]
    return frame[[*columns, *(column for column in there if column not in columns)]]


def _parquet(data: bytes) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    return pq.ParquetFile(pa.BufferReader(data))


def check_rows(frame: pd.DataFrame, name: str, allowed: Mapping[str, Collection[str]]) -> None:
    """Check that the rows of a table are named as those of its analysis.

    Views look rows up by these names, and make lists of all layers up to the last. `allowed` has
    the values of `model`, `site` and `emotion`, and so of `model_a` and the like.

    Raises:
        ValueError: A row has another name; says which.
    """
    tables = {each.name: each for each in catalogue.TABLES}
    columns = tables[name].identifiers if name in tables else ()
    for each in columns:
        values = frame[each.name]
        known = allowed.get(each.name.removesuffix("_a").removesuffix("_b"), _NAMES.get(each.name))
        if each.kind == "int":
            unknown = values[(values < 0) | (values >= _MOST_PLACES)]
        else:
            unknown = values[:0] if known is None else values[~values.isin(list(known))]
        if len(unknown):
            raise ValueError(f"{each.name} is {unknown.tolist()[0]!r:.80} in {len(unknown):,} rows")
    if "evaluation" in frame and not frame["evaluation"].isin(EVALUATIONS).all():
        raise ValueError("a row has an unknown evaluation")
    if "emotion_b" in frame and (frame["emotion_a"] == frame["emotion_b"]).any():
        raise ValueError("a row compares an emotion with itself")


def check_size(path: str) -> int:
    """Bytes of a table in memory; called in a process with limits, before another reads it.

    Raises:
        OSError, ValueError: It is no Parquet file, or has more than a table can have.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    total = 0
    for batch in pq.ParquetFile(path).iter_batches(batch_size=_BATCH):
        for column in batch.columns:
            coded = pa.types.is_dictionary(column.type)
            total += (column.dictionary_decode() if coded else column).nbytes
        if total > _LARGEST:
            raise ValueError(f"it has more than {_LARGEST:,} bytes in memory")
    return total


def _known(name: str) -> Mapping[str, Measure]:
    return {each.name: each.columns for each in catalogue.TABLES}.get(name, {})
