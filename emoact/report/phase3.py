"""The newest saved analysis of a results folder, as far as a report speaks of it."""

from __future__ import annotations

import functools
from collections.abc import Collection
from dataclasses import dataclass

from emoact.analysis.listing import list_analyses
from emoact.analysis.saved import SavedAnalysis
from emoact.errors import FileRefusedError
from emoact.store.layout import ResultsRoot
from emoact.views.analysed import Analysed

_MIXED = "mixed comparison: "


@dataclass(frozen=True, kw_only=True)
class Phase3:
    """A saved analysis.

    Attributes:
        current: True if it is of the files that are in the folder now.
    """

    source: Analysed
    current: bool

    @property
    def mixed(self) -> list[str]:
        """Fields in which the units differed although they were compared."""
        badges = self.source.saved.badges
        return [badge.removeprefix(_MIXED) for badge in badges if badge.startswith(_MIXED)]


def newest_phase3(
    root: ResultsRoot, hashes: Collection[str]
) -> tuple[Phase3 | None, tuple[str, ...]]:
    """The newest analysis of the files with these hashes, else the newest of any that can be read.

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
            saved = SavedAnalysis.open(root.analysis_dir(row.id))
            source = Analysed(saved=saved, read=functools.cache(saved.table))
            # A damaged table has to show before a word is written.
            for name in saved.tables:
                source.read(name)
        except FileRefusedError as error:
            unread.append(f"{row.id}: {error.reason}")
            continue
        if all(each.sha256 in hashes for each in saved.inputs):
            return Phase3(source=source, current=True), tuple(unread)
        stale = stale or Phase3(source=source, current=False)
    return stale, tuple(unread)
