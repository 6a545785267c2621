"""The words in which a data set is refused: file, place, field, what was found, what to do."""

from __future__ import annotations

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
