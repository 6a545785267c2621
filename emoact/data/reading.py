"""Reader of data sets in all formats."""

from __future__ import annotations

import difflib
import hashlib
import io
import os
from collections.abc import Callable, Iterable
from pathlib import PurePath

from emoact.data.checking import checked_prompts
from emoact.data.parquet_rows import parquet_rows
from emoact.data.rows import Refused, Row, naming, shown
from emoact.data.source import open_source, read_source
from emoact.data.text_rows import DELIMITERS, delimited_rows, goemotions_rows, json_rows, jsonl_rows
from emoact.errors import RequestError
from emoact.schema import Dataset

MAX_BYTES = 100_000_000
"""Largest size of a file, unless `EMOACT_MAX_BYTES` says otherwise."""
MAX_CHARS = 20_000
"""Most characters of a text, unless `EMOACT_MAX_CHARS` says otherwise."""
EXTENSIONS = (".jsonl", ".json", ".csv", ".tsv", ".parquet")


def read_prompts(path: str | os.PathLike[str]) -> Dataset:
    """Checked prompts of a JSONL, JSON, CSV, TSV or Parquet file.

    Every row needs `text` and `emotion`; `id`, `scenario_id`, `subset` and `lang` are read where
    present, other columns are ignored. Prompts without ids are numbered p0001, p0002, ...
    Texts are kept character by character; labels and identifiers are normalised to NFC.

    GoEmotions is read in its own layouts: TSV without a header (text, label numbers, comment id),
    and CSV with a column of 0 and 1 for each label and a row for each rater. Comments with several
    labels are left out and counted in `Dataset.notes`.

    Args:
        path: File; its extension names its format. It is opened once.

    Raises:
        RequestError: The file or one of its rows is malformed; the message names file, row,
            field, value and remedy.
    """
    name = os.fspath(path)
    # Opened before its extension is checked, so that a missing file is reported as missing.
    return _read(name, name, lambda: open_source(name))


def dataset_in(data: bytes, *, name: str, file: str) -> Dataset:
    """Checked prompts in bytes; see `read_prompts`.

    Args:
        data: Content of a file.
        name: Name of the data set, for messages.
        file: Name of a file; its extension names the format.

    Raises:
        RequestError: The file or one of its rows is malformed.
    """
    return _read(name, file, lambda: io.BytesIO(data))


def _read(name: str, file: str, opened: Callable[[], io.BufferedIOBase]) -> Dataset:
    max_bytes = _limit("EMOACT_MAX_BYTES", MAX_BYTES)
    max_chars = _limit("EMOACT_MAX_CHARS", MAX_CHARS)
    with naming(name):
        with opened() as source:
            extension = _extension(file)
            data = read_source(source, max_bytes=max_bytes)
        rows, notes = _rows(data, extension, max_bytes=max_bytes, max_chars=max_chars)
        prompts = checked_prompts(rows, max_chars=max_chars)
    sha256 = hashlib.sha256(data).hexdigest()
    return Dataset(source=name, sha256=sha256, prompts=prompts, notes=notes)


def _limit(variable: str, default: int) -> int:
    text = os.environ.get(variable, str(default))
    if not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise RequestError(f"{variable} is {text!r}; a whole number from 1 on is expected")
    return int(text)


def _rows(
    data: bytes, extension: str, *, max_bytes: int, max_chars: int
) -> tuple[Iterable[Row], tuple[str, ...]]:
    """Rows of a file, and sentences about those that are left out."""
    if extension == ".parquet":
        return parquet_rows(data, max_bytes=max_bytes, max_chars=max_chars), ()
    if extension in DELIMITERS:
        delimiter = DELIMITERS[extension]
        known = goemotions_rows(data, delimiter=delimiter)
        return known or (delimited_rows(data, delimiter=delimiter), ())
    return (json_rows(data) if extension == ".json" else jsonl_rows(data)), ()


def _extension(path: str) -> str:
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
    raise Refused(None, f"{problem}; {', '.join(EXTENSIONS)} are read", remedy)
