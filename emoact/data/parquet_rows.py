"""Rows of Parquet files, unpacked in a child process.

A damaged Parquet file can make pyarrow abort its process, which no `except` can catch. The child
keeps such a crash away from the dashboard, and turns it into a refusal.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

from emoact.data.rows import REQUIRED, Row, missing_field
from emoact.data.source import Source
from emoact.errors import RequestError

_MAGIC = b"PAR1"
_ROOT = str(Path(__file__).resolve().parents[2])
_CHILD = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from emoact.data.parquet_child import main; main(int(sys.argv[2]), int(sys.argv[3]))"
)


def parquet_rows(source: Source, *, max_bytes: int, max_chars: int) -> Iterator[Row]:
    """One row for each record.

    Raises:
        RequestError: The file is not a Parquet file, lacks a column, or has a column of another
            type than text (or integers, for identifiers).
    """
    if not (source.data.startswith(_MAGIC) and source.data.endswith(_MAGIC)):
        raise _damaged(source, "the marks at its beginning and end are missing")
    with subprocess.Popen(
        [sys.executable, "-P", "-c", _CHILD, _ROOT, str(max_bytes), str(max_chars)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as child:
        try:
            _hand_over(cast("IO[bytes]", child.stdin), source.data)
            yield from _received(source, cast("IO[bytes]", child.stdout))
        finally:
            child.kill()


def _hand_over(pipe: IO[bytes], data: bytes) -> None:
    try:
        with pipe:
            pipe.write(data)
    except BrokenPipeError:
        return  # the child ended early; its messages decide


def _received(source: Source, pipe: IO[bytes]) -> Iterator[Row]:
    """Rows from the messages of the child, up to the end mark."""
    columns: list[str] = []
    number = 0
    for line in pipe:
        message: Any = json.loads(line) if line.endswith(b"\n") else None
        if isinstance(message, list):
            number += 1
            yield Row(f"row {number}", dict(zip(columns, message, strict=True)))
        elif message is None:
            break
        elif "columns" in message:
            columns = message["columns"]
            _check_columns(source, columns)
        elif "refused" in message:
            raise source.refusal(*message["refused"][:2], remedy=message["refused"][2])
        elif "damaged" in message:
            raise _damaged(source, message["damaged"])
        else:
            return
    raise _damaged(source, "the reader crashed, or took too much memory or time")


def _check_columns(source: Source, columns: list[str]) -> None:
    for field in REQUIRED:
        if field not in columns:
            problem, remedy = missing_field(field, columns)
            raise source.refusal(None, problem, remedy=remedy)


def _damaged(source: Source, reason: str) -> RequestError:
    return source.refusal(
        None,
        f"this is not a readable Parquet file ({reason})",
        remedy="Write it again, for example with pandas' to_parquet, or correct its extension.",
    )
