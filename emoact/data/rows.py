"""What the formats have in common: a place in the file and named values."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

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
