"""The measures of every unit of a results folder."""

from __future__ import annotations

import os
from dataclasses import dataclass

from emoact.errors import EmoactError, FileRefusedError
from emoact.schema import Finding
from emoact.store.layout import ResultsRoot
from emoact.store.summaries.keeping import unit_measures
from emoact.store.summaries.measures import UnitMeasures


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Units in the order of folder and emotion.

    Attributes:
        units: The files that keep the contract.
        problems: One finding per refused file; `where` is its path.
    """

    units: tuple[UnitMeasures, ...]
    problems: tuple[Finding, ...]


def measures_of(results: str | os.PathLike[str]) -> Measured:
    """The measures of every unit; files that are refused become problems, not errors."""
    root = ResultsRoot(results)
    units, problems = [], []
    for folder, emotion, path in root.units():
        try:
            units.append(unit_measures(root, folder, emotion))
        except EmoactError as error:
            reason = error.reason if isinstance(error, FileRefusedError) else error.message
            problems.append(
                Finding(
                    code="file_refused",
                    severity="error",
                    where=str(path),
                    message=reason,
                    remedy=error.remedy or "",
                )
            )
    return Measured(units=tuple(units), problems=tuple(problems))
