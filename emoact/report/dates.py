"""Moments as each language writes them, always in UTC."""

from __future__ import annotations

from datetime import UTC, datetime

from emoact.report.words import Words


def moment(when: datetime, words: Words) -> str:
    """`2026-01-31 14:05 UTC`, `2026年1月31日 14:05 UTC`."""
    utc = when.astimezone(UTC)
    return words.plain(
        "date",
        year=str(utc.year),
        month=str(utc.month),
        day=str(utc.day),
        padded=f"{utc:%m-%d}",
        time=f"{utc:%H:%M}",
    )


def parsed(text: object) -> datetime | None:
    """The moment that an ISO 8601 text names; None for anything else."""
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
