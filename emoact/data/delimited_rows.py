"""Rows of CSV and TSV files, read strictly."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from emoact.data.goemotions import (
    LABELS,
    SeveralLabels,
    has_label_columns,
    is_numbered,
    numbered_comments,
    rated_comments,
    single_labels,
)
from emoact.data.rows import FIELDS, REQUIRED, Row, missing_field, shown
from emoact.data.source import Source, decode
from emoact.errors import RequestError

_NAMES = {",": "comma", "\t": "tab", ";": "semicolon"}


def delimited_rows(source: Source, *, delimiter: str) -> Iterator[Row]:
    """One row for each record below the header; blank lines are left out.

    Raises:
        RequestError: The header lacks a field, a record has more or fewer values than the header,
            or quotes do not match.
    """
    text = decode(source)
    header: list[str] | None = None
    for line, record in records(source, text, delimiter):
        if header is None:
            header = record
            _check_header(source, header, delimiter, line)
        elif len(record) != len(header):
            raise _ragged(source, line, len(record), len(header), delimiter)
        else:
            yield Row(f"line {line}", dict(zip(header, record, strict=True)))


def records(source: Source, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Records that are not blank, each with its first line number.

    Raises:
        RequestError: Quotes do not match.
    """
    # A process-wide limit of the csv module; the length of each field is checked later.
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise _quoting(source, line, str(error), delimiter) from None
        if record and not (len(record) == 1 and not record[0].strip()):
            yield line, record


def goemotions_rows(
    source: Source, *, delimiter: str, several: SeveralLabels
) -> tuple[list[Row], tuple[str, ...]] | None:
    """Rows of GoEmotions and notes on what is left out; None for a file of another layout.

    Raises:
        RequestError: A record has more or fewer values than the header, or quotes do not match.
    """
    text = decode(source)
    first = text[: text.find("\n") + 1 or None].rstrip("\n")
    if delimiter == "\t" and is_numbered(first):
        # Not by the csv module: this file does not quote its double quotes.
        return single_labels(numbered_comments(text.split("\n")), several)
    if not all(label in first for label in LABELS):
        return None
    (_, header), *rated = records(source, text, delimiter)
    if not has_label_columns(header) or {"emotion"} & set(header):
        return None
    rows = []
    for line, record in rated:
        if len(record) != len(header):
            raise _ragged(source, line, len(record), len(header), delimiter)
        rows.append((f"line {line}", dict(zip(header, record, strict=True))))
    return single_labels(rated_comments(rows), several)


def _check_header(source: Source, header: list[str], delimiter: str, line: int) -> None:
    for field in FIELDS:
        if header.count(field) > 1:
            raise source.refusal(
                f"line {line}",
                f"the column {field!r} occurs {header.count(field)} times in the header",
                remedy="Rename or remove all but one of them.",
            )
    for field in REQUIRED:
        if field not in header:
            problem, remedy = missing_field(field, header)
            other = next((sign for sign in _NAMES if sign != delimiter and sign in header[0]), None)
            if len(header) == 1 and other is not None:
                ending = "; name the file .tsv" if other == "\t" else ""
                problem += f"; the header seems to be separated by {_NAMES[other]}s"
                remedy = f"Save the file with {_NAMES[delimiter]}s between the columns{ending}."
            raise source.refusal(f"line {line}", problem, remedy=remedy)


def _ragged(source: Source, line: int, found: int, wanted: int, delimiter: str) -> RequestError:
    name = _NAMES[delimiter]
    return source.refusal(
        f"line {line}",
        f"{found} values where the header has {wanted}",
        remedy=f"Put double quotes around a text that holds a {name}."
        if found > wanted
        else "Fill in the missing values (they may be empty between two separators), or remove "
        "the line.",
    )


def _quoting(source: Source, line: int, error: str, delimiter: str) -> RequestError:
    if "unexpected end of data" in error:
        problem = 'a double quote that opens in this record is never closed (")'
    elif "expected after" in error:
        problem = f"a closing double quote is not followed by a {_NAMES[delimiter]}"
    else:
        problem = f"the record cannot be read ({shown(error)})"
    return source.refusal(
        f"line {line}",
        problem,
        remedy='Close the quote, and write a double quote inside a quoted text twice ("").',
    )
