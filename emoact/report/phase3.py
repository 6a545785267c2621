"""The newest saved analysis of a results folder, as far as a report speaks of it."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from emoact.analysis.listing import list_analyses
from emoact.analysis.saved import SavedAnalysis
from emoact.errors import FileRefusedError
from emoact.store.layout import ResultsRoot
from emoact.views import catalogue
from emoact.views.analysed import Analysed
from emoact.views.view import Choice, Shown, View

_MIXED = "mixed comparison: "
_TABLES = ("headline", "across")


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A view as a report shows it: one choice of its controls and what comes of it."""

    view: View[Any]
    source: Any
    choice: Choice
    shown: Shown

    def answer(self) -> list[str]:
        """Sentences that answer the question of the view."""
        return [part for part in self.view.answer(self.source, self.choice, self.shown) if part]


@dataclass(frozen=True, kw_only=True)
class Phase3:
    """A saved analysis.

    Attributes:
        source: The analysis with its tables.
        views: Every view of an analysis that the report has.
        notes: Code, place and message of each finding and refusal of the analysis.
        mixed: Fields in which the units differed although they were compared.
        current: True if it is of the files that are in the folder now.
    """

    source: Analysed
    views: tuple[Drawn, ...]
    notes: tuple[Mapping[str, str], ...]
    mixed: tuple[str, ...]
    current: bool


def newest_phase3(
    root: ResultsRoot, hashes: Collection[str]
) -> tuple[Phase3 | None, tuple[str, ...]]:
    """The newest analysis of the files with these hashes, else the newest of any that can be read.

    Args:
        root: The results folder.
        hashes: SHA-256 of the files that are in it.

    Returns:
        The analysis, and the reasons for which newer ones cannot be read.
    """
    stale = None
    unread = []
    for row in list_analyses(root):
        if row.problem is not None:
            unread.append(f"{row.id}: {row.problem}")
            continue
        try:
            found = _read(SavedAnalysis.open(root.analysis_dir(row.id)), hashes)
        except FileRefusedError as error:
            unread.append(f"{row.id}: {error.reason}")
            continue
        if found.current:
            return found, tuple(unread)
        stale = stale or found
    return stale, tuple(unread)


def drawn_views(source: Any, views: Iterable[View[Any]]) -> tuple[Drawn, ...]:
    """The views that the report has of a source, each once for every choice that it names."""
    found = []
    for view in views:
        for choice in view.in_report(source) if view.in_report else ():
            shown = view.show(source, choice)
            if len(shown.table):
                found.append(Drawn(view=view, source=source, choice=choice, shown=shown))
    return tuple(found)


def _read(saved: SavedAnalysis, hashes: Collection[str]) -> Phase3:
    source = Analysed(saved=saved, read=functools.cache(saved.table))
    # A damaged table has to show before a word is written.
    for name in _TABLES:
        source.read(name)
    return Phase3(
        source=source,
        views=drawn_views(source, catalogue.of_analyses()),
        notes=tuple(
            {"code": each.code, "where": each.where, "message": each.message}
            for each in (*saved.findings, *saved.refusals)
        ),
        mixed=tuple(
            badge.removeprefix(_MIXED) for badge in saved.badges if badge.startswith(_MIXED)
        ),
        current=all(each.sha256 in hashes for each in saved.inputs),
    )
