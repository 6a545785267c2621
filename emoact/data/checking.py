"""Checks that turn rows into prompts, or refuse a row with its place and field."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from emoact.data.rows import REQUIRED, Refused, Row, missing_field, shown
from emoact.errors import RequestError
from emoact.schema import Prompt, check_emotion

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_CONTROL_OR_BREAK = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_MAX_NAME = 200
"""Characters in an identifier, a subset or a language."""


def _prompt(row: Row, ordinal: int, *, with_id: bool, max_chars: int) -> Prompt:
    """Prompt of one row; without an id in the file, it is numbered by its position."""
    for field in REQUIRED:
        if field not in row.fields:
            problem, remedy = missing_field(field, row.fields)
            raise Refused(row.where, problem, remedy)
    own_id = _name(row, "id", integers=True)
    if with_id is not (own_id is not None):
        raise Refused(
            row.where,
            "id is empty, but other rows have one" if with_id else "id is given here only",
            "Give every prompt an id of its own, or none and they are numbered.",
        )
    return Prompt(
        id=own_id or f"p{ordinal:04d}",
        text=_text(row, max_chars),
        emotion=_emotion(row),
        scenario_id=_name(row, "scenario_id", integers=True),
        subset=_name(row, "subset"),
        lang=_name(row, "lang"),
    )


def _text(row: Row, max_chars: int) -> str:
    value = row.fields["text"]
    if not isinstance(value, str):
        raise _wrong_type(row, "text", value, "text")
    if len(value) > max_chars:
        raise Refused(
            row.where,
            f"text has {len(value):,} characters; {max_chars:,} are allowed",
            "Shorten it, or raise EMOACT_MAX_CHARS.",
        )
    _check_characters(row, "text", value, _CONTROL)
    if not _has_visible(value):
        raise Refused(
            row.where,
            "text is empty" if not value else f"text has no visible character ({shown(value)})",
            "Write the sentence for the model, or remove the row.",
        )
    return value


def _emotion(row: Row) -> str:
    value = row.fields["emotion"]
    if not isinstance(value, str):
        raise _wrong_type(row, "emotion", value, 'a label such as "gratitude"')
    if not value.strip():
        raise Refused(
            row.where, "emotion is empty", 'Every prompt needs a label such as "gratitude".'
        )
    try:
        return check_emotion(value)
    except RequestError as error:
        remedy = error.remedy or "Rename the label."
        if value.strip() != value:
            remedy = "Remove the spaces around the label."
        raise Refused(row.where, error.message, remedy) from None


def _name(row: Row, field: str, *, integers: bool = False) -> str | None:
    """Optional short value; an empty one counts as absent."""
    value = row.fields.get(field)
    if value is None or value == "":
        return None
    if integers and isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        wanted = "text or an integer" if integers else "text"
        raise _wrong_type(row, field, value, wanted)
    if len(value) > _MAX_NAME:
        raise Refused(
            row.where,
            f"{field} has {len(value):,} characters; {_MAX_NAME} are allowed",
            f"Shorten the {field}.",
        )
    _check_characters(row, field, value, _CONTROL_OR_BREAK)
    if not _has_visible(value):
        raise Refused(
            row.where,
            f"{field} has no visible character ({shown(value)})",
            f"Fill in the {field}, or leave it empty.",
        )
    return unicodedata.normalize("NFC", value)


def _check_characters(row: Row, field: str, value: str, control: re.Pattern[str]) -> None:
    if found := _SURROGATE.search(value):
        raise Refused(
            row.where,
            f"{field} holds half of a character, U+{ord(found[0]):04X} at position "
            f"{found.start() + 1}",
            "Write the whole character (a \\u escape of this kind comes in pairs), or remove it.",
        )
    if found := control.search(value):
        hint = " Write line breaks as \\n." if found[0] == "\r" else ""
        raise Refused(
            row.where,
            f"{field} holds the control character U+{ord(found[0]):04X} at position "
            f"{found.start() + 1}",
            f"Remove the character.{hint}",
        )


def _wrong_type(row: Row, field: str, value: object, wanted: str) -> Refused:
    quoted = isinstance(value, bool | int | float)
    return Refused(
        row.where,
        f"{field} is {shown(value)}; {wanted} is needed",
        "Put the value in quotes if it is meant as text."
        if quoted
        else f"Fill in the {field}, or remove the row.",
    )


def _has_visible(value: str) -> bool:
    return any(unicodedata.category(c)[0] not in "ZC" for c in value)


def checked_prompts(rows: Iterable[Row], *, max_chars: int) -> tuple[Prompt, ...]:
    """Prompts of all rows.

    Raises:
        Refused: A row is malformed, an id occurs twice, two labels differ in case only, or
            there are no rows.
    """
    prompts: list[Prompt] = []
    places: dict[str, str] = {}
    labels: dict[str, tuple[str, str]] = {}
    with_id = False
    for ordinal, row in enumerate(rows, start=1):
        if ordinal == 1:
            with_id = row.fields.get("id") not in (None, "")
        prompt = _prompt(row, ordinal, with_id=with_id, max_chars=max_chars)
        if prompt.id in places:
            raise Refused(
                row.where,
                f"the id {shown(prompt.id)} is that of {places[prompt.id]} already",
                "Give every prompt an id of its own, or none and they are numbered.",
            )
        places[prompt.id] = row.where
        label, place = labels.setdefault(prompt.emotion.casefold(), (prompt.emotion, row.where))
        if label != prompt.emotion:
            raise Refused(
                row.where,
                f"the emotion {prompt.emotion!r} differs from {label!r} of {place} in capitals "
                "only; some file systems cannot hold the files of both",
                f"Use {label!r} in both if one emotion is meant, or rename one.",
            )
        prompts.append(prompt)
    if not prompts:
        remedy = "A data set needs at least one row with the fields text and emotion."
        raise Refused(None, "there is no prompt in it", remedy)
    return tuple(prompts)
