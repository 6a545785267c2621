"""Reader of data sets in all formats."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from pathlib import PurePath

from emoact.data.checking import checked_prompts
from emoact.data.goemotions import SEVERAL_LABELS
from emoact.data.parquet_rows import parquet_rows
from emoact.data.rows import Row, refusal, shown
from emoact.data.source import Source, open_source, read_source
from emoact.data.text_rows import delimited_rows, goemotions_rows, json_rows, jsonl_rows
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
    labels are left out and counted in `Dataset.notes`; `EMOACT_SEVERAL_LABELS=first` takes their
    first label.

    Args:
        path: File; its extension names its format. It is opened once.

    Raises:
        RequestError: The file or one of its rows is malformed; the message names file, row,
            field, value and remedy.
    """
    max_bytes = _limit("EMOACT_MAX_BYTES", MAX_BYTES)
    max_chars = _limit("EMOACT_MAX_CHARS", MAX_CHARS)
    name = os.fspath(path)
    # Opened before its extension is checked, so that a missing file is reported as missing.
    with open_source(name) as file:
        extension = _extension(name)
        source = read_source(file, path=name, max_bytes=max_bytes)
    known = _goemotions(source, extension)
    rows, notes = known or (_rows(source, extension, max_bytes=max_bytes, max_chars=max_chars), ())
    prompts = checked_prompts(name, rows, max_chars=max_chars)
    return Dataset(source=name, sha256=source.sha256, prompts=prompts, notes=notes)


def _goemotions(source: Source, extension: str) -> tuple[list[Row], tuple[str, ...]] | None:
    several = os.environ.get("EMOACT_SEVERAL_LABELS", "leave_out")
    if several not in SEVERAL_LABELS:
        raise RequestError(
            f"EMOACT_SEVERAL_LABELS is {several!r}; allowed: {', '.join(SEVERAL_LABELS)}"
        )
    delimiter = {".csv": ",", ".tsv": "\t"}.get(extension)
    if delimiter is None:
        return None
    return goemotions_rows(source, delimiter=delimiter, several=several)


def _limit(variable: str, default: int) -> int:
    text = os.environ.get(variable, str(default))
    if not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise RequestError(f"{variable} is {text!r}; a whole number from 1 on is expected")
    return int(text)


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
