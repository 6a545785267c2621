"""Rows of Parquet files, unpacked in a child process.

A damaged Parquet file can make pyarrow abort its process, which no `except` can catch. The child
keeps such a crash away from the dashboard, and turns it into a refusal. Bytes go in; one JSON list
a line comes out: a kind of message and its content.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, cast

from emoact.child import environment, limit
from emoact.data.rows import FIELDS, REQUIRED, Refused, Row, missing_field, shown

_MAGIC = b"PAR1"
_ROOT = str(Path(__file__).resolve().parents[2])
_CHILD = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from emoact.data.parquet_rows import unpack; unpack(int(sys.argv[2]), int(sys.argv[3]))"
)
_BATCH = 1024
_EXPANSION = 20
"""Largest unpacked size of the columns, as a multiple of the largest size of a file."""
_MEMORY = 4 * 1024**3
_SECONDS = 120
_INTEGERS = ("id", "scenario_id")
_SPLIT = "Split the data set, or raise EMOACT_MAX_BYTES."


def parquet_rows(data: bytes, *, max_bytes: int, max_chars: int) -> Iterator[Row]:
    """One row for each record.

    Raises:
        Refused: The file is not a Parquet file, lacks a column, or has a column of another
            type than text (or integers, for identifiers).
    """
    if not (data.startswith(_MAGIC) and data.endswith(_MAGIC)):
        raise _damaged("the marks at its beginning and end are missing")
    with subprocess.Popen(
        [sys.executable, "-P", "-c", _CHILD, _ROOT, str(max_bytes), str(max_chars)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(),
    ) as child:
        try:
            # A child that ended early has said why, or is taken for crashed.
            with suppress(BrokenPipeError), cast("IO[bytes]", child.stdin) as pipe:
                pipe.write(data)
            yield from _received(cast("IO[bytes]", child.stdout), max_bytes)
        finally:
            child.kill()


def _received(pipe: IO[bytes], max_bytes: int) -> Iterator[Row]:
    """Rows from the messages of the child, up to the end mark."""
    n_bytes = 0
    for number, line in enumerate(pipe, start=1):
        # A dictionary of few texts can stand for millions of rows.
        n_bytes += len(line)
        if n_bytes > max_bytes:
            problem = f"the rows up to here take more than {max_bytes:,} bytes as text"
            raise Refused(f"row {number}", problem, _SPLIT)
        content: Any
        kind, content = json.loads(line) if line.endswith(b"\n") else ("cut off", None)
        if kind == "row":
            yield Row(f"row {number}", content)
        elif kind == "refused":
            raise Refused(*content)
        elif kind == "damaged":
            raise _damaged(content)
        elif kind == "end":
            return
    raise _damaged("the reader crashed, or took too much memory or time")


def _damaged(reason: str) -> Refused:
    return Refused(
        None,
        f"this is not a readable Parquet file ({reason})",
        "Write it again, for example with pandas' to_parquet, or correct its extension.",
    )


def unpack(max_bytes: int, max_chars: int) -> None:
    """Read a Parquet file from standard input; write its rows and an end mark, or a refusal."""
    import pyarrow as pa

    data = sys.stdin.buffer.read()
    limit(memory=_MEMORY, seconds=_SECONDS)
    errors = (pa.ArrowException, OSError, ValueError, TypeError, OverflowError, MemoryError)
    try:
        for row in _content(data, max_bytes, max_chars):
            _say("row", row)
        _say("end", None)
    except Refused as refused:
        _say("refused", refused.args)
    except errors as error:
        _say("damaged", shown(str(error), limit=120))
    sys.stdout.flush()


def _say(kind: str, content: object) -> None:
    sys.stdout.write(json.dumps([kind, content]) + "\n")


def _content(data: bytes, max_bytes: int, max_chars: int) -> Iterator[dict[str, object]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pq.ParquetFile(pa.BufferReader(data)).schema_arrow
    columns = _columns(schema)
    texts = [name for name in columns if not pa.types.is_integer(schema.field(name).type)]
    # Dictionary columns stay dictionaries, so that a short file cannot expand to gigabytes.
    file = pq.ParquetFile(pa.BufferReader(data), read_dictionary=texts)
    _check_expansion(file.metadata, max_bytes)
    start = 0
    for batch in file.iter_batches(batch_size=_BATCH, columns=columns):
        values = [_values(name, batch.column(name), start, max_chars) for name in columns]
        for record in zip(*values, strict=True):
            yield dict(zip(columns, record, strict=True))
        start += batch.num_rows


def _columns(schema: Any) -> list[str]:
    """Known columns of the file, each checked to have a readable type."""
    import pyarrow as pa

    names = list(schema.names)
    for field in REQUIRED:
        if field not in names:
            raise Refused(None, *missing_field(field, map(str, names)))
    known = [field for field in FIELDS if field in names]
    for field in known:
        if names.count(field) > 1:
            problem = f"the column {field!r} occurs {names.count(field)} times"
            raise Refused(None, problem, "Rename or remove all but one of them.")
        kind = schema.field(field).type
        value = kind.value_type if pa.types.is_dictionary(kind) else kind
        text = (
            pa.types.is_string(value)
            or pa.types.is_large_string(value)
            or pa.types.is_string_view(value)
        )
        number = pa.types.is_integer(kind) and field in _INTEGERS
        absent = pa.types.is_null(kind) and field not in REQUIRED
        if not (text or number or absent):
            allowed = "text or integers" if field in _INTEGERS else "text"
            problem = f"the column {field!r} holds {shown(str(kind))}; {allowed} is needed"
            raise Refused(None, problem, "Convert the column to strings before saving.")
    return [field for field in known if not pa.types.is_null(schema.field(field).type)]


def _check_expansion(metadata: Any, max_bytes: int) -> None:
    groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
    chunks = [group.column(at) for group in groups for at in range(group.num_columns)]
    size = sum(each.total_uncompressed_size for each in chunks if each.path_in_schema in FIELDS)
    allowed = max_bytes * _EXPANSION
    if size > allowed:
        problem = f"its columns take {size:,} bytes unpacked; {allowed:,} are allowed"
        raise Refused(None, problem, _SPLIT)


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
            raise Refused(where, problem, "Shorten it, or raise EMOACT_MAX_CHARS.")
    values: list[object] = []
    for index, value in enumerate(column):
        try:
            values.append(value.as_py())
        except UnicodeDecodeError:
            where = f"row {start + index + 1}"
            problem, remedy = f"{name} is not UTF-8", "Write the column again as Unicode text."
            raise Refused(where, problem, remedy) from None
    return values
