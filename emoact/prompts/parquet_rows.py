"""Rows of Parquet files: only the columns that matter, never expanded beyond a batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from emoact.errors import RequestError
from emoact.prompts.refusal import refusal, shown
from emoact.prompts.rows import FIELDS, REQUIRED, Row, missing_field
from emoact.prompts.source import Source

_BATCH = 1024
_EXPANSION = 20
"""How many times the size allowed for the file its columns may take when unpacked."""
_MAGIC = b"PAR1"


def parquet_rows(source: Source, *, max_bytes: int, max_chars: int) -> Iterator[Row]:
    """One row per record.

    Raises:
        RequestError: The file is no Parquet file, lacks a column, or a column holds something else
            than text (or integers, for identifiers).
    """
    # Here and not above: half a second that the other formats need not pay.
    import pyarrow as pa  # type: ignore[import-untyped]

    if not (source.data.startswith(_MAGIC) and source.data.endswith(_MAGIC)):
        raise _damaged(source, "the marks at its beginning and end are missing")
    errors = (pa.ArrowException, OSError, ValueError, TypeError, OverflowError, MemoryError)
    try:
        batches = _batches(source, max_bytes)
        start = 0
        while (batch := next(batches, None)) is not None:
            yield from _batch_rows(source, batch, start, max_chars)
            start += batch.num_rows
    except errors as error:
        raise _damaged(source, shown(str(error), limit=120)) from None


def _batches(source: Source, max_bytes: int) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    schema = pq.ParquetFile(pa.BufferReader(source.data)).schema_arrow
    columns = _columns(source, schema)
    texts = [name for name in columns if not pa.types.is_integer(schema.field(name).type)]
    # Dictionary columns stay dictionaries, so that a short file cannot stand for gigabytes.
    file = pq.ParquetFile(pa.BufferReader(source.data), read_dictionary=texts)
    _check_expansion(source, file.metadata, max_bytes)
    batches: Iterator[Any] = file.iter_batches(batch_size=_BATCH, columns=columns)
    return batches


def _columns(source: Source, schema: Any) -> list[str]:
    """The known columns that the file has, each of a type that can be read."""
    import pyarrow as pa

    names = list(schema.names)
    for field in REQUIRED:
        if field not in names:
            problem, remedy = missing_field(field, names)
            raise refusal(source.path, None, problem, remedy=remedy)
    known = [field for field in FIELDS if field in names]
    for field in known:
        if names.count(field) > 1:
            raise refusal(
                source.path,
                None,
                f"the column {field!r} occurs {names.count(field)} times",
                remedy="Rename or remove all but one of them.",
            )
        kind = schema.field(field).type
        value = kind.value_type if pa.types.is_dictionary(kind) else kind
        text = pa.types.is_string(value) or pa.types.is_large_string(value)
        number = pa.types.is_integer(kind) and field in ("id", "scenario_id")
        absent = pa.types.is_null(kind) and field not in REQUIRED
        if not (text or number or absent or pa.types.is_string_view(value)):
            allowed = "text or integers" if field in ("id", "scenario_id") else "text"
            raise refusal(
                source.path,
                None,
                f"the column {field!r} holds {shown(str(kind))}; {allowed} is needed",
                remedy="Convert the column to strings before saving.",
            )
    return [field for field in known if not pa.types.is_null(schema.field(field).type)]


def _check_expansion(source: Source, metadata: Any, max_bytes: int) -> None:
    size = 0
    for group in range(metadata.num_row_groups):
        chunks = metadata.row_group(group)
        for column in range(chunks.num_columns):
            chunk = chunks.column(column)
            if chunk.path_in_schema in FIELDS:
                size += chunk.total_uncompressed_size
    if size > max_bytes * _EXPANSION:
        raise refusal(
            source.path,
            None,
            f"its columns take {size:,} bytes unpacked; {max_bytes * _EXPANSION:,} are allowed",
            remedy="Split the data set, or raise max_bytes.",
        )


def _batch_rows(source: Source, batch: Any, start: int, max_chars: int) -> Iterator[Row]:
    columns = {
        name: _values(source, name, batch.column(name), start, max_chars)
        for name in batch.schema.names
    }
    for index in range(batch.num_rows):
        fields = {name: values[index] for name, values in columns.items()}
        yield Row(f"row {start + index + 1}", fields)


def _values(source: Source, name: str, column: Any, start: int, max_chars: int) -> list[object]:
    import pyarrow as pa
    import pyarrow.compute as pc  # type: ignore[import-untyped]

    if pa.types.is_dictionary(column.type):
        lengths = pc.take(pc.binary_length(column.dictionary), column.indices)
        # No character takes more than four bytes.
        too_long = pc.index(pc.greater(lengths, 4 * max_chars), True).as_py()
        if too_long >= 0:
            raise refusal(
                source.path,
                f"row {start + too_long + 1}",
                f"{name} is longer than {max_chars:,} characters",
                remedy="Shorten it, or raise max_chars.",
            )
    values: list[object] = []
    for index, value in enumerate(column):
        try:
            values.append(value.as_py())
        except UnicodeDecodeError:
            raise refusal(
                source.path,
                f"row {start + index + 1}",
                f"{name} is not UTF-8",
                remedy="Write the column again as Unicode text.",
            ) from None
    return values


def _damaged(source: Source, reason: str) -> RequestError:
    return refusal(
        source.path,
        None,
        f"this is no readable Parquet file ({reason})",
        remedy="Write it again, for example with pandas' to_parquet, or name it after what it is.",
    )
