"""Rows of GoEmotions in its own layouts, one label a prompt.

Source: Demszky et al. 2020 (2005.00547).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from emoact.data.rows import Row

LABELS = (
    *("admiration", "amusement", "anger", "annoyance", "approval", "caring", "confusion"),
    *("curiosity", "desire", "disappointment", "disapproval", "disgust", "embarrassment"),
    *("excitement", "fear", "gratitude", "grief", "joy", "love", "nervousness", "optimism"),
    *("pride", "realization", "relief", "remorse", "sadness", "surprise", "neutral"),
)
"""Label of each number in the column of labels."""

_NUMBERS = re.compile(r"\d{1,2}(?:,\d{1,2})*")
_AGREED = 2
"""Raters who have to agree on a label of a comment that several rated."""


@dataclass(frozen=True, kw_only=True)
class Comment:
    """One comment with all of its labels, in the order of the file or of `LABELS`."""

    where: str
    id: str
    text: str
    labels: tuple[str, ...]


def is_numbered(first_line: str) -> bool:
    """True for a line of a text, label numbers and a comment id, which no header is."""
    parts = first_line.rstrip("\r").split("\t")
    return len(parts) == 3 and _numbers(parts[1]) is not None


def has_label_columns(header: Iterable[str]) -> bool:
    """True for a header with the text and a column of 0 and 1 for every label."""
    return {"text", "id", *LABELS} <= set(header)


def numbered_comments(lines: Iterable[tuple[int, str]]) -> Iterator[Comment | Row]:
    """Comments of the file without a header; a line of another shape comes back as it is."""
    for number, line in lines:
        if not line.strip():
            continue
        text, *rest = line.rstrip("\r").split("\t")
        known = _numbers(rest[0]) if len(rest) == 2 else None
        if known is None:
            yield Row(f"line {number}", {"text": text})
        else:
            yield Comment(
                where=f"line {number}",
                id=rest[1],
                text=text,
                labels=tuple(LABELS[label] for label in known),
            )


def rated_comments(rows: Iterable[tuple[str, Mapping[str, str]]]) -> Iterator[Comment]:
    """Comments of the file with one row for each rater and comment.

    A label counts where two raters gave it, or the only one: two is what the paper asks for.
    """
    places: dict[str, tuple[str, str]] = {}
    raters: Counter[str] = Counter()
    votes: dict[str, Counter[str]] = {}
    for where, row in rows:
        own = row["id"]
        places.setdefault(own, (where, row["text"]))
        raters[own] += 1
        given = (label for label in LABELS if row[label].strip() == "1")
        votes.setdefault(own, Counter()).update(given)
    for own, (where, text) in places.items():
        needed = min(_AGREED, raters[own])
        labels = tuple(label for label in LABELS if votes[own][label] >= needed)
        yield Comment(where=where, id=own, text=text, labels=labels)


def single_labels(comments: Iterable[Comment | Row]) -> tuple[list[Row], tuple[str, ...]]:
    """Rows with one label each, and a sentence for every kind of comment that is left out."""
    rows: list[Row] = []
    n_several = n_without = n_comments = 0
    for comment in comments:
        if isinstance(comment, Row):
            rows.append(comment)
            continue
        n_comments += 1
        n_several += len(comment.labels) > 1
        n_without += not comment.labels
        if len(comment.labels) == 1:
            fields = {"text": comment.text, "emotion": comment.labels[0], "id": comment.id}
            rows.append(Row(comment.where, fields))
    notes = []
    if n_several:
        notes.append(
            f"{n_several:,} of {n_comments:,} GoEmotions comments have several labels and are left "
            "out"
        )
    if n_without:
        notes.append(
            f"{n_without:,} of {n_comments:,} GoEmotions comments have no label that two raters "
            "gave and are left out"
        )
    return rows, tuple(notes)


def _numbers(text: str) -> list[int] | None:
    if not _NUMBERS.fullmatch(text):
        return None
    numbers = [int(number) for number in text.split(",")]
    return numbers if max(numbers) < len(LABELS) else None
