"""Numbers as pages write them: those of `emoact.numbers`, which reports and commands share."""

from emoact.numbers import (
    MISSING,
    ago,
    count,
    duration,
    plural,
    significant,
    size,
    whole_seconds,
)

__all__ = [
    "MISSING",
    "ago",
    "count",
    "duration",
    "plural",
    "significant",
    "size",
    "whole_seconds",
]
