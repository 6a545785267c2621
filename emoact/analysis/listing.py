"""List of the analyses of a results folder."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from dataclasses import dataclass

from emoact.analysis.key import InputFile, analysis_id
from emoact.analysis.saved import SavedAnalysis
from emoact.errors import EmoactError, FileRefusedError, RequestError
from emoact.sites import SiteName
from emoact.stats.settings import AnalysisSettings
from emoact.store.layout import ResultsRoot, is_id


@dataclass(frozen=True, kw_only=True)
class AnalysisSummary:
    """A row of the list of analyses. `created_at`: ISO 8601; empty where it cannot be read."""

    id: str
    created_at: str = ""
    models: tuple[str, ...] = ()
    emotions: tuple[str, ...] = ()
    sites: tuple[SiteName, ...] = ()
    pooling: str = ""
    badges: tuple[str, ...] = ()
    problem: str | None = None


def list_analyses(root: ResultsRoot) -> tuple[AnalysisSummary, ...]:
    """All analyses, newest first; those that cannot be read come last, with the reason."""
    rows = [_summary(root, name) for name in _names(root)]
    return tuple(sorted(rows, key=lambda row: row.created_at, reverse=True))


def read_analysis(
    results: str | os.PathLike[str] = "results", key: str | None = None
) -> SavedAnalysis:
    """An analysis of a results folder.

    Args:
        results: The results folder.
        key: Id, or the beginning of one; the analysis made last when None or `newest`.

    Raises:
        RequestError: There is none, or several ids begin like this.
        FileRefusedError: It cannot be read.
    """
    root = ResultsRoot(results)
    if key in (None, "newest"):
        readable = [row.id for row in list_analyses(root) if row.problem is None]
        if not readable:
            raise RequestError(
                f"there is no analysis in {root.analysis}", remedy="`emoact analyze` makes one."
            )
        return SavedAnalysis.open(root.analysis_dir(readable[0]))
    names = _names(root)
    found = [name for name in names if name == key] or [n for n in names if n.startswith(key)]
    if len(found) == 1 and key:
        return SavedAnalysis.open(root.analysis_dir(found[0]))
    if found and key:
        raise RequestError(f"{key!r} begins several analyses: {', '.join(found)}")
    close = difflib.get_close_matches(key, names, n=1)
    raise RequestError(
        f"there is no analysis {key!r} in {root.analysis}",
        remedy=f"Did you mean {close[0]}?" if close else "`emoact analyze list` shows all.",
    )


def saved_already(
    root: ResultsRoot, inputs: Sequence[InputFile], settings: AnalysisSettings
) -> SavedAnalysis | None:
    """The complete analysis of these files with these settings, or None."""
    try:
        found = SavedAnalysis.open(root.analysis_dir(analysis_id(inputs, settings)))
        found.check()
    except EmoactError:
        return None
    return found


def _names(root: ResultsRoot) -> list[str]:
    try:
        with os.scandir(root.analysis) as entries:
            names = sorted(e.name for e in entries if e.is_dir(follow_symlinks=False))
    except OSError:
        return []
    return [name for name in names if is_id(name)]


def _summary(root: ResultsRoot, name: str) -> AnalysisSummary:
    try:
        found = SavedAnalysis.open(root.analysis_dir(name))
    except FileRefusedError as error:
        return AnalysisSummary(id=name, problem=f"{error.reason}")
    return AnalysisSummary(
        id=name,
        created_at=found.created_at,
        models=found.models,
        emotions=found.emotions,
        sites=found.sites,
        pooling=found.settings.pooling,
        badges=found.badges,
    )
