"""Child process that unpacks one Parquet file: bytes in, one JSON message per line out."""

from __future__ import annotations

import contextlib
import json
import resource
import sys
from collections.abc import Iterator
from typing import Any

from emoact.data.rows import FIELDS, shown

_BATCH = 1024
_EXPANSION = 20
"""Largest unpacked size of the columns, as a multiple of the largest size of a file."""
_MEMORY = 8 * 1024**3
_SECONDS = 120
_INTEGERS = ("id", "scenario_id")


class _RefusedError(Exception):
    """Refusal: place or None, problem, remedy."""


def main(max_bytes: int, max_chars: int) -> None:
    """Read a Parquet file from standard input; write its columns, its rows and an end mark."""
    data = sys.stdin.buffer.read()
    # Not every system can limit the address space; where it can, a decompression bomb ends here.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for message in _messages(data, max_bytes, max_chars):
        sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def _messages(data: bytes, max_bytes: int, max_chars: int) -> Iterator[object]:
    import pyarrow as pa

    errors = (pa.ArrowException, OSError, ValueError, TypeError, OverflowError, MemoryError)
    try:
        yield from _content(data, max_bytes, max_chars)
    except _RefusedError as refused:
        yield {"refused": refused.args}
    except errors as error:
        yield {"damaged": shown(str(error), limit=120)}
    else:
        yield {"end": True}


def _content(data: bytes, max_bytes: int, max_chars: int) -> Iterator[object]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pq.ParquetFile(pa.BufferReader(data)).schema_arrow
    columns = _columns(schema)
    texts = [name for name in columns if not pa.types.is_integer(schema.field(name).type)]
    # Dictionary columns stay dictionaries, so that a short file cannot expand to gigabytes.
    file = pq.ParquetFile(pa.BufferReader(data), read_dictionary=texts)
    _check_expansion(file.metadata, max_bytes)
    known = set(schema.names)
    yield {"columns": columns if {"text", "emotion"} <= known else [str(n) for n in schema.names]}
    start = 0
    for batch in file.iter_batches(batch_size=_BATCH, columns=columns):
        values = [_values(name, batch.column(name), start, max_chars) for name in columns]
        for record in zip(*values, strict=True):
            yield list(record)
        start += batch.num_rows


def _columns(schema: Any) -> list[str]:
    """Known columns of the file, each checked to have a readable type."""
    import pyarrow as pa

    names = list(schema.names)
    known = [field for field in FIELDS if field in names]
    for field in known:
        if names.count(field) > 1:
            problem = f"the column {field!r} occurs {names.count(field)} times"
            raise _RefusedError(None, problem, "Rename or remove all but one of them.")
        kind = schema.field(field).type
        value = kind.value_type if pa.types.is_dictionary(kind) else kind
        text = (
            pa.types.is_string(value)
            or pa.types.is_large_string(value)
            or pa.types.is_string_view(value)
        )
        number = pa.types.is_integer(kind) and field in _INTEGERS
        absent = pa.types.is_null(kind) and field not in ("text", "emotion")
        if not (text or number or absent):
            allowed = "text or integers" if field in _INTEGERS else "text"
            problem = f"the column {field!r} holds {shown(str(kind))}; {allowed} is needed"
            raise _RefusedError(None, problem, "Convert the column to strings before saving.")
    return [field for field in known if not pa.types.is_null(schema.field(field).type)]


def _check_expansion(metadata: Any, max_bytes: int) -> None:
    size = 0
    for group in range(metadata.num_row_groups):
        chunks = metadata.row_group(group)
        for column in range(chunks.num_columns):
            chunk = chunks.column(column)
            if chunk.path_in_schema in FIELDS:
                size += chunk.total_uncompressed_size
    if size > max_bytes * _EXPANSION:
        allowed = max_bytes * _EXPANSION
        problem = f"its columns take {size:,} bytes unpacked; {allowed:,} are allowed"
        raise _RefusedError(
            None, problem, "Split the data set, or raise max_bytes (environment: EMOACT_MAX_BYTES)."
        )


def _values(name: str, column: Any, start: int, max_chars: int) -> list[object]:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type):
        lengths = pc.take(pc.binary_length(column.dictionary), column.indices)
        # A character has at most four bytes.
        too_long = pc.index(pc.greater(lengths, 4 * max_chars), True).as_py()
        if too_long >= 0:
            problem = f"{name} is longer than {max_chars:,} characters"
            where = f"row {start + too_long + 1}"
            raise _RefusedError(
                where, problem, "Shorten it, or raise max_chars (environment: EMOACT_MAX_CHARS)."
            )
    values: list[object] = []
    for index, value in enumerate(column):
        try:
            values.append(value.as_py())
        except UnicodeDecodeError:
            where = f"row {start + index + 1}"
            problem, remedy = f"{name} is not UTF-8", "Write the column again as Unicode text."
            raise _RefusedError(where, problem, remedy) from None
    return values
