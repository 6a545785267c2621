"""Rows of a data set before they are checked, and the refusal of a data set."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from emoact.errors import RequestError


def shown(value: object, *, limit: int = 60) -> str:
    """The value as it may be printed: escaped, and cut where it is long."""
    if isinstance(value, str):
        return repr(value) if len(value) <= limit else f"{value[: limit - 3]!r}..."
    if value is None or isinstance(value, bool | float):
        return repr(value)
    if isinstance(value, int):
        # Python refuses to print integers of more than 4,300 digits.
        return repr(value) if value.bit_length() <= 128 else "a very large integer"
    return f"a {type(value).__name__}"


def printable(path: str) -> str:
    """The path with whatever a terminal should not see escaped."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in path
    )


def refusal(source: str, where: str | None, problem: str, *, remedy: str) -> RequestError:
    """The error for one problem of a data set.

    Args:
        source: The path as the user gave it.
        where: `line 14` or `row 14`, or None where the file as a whole is meant.
        problem: Field, what was found, what is allowed.
        remedy: What to do next, as a sentence.
    """
    place = printable(source) if where is None else f"{printable(source)} {where}"
    return RequestError(f"{place}: {problem}", remedy=remedy)


FIELDS = ("text", "emotion", "id", "scenario_id", "subset", "lang")
REQUIRED = ("text", "emotion")

_SYNONYMS = {
    "text": ("sentence", "prompt", "content", "utterance", "input", "message", "body", "txt"),
    "emotion": ("label", "class", "category", "sentiment", "target", "feeling", "emotions"),
}


class Row(NamedTuple):
    """One row of a data set before it was checked.

    Attributes:
        where: `line 14` or `row 14`.
        fields: Names and values as the file has them.
    """

    where: str
    fields: Mapping[str, object]


def missing_field(field: str, found: Iterable[str]) -> tuple[str, str]:
    """Problem and remedy for a required field that is not there, with the likely culprit."""
    names = list(dict.fromkeys(found))
    listed = ", ".join(repr(name[:40]) for name in names[:12]) or "no field"
    problem = f"the field {field!r} is missing; found {listed}"
    culprit = _culprit(field, [name for name in names if name not in FIELDS])
    if culprit is None:
        return problem, "Every prompt needs the fields text and emotion, spelt so."
    return problem, f"Rename {culprit[:40]!r} to {field!r}."


def _culprit(field: str, names: list[str]) -> str | None:
    folded = {name.strip().casefold(): name for name in reversed(names)}
    for candidate in (field, *_SYNONYMS[field]):
        if candidate in folded:
            return folded[candidate]
    close = difflib.get_close_matches(field, [name[:40] for name in folded], n=1, cutoff=0.7)
    return folded.get(close[0]) if close else None
