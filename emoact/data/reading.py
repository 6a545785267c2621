"""Reader of data sets in all formats."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from pathlib import PurePath

from emoact.data.checking import checked_prompts
from emoact.data.delimited_rows import delimited_rows
from emoact.data.json_rows import json_rows, jsonl_rows
from emoact.data.parquet_rows import parquet_rows
from emoact.data.rows import Row, refusal, shown
from emoact.data.source import Source, open_regular, read_source
from emoact.errors import RequestError
from emoact.schema import Dataset

MAX_BYTES = 100_000_000
MAX_CHARS = 20_000
MAX_ROWS = 1_000_000
EXTENSIONS = (".jsonl", ".json", ".csv", ".tsv", ".parquet")


def read_prompts(
    path: str | os.PathLike[str],
    *,
    max_bytes: int | None = None,
    max_chars: int | None = None,
    max_rows: int | None = None,
) -> Dataset:
    """Checked prompts of a JSONL, JSON, CSV, TSV or Parquet file.

    Every row needs `text` and `emotion`; `id`, `scenario_id`, `subset` and `lang` are read where
    present, other columns are ignored. Prompts without ids are numbered p0001, p0002, ...
    Texts are kept character by character; labels and identifiers are normalised to NFC.

    Args:
        path: File; its extension names its format. It is opened once.
        max_bytes: Largest size of the file; None takes `EMOACT_MAX_BYTES`, or 100 million.
        max_chars: Most characters of a text; None takes `EMOACT_MAX_CHARS`, or 20,000.
        max_rows: Most prompts; None takes `EMOACT_MAX_ROWS`, or a million.

    Raises:
        RequestError: The file or one of its rows is malformed; the message names file, row,
            field, value and remedy.
    """
    max_bytes = _limit("max_bytes", max_bytes, MAX_BYTES)
    max_chars = _limit("max_chars", max_chars, MAX_CHARS)
    max_rows = _limit("max_rows", max_rows, MAX_ROWS)
    name = os.fspath(path)
    # Opened before its extension is checked, so that a missing file is reported as missing.
    with open_regular(name) as file:
        extension = _extension(name)
        source = read_source(file, path=name, max_bytes=max_bytes)
    rows = _rows(source, extension, max_bytes=max_bytes, max_chars=max_chars)
    prompts = checked_prompts(name, rows, max_chars=max_chars, max_rows=max_rows)
    return Dataset(source=name, sha256=source.sha256, prompts=prompts)


def _limit(name: str, given: int | None, default: int) -> int:
    """Limit from the argument, else the environment, else the default."""
    variable = f"EMOACT_{name.upper()}"
    limit = given
    if limit is None:
        text = os.environ.get(variable, str(default))
        try:
            limit = int(text)
        except ValueError:
            raise RequestError(f"{variable} is {text!r}; a whole number is expected") from None
    if limit < 1:
        raise RequestError(f"{name} is {limit}; it must be at least 1")
    return limit


def _rows(source: Source, extension: str, *, max_bytes: int, max_chars: int) -> Iterator[Row]:
    if extension == ".jsonl":
        return jsonl_rows(source)
    if extension == ".json":
        return json_rows(source)
    if extension == ".csv":
        return delimited_rows(source, delimiter=",")
    if extension == ".tsv":
        return delimited_rows(source, delimiter="\t")
    return parquet_rows(source, max_bytes=max_bytes, max_chars=max_chars)


def _extension(path: str) -> str:
    """Extension in lower case, checked to be a known format."""
    extension = PurePath(path).suffix.lower()
    if extension in EXTENSIONS:
        return extension
    close = difflib.get_close_matches(extension, EXTENSIONS, n=1, cutoff=0.6) if extension else []
    problem = f"the extension {shown(extension)} is unknown" if extension else "no extension"
    remedy = f"Name the file {close[0]} if that is its format." if close else "Export it as one."
    if extension in (".gz", ".bz2", ".xz", ".zip", ".zst"):
        remedy = "Unpack it first."
    if extension in (".xlsx", ".xls", ".ods"):
        remedy = "Save the sheet as CSV (UTF-8)."
    raise refusal(
        path,
        None,
        f"{problem}; {', '.join(EXTENSIONS)} are read",
        remedy=remedy,
    )
