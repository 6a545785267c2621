"""What goes where: documents and tables to standard output, everything else to standard error."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emoact.errors import EmoactError


def print_json(document: Mapping[str, Any]) -> None:
    """One JSON document; NaN and infinities, which JSON does not have, become null."""
    json.dump(_plain(document), sys.stdout, indent=1, ensure_ascii=False, allow_nan=False)
    sys.stdout.write("\n")


def print_line(text: str) -> None:
    """One line of a result."""
    print(text)


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table with aligned columns."""
    table = [list(header), *map(list, rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(header))]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


def print_csv(rows: Sequence[Mapping[str, Any]], *, columns: Sequence[str] = ()) -> None:
    """Rows as CSV.

    Args:
        rows: All with the same columns.
        columns: Those of the header where there is no row.
    """
    sys.stdout.write(_csv(rows, columns))


def write_csv(path: str, rows: Sequence[Mapping[str, Any]], *, columns: Sequence[str] = ()) -> None:
    """The same into a file, which is there whole or not at all."""
    from emoact.store.atomic import replace_atomically

    with replace_atomically(Path(path)) as file:
        file.write(_csv(rows, columns).encode())


def say(text: str) -> None:
    """A message."""
    print(text, file=sys.stderr, flush=True)


def print_error(error: EmoactError, *, as_json: bool) -> None:
    """What went wrong and what to do, as a message and, where asked for, as a document."""
    if as_json:
        print_json({"ok": False, "error": {"message": error.message, "remedy": error.remedy}})
    say(f"error: {error}")


def _csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
