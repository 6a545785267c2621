"""Rows of JSONL and JSON files, by strict JSON: no NaN, no repeated field."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from emoact.data.rows import Row, shown
from emoact.data.source import Source, decode
from emoact.errors import RequestError


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
                f"the field {shown(name)} occurs twice in one object",
                "Keep one of the two.",
            )
        fields[name] = value
    return fields


_MOST_VALUES = 10_000_000
"""Two characters of JSON (`[]`) can take 64 bytes of memory."""

_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_not_a_number)


def jsonl_rows(source: Source) -> Iterator[Row]:
    """One row for each line that is not blank; `RequestError` if a line is not a JSON object."""
    # splitlines would also split at U+2028, which JSON strings may hold. A list of lines takes ten
    # times as much memory as a file of nothing else.
    text, number, end = decode(source), 1, 0
    for line in re.finditer("[^\n]+", text):
        number += text.count("\n", end, line.start())
        end = line.end()
        if line[0].strip(" \t\r"):
            where = f"line {number}"
            value = _parse(source, line[0], where=where, jsonl=True)
            if isinstance(value, list) or _prompts_of(value) is not None:
                raise source.refusal(
                    where,
                    "a JSON list of prompts; every line of a .jsonl file is one prompt",
                    remedy="Name the file .json if it is one list of objects.",
                )
            yield _row(source, value, where)


def json_rows(source: Source) -> Iterator[Row]:
    """Objects of a list, or of the list under "prompts".

    Raises:
        RequestError: The file is not JSON, or has no such list.
    """
    value = _parse(source, decode(source), where=None, jsonl=False)
    if (prompts := _prompts_of(value)) is not None:
        value = prompts
    if isinstance(value, _Broken):
        raise source.refusal(None, value.problem, remedy=value.remedy)
    if not isinstance(value, list):
        found = f"an object with {_names(value)}" if isinstance(value, dict) else shown(value)
        raise source.refusal(
            None,
            f'found {found}; a list of objects or {{"prompts": [...]}} is needed',
            remedy='Write a list with one object per prompt (in pandas: orient="records").',
        )
    for number, item in enumerate(value, start=1):
        yield _row(source, item, f"row {number}")


def _prompts_of(value: object) -> list[object] | None:
    """List in `{"prompts": [...]}`."""
    prompts = value.get("prompts") if isinstance(value, dict) else None
    return prompts if isinstance(prompts, list) else None


def _row(source: Source, value: object, where: str) -> Row:
    if isinstance(value, _Broken):
        raise source.refusal(where, value.problem, remedy=value.remedy)
    if not isinstance(value, dict):
        raise source.refusal(
            where,
            f"found {shown(value)}; an object with text and emotion is needed",
            remedy='Write {"text": "...", "emotion": "..."}.',
        )
    return Row(where, value)


def _parse(source: Source, text: str, *, where: str | None, jsonl: bool) -> object:
    if sum(map(text.count, ",[{")) > _MOST_VALUES:
        raise source.refusal(
            where,
            f"the JSON has more than {_MOST_VALUES:,} values",
            remedy="Split the data set, and leave out fields that are not prompts.",
        )
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        place = where or f"line {error.lineno}"
        raise _syntax_refusal(source, error, place, jsonl=jsonl) from None
    except RecursionError:
        raise source.refusal(
            where,
            "the JSON is nested too deeply",
            remedy="A prompt is a flat object; remove the nested values.",
        ) from None
    except ValueError:  # an integer of more digits than Python converts
        raise source.refusal(
            where,
            "a number with too many digits",
            remedy="Write long identifiers as text, in quotes.",
        ) from None


def _syntax_refusal(
    source: Source, error: json.JSONDecodeError, place: str, *, jsonl: bool
) -> RequestError:
    remedy = "Correct the line, or export the file again with a JSON library."
    if error.msg == "Extra data":
        remedy = (
            "Write one object per line."
            if jsonl
            else "Name the file .jsonl if it has one object per line."
        )
    elif jsonl and error.doc.strip() in ("[", "{"):
        remedy = "Name the file .json if it is one list of objects over several lines."
    return source.refusal(place, f"invalid JSON ({error.msg}, column {error.colno})", remedy=remedy)


def _names(fields: dict[str, object]) -> str:
    return ", ".join(shown(name, limit=40) for name in list(fields)[:8]) or "no fields"
