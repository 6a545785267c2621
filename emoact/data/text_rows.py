"""Rows of text files: JSON, JSON Lines, CSV and TSV."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from emoact.data.goemotions import (
    LABELS,
    has_label_columns,
    is_numbered,
    numbered_comments,
    rated_comments,
    single_labels,
)
from emoact.data.rows import FIELDS, REQUIRED, Refused, Row, missing_field, shown
from emoact.data.source import decode

_MOST_VALUES = 10_000_000
"""Two characters of JSON (`[]`) can take 64 bytes of memory."""
DELIMITERS = {".csv": ",", ".tsv": "\t"}
_NAMES = {",": "comma", "\t": "tab", ";": "semicolon"}


@dataclass(frozen=True)
class _Broken:
    """Placeholder in the parsed value for content that JSON forbids, so that its row is known."""

    problem: str
    remedy: str


def _not_a_number(name: str) -> _Broken:
    return _Broken(
        f"{name} is not a JSON value",
        f"Replace {name} by null, or leave the field out of that row.",
    )


def _object(pairs: list[tuple[str, object]]) -> dict[str, object] | _Broken:
    fields: dict[str, object] = {}
    for name, value in pairs:
        if isinstance(value, _Broken):
            return _Broken(f"field {shown(name)}: {value.problem}", value.remedy)
        if name in fields:
            return _Broken(
                f"the field {shown(name)} occurs twice in one object", "Keep one of the two."
            )
        fields[name] = value
    return fields


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_not_a_number)


def jsonl_rows(data: bytes) -> Iterator[Row]:
    """One row for each line that is not blank; `Refused` if a line is not a JSON object."""
    for number, line in _lines(decode(data)):
        if line.strip(" \t\r"):
            where = f"line {number}"
            value = _parse(line, where=where, jsonl=True)
            if isinstance(value, list) or _prompts_of(value) is not None:
                raise Refused(
                    where,
                    "a JSON list of prompts; every line of a .jsonl file is one prompt",
                    "Name the file .json if it is one list of objects.",
                )
            yield _row(value, where)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Number and content of each line that is not empty."""
    # splitlines would also split at U+2028, which JSON strings may hold. A list of lines takes ten
    # times as much memory as a file of nothing else.
    number, end = 1, 0
    for line in re.finditer("[^\n]+", text):
        number += text.count("\n", end, line.start())
        end = line.end()
        yield number, line[0]


def json_rows(data: bytes) -> Iterator[Row]:
    """Objects of a list, or of the list under "prompts".

    Raises:
        Refused: The file is not JSON, or has no such list.
    """
    value = _parse(decode(data), where=None, jsonl=False)
    if (prompts := _prompts_of(value)) is not None:
        value = prompts
    if isinstance(value, _Broken):
        raise Refused(None, value.problem, value.remedy)
    if not isinstance(value, list):
        found = f"an object with {_names(value)}" if isinstance(value, dict) else shown(value)
        raise Refused(
            None,
            f'found {found}; a list of objects or {{"prompts": [...]}} is needed',
            'Write a list with one object per prompt (in pandas: orient="records").',
        )
    for number, item in enumerate(value, start=1):
        yield _row(item, f"row {number}")


def _prompts_of(value: object) -> list[object] | None:
    """List in `{"prompts": [...]}`."""
    prompts = value.get("prompts") if isinstance(value, dict) else None
    return prompts if isinstance(prompts, list) else None


def _row(value: object, where: str) -> Row:
    if isinstance(value, _Broken):
        raise Refused(where, value.problem, value.remedy)
    if not isinstance(value, dict):
        raise Refused(
            where,
            f"found {shown(value)}; an object with text and emotion is needed",
            'Write {"text": "...", "emotion": "..."}.',
        )
    return Row(where, value)


def _parse(text: str, *, where: str | None, jsonl: bool) -> object:
    if sum(map(text.count, ",[{")) > _MOST_VALUES:
        raise Refused(
            where,
            f"the JSON has more than {_MOST_VALUES:,} values",
            "Split the data set, and leave out fields that are not prompts.",
        )
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        place = where or f"line {error.lineno}"
        raise _syntax_refusal(error, place, jsonl=jsonl) from None
    except RecursionError:
        raise Refused(
            where,
            "the JSON is nested too deeply",
            "A prompt is a flat object; remove the nested values.",
        ) from None
    except ValueError:  # an integer of more digits than Python converts
        raise Refused(
            where, "a number with too many digits", "Write long identifiers as text, in quotes."
        ) from None


