"""The measures of every unit of a results folder, and a process that writes the summaries.

A run starts it as `python -m emoact.store.summaries.grid RESULTS` after its last file, so that the
files are measured before a page asks.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from emoact.errors import EmoactError, FileRefusedError
from emoact.schema import Finding
from emoact.store.layout import ResultsRoot
from emoact.store.summaries.joining import check_parts, join_measures, labels_by_emotion
from emoact.store.summaries.keeping import remove_unused, unit_measures
from emoact.store.summaries.measures import UnitMeasures
from emoact.store.summaries.measuring import NoPositionsError, measure_file, unmeasured_file

_NICE = 10
"""Niceness of the process, so that computations have priority."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Units in the order of folder and emotion.

    Attributes:
        units: The files that keep the contract and every position.
        problems: One finding per file that has no measures; `where` is its path.
        pooled: Facts of the files that keep pooled vectors only; they have no measures.
    """

    units: tuple[UnitMeasures, ...]
    problems: tuple[Finding, ...]
    pooled: tuple[UnitMeasures, ...] = ()


def measures_of(results: str | os.PathLike[str]) -> Measured:
    """The measures of every unit; files that are refused become problems, not errors."""
    root = ResultsRoot(results)
    units, problems, pooled = [], root.closed(), []
    for (folder, emotion), labels in labels_by_emotion(root).items():
        path = root.unit_path(folder, emotion)
        try:
            check_parts(root, folder, emotion)
            units.append(join_measures([unit_measures(root, folder, one) for one in labels]))
        except EmoactError as error:
            only_pooled = isinstance(error, NoPositionsError)
            if only_pooled:
                files = [root.unit_path(folder, one) for one in labels]
                pooled.append(
                    join_measures(
                        [unmeasured_file(one, partial(measure_file, one)) for one in files]
                    )
                )
            reason = error.reason if isinstance(error, FileRefusedError) else error.message
            problems.append(
                Finding(
                    code="no_positions" if only_pooled else "file_refused",
                    severity="error",
                    where=str(path),
                    message=reason,
                    remedy=error.remedy or "",
                )
            )
    remove_unused(root)
    return Measured(units=tuple(units), problems=tuple(problems), pooled=tuple(pooled))


def main(argv: Sequence[str] | None = None) -> int:
    """Write the summaries that are missing; returns 0 even where a file is refused."""
    parser = argparse.ArgumentParser(description="Measure saved activations for the pages.")
    parser.add_argument("results", help="a results folder")
    arguments = parser.parse_args(argv)
    os.nice(_NICE)
    try:
        measures_of(arguments.results)
    except EmoactError as error:
        # No page waits for this process; a page that needs a measure reports the error itself.
        print(f"the measures for the pages were not written: {error.message}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
