"""Rows of a data set before they are checked, and the refusal of one."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from emoact.errors import RequestError


def shown(value: object, *, limit: int = 60) -> str:
    """Value in printable form: escaped, and cut where it is long."""
    if isinstance(value, str):
        return repr(value) if len(value) <= limit else f"{value[: limit - 3]!r}..."
    if value is None or isinstance(value, bool | float):
        return repr(value)
    if isinstance(value, int):
        # Python does not print integers of more than 4,300 digits.
        return repr(value) if value.bit_length() <= 128 else "a very large integer"
    return f"a {type(value).__name__}"


def printable(path: str) -> str:
    """Path with control characters escaped."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in path
    )


class Refused(Exception):  # noqa: N818 - a verdict on a data set
    """One problem of a data set.

    Args:
        where: `line 14`, `row 14` or None for the whole file.
        problem: What was found, and what is needed.
        remedy: Next step.
    """

    def __init__(self, where: str | None, problem: str, remedy: str) -> None:
        super().__init__(where, problem, remedy)
        self.where, self.problem, self.remedy = where, problem, remedy


@contextmanager
def naming(path: str) -> Iterator[None]:
    """Turn the refusal of a data set into an error that names its file.

    Raises:
        RequestError: In place of `Refused`.
    """
    try:
        yield
    except Refused as refused:
        place = " ".join(filter(None, [printable(path), refused.where]))
        raise RequestError(f"{place}: {refused.problem}", remedy=refused.remedy) from None


FIELDS = ("text", "emotion", "id", "scenario_id", "subset", "lang")
REQUIRED = ("text", "emotion")
_COMPARED = 1000
"""Columns that are compared letter by letter with the name of a field."""

_SYNONYMS = {
    "text": ("sentence", "prompt", "content", "utterance", "input", "message", "body", "txt"),
    "emotion": ("label", "class", "category", "sentiment", "target", "feeling", "emotions"),
}


class Row(NamedTuple):
    """Row of a data set before the checks. `where`: `line 14` or `row 14`."""

    where: str
    fields: Mapping[str, object]


def missing_field(field: str, found: Iterable[str]) -> tuple[str, str]:
    """Problem and remedy for a missing field, with the column that probably holds it."""
    names = list(dict.fromkeys(found))
    listed = ", ".join(repr(name[:40]) for name in names[:12]) or "no field"
    problem = f"the field {field!r} is missing; found {listed}"
    likely = likely_column(field, names)
    if likely is None:
        return problem, "Every prompt needs the fields text and emotion."
    return problem, f"Rename {likely[:40]!r} to {field!r}."


def likely_column(field: str, names: Iterable[str]) -> str | None:
    """The column that probably holds a field that is missing; None without one."""
    others = [name for name in names if name not in FIELDS]
    folded = {name.strip().casefold(): name for name in reversed(others)}
    for candidate in (field, *_SYNONYMS.get(field, ())):
        if candidate in folded:
            return folded[candidate]
    first = [name[:40] for name in itertools.islice(folded, _COMPARED)]
    close = difflib.get_close_matches(field, first, n=1, cutoff=0.7)
    return folded.get(close[0]) if close else None