def _syntax_refusal(error: json.JSONDecodeError, place: str, *, jsonl: bool) -> Refused:
    remedy = "Correct the line, or export the file again with a JSON library."
    if error.msg == "Extra data":
        remedy = (
            "Write one object per line."
            if jsonl
            else "Name the file .jsonl if it has one object per line."
        )
    elif jsonl and error.doc.strip() in ("[", "{"):
        remedy = "Name the file .json if it is one list of objects over several lines."
    return Refused(place, f"invalid JSON ({error.msg}, column {error.colno})", remedy)


def _names(fields: dict[str, object]) -> str:
    return ", ".join(shown(name, limit=40) for name in list(fields)[:8]) or "no fields"


def delimited_rows(data: bytes, *, delimiter: str) -> Iterator[Row]:
    """One row for each record below the header; blank lines are left out.

    Raises:
        Refused: The header lacks a field, a record has more or fewer values than the header,
            or quotes do not match.
    """
    header: list[str] | None = None
    for line, record in records(decode(data), delimiter):
        if header is None:
            header = record
            _check_header(header, delimiter, line)
        elif len(record) != len(header):
            raise _ragged(line, len(record), len(header), delimiter)
        else:
            yield Row(f"line {line}", dict(zip(header, record, strict=True)))


def records(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Records that are not blank, each with its first line number.

    Raises:
        Refused: Quotes do not match.
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
            raise _quoting(line, str(error), delimiter) from None
        if record and not (len(record) == 1 and not record[0].strip()):
            yield line, record


def goemotions_rows(data: bytes, *, delimiter: str) -> tuple[list[Row], tuple[str, ...]] | None:
    """Rows of GoEmotions and notes on what is left out; None for a file of another layout.

    Raises:
        Refused: A record has more or fewer values than the header, or quotes do not match.
    """
    text = decode(data)
    first = text[: text.find("\n") + 1 or None].rstrip("\n")
    if delimiter == "\t" and is_numbered(first):
        # Not by the csv module: this file does not quote its double quotes.
        return single_labels(numbered_comments(_lines(text)))
    if not all(label in first for label in LABELS):
        return None
    (_, header), *rated = records(text, delimiter)
    if not has_label_columns(header) or {"emotion"} & set(header):
        return None
    rows = []
    for line, record in rated:
        if len(record) != len(header):
            raise _ragged(line, len(record), len(header), delimiter)
        rows.append((f"line {line}", dict(zip(header, record, strict=True))))
    return single_labels(rated_comments(rows))


def _check_header(header: list[str], delimiter: str, line: int) -> None:
    for field in FIELDS:
        if header.count(field) > 1:
            raise Refused(
                f"line {line}",
                f"the column {field!r} occurs {header.count(field)} times in the header",
                "Rename or remove all but one of them.",
            )
    for field in REQUIRED:
        if field not in header:
            problem, remedy = missing_field(field, header)
            other = next((sign for sign in _NAMES if sign != delimiter and sign in header[0]), None)
            if len(header) == 1 and other is not None:
                ending = "; name the file .tsv" if other == "\t" else ""
                problem += f"; the header seems to be separated by {_NAMES[other]}s"
                remedy = f"Save the file with {_NAMES[delimiter]}s between the columns{ending}."
            raise Refused(f"line {line}", problem, remedy)


def _ragged(line: int, found: int, wanted: int, delimiter: str) -> Refused:
    name = _NAMES[delimiter]
    return Refused(
        f"line {line}",
        f"{found} values where the header has {wanted}",
        f"Put double quotes around a text that holds a {name}."
        if found > wanted
        else "Fill in the missing values (they may be empty between two separators), or remove "
        "the line.",
    )


def _quoting(line: int, error: str, delimiter: str) -> Refused:
    if "unexpected end of data" in error:
        problem = 'a double quote that opens in this record is never closed (")'
    elif "expected after" in error:
        problem = f"a closing double quote is not followed by a {_NAMES[delimiter]}"
    else:
        problem = f"the record cannot be read ({shown(error)})"
    return Refused(
        f"line {line}",
        problem,
        'Close the quote, and write a double quote inside a quoted text twice ("").',
    )
