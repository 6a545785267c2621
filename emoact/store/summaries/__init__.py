"""Summaries of activation files: what pages need of a file, measured once and kept beside it."""

from emoact.store.summaries.grid import (
    Measured,
    kept_measures,
    known_measures,
    measures_of,
    unit_measures,
    unit_outline,
)

__all__ = [
    "Measured",
    "kept_measures",
    "known_measures",
    "measures_of",
    "unit_measures",
    "unit_outline",
]
