"""The newest saved analysis of a results folder, as far as a report speaks of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emoact.analysis.listing import list_analyses
from emoact.analysis.saved import SavedAnalysis
from emoact.errors import FileRefusedError
from emoact.sites import SiteName, analysed_sites, in_order
from emoact.store.layout import ResultsRoot

Row = Mapping[str, Any]

_MIXED = "mixed comparison: "
_TABLES = ("headline", "strength", "distances", "across")


@dataclass(frozen=True, kw_only=True)
class Phase3:
    """A saved analysis.

    Attributes:
        id: Name of its folder.
        settings: What it was asked to do.
        tables: Rows by table; names and columns are those of `AnalysisResult.tables`.
        findings: Code, place and message of what a reader must know.
        mixed: Fields in which the units differed although they were compared.
        current: Whether it is of the files that are in the folder now.
    """

    id: str
    settings: Mapping[str, Any]
    tables: Mapping[str, Sequence[Row]]
    findings: tuple[Mapping[str, str], ...]
    mixed: tuple[str, ...]
    current: bool

    @property
    def sites(self) -> tuple[SiteName, ...]:
        """The sites that were analysed; the first is the one that tables show."""
        return in_order(self.settings.get("sites", ())) or analysed_sites()

    def rows(self, table: str, **fields: object) -> list[Row]:
        """The rows of a table that have these values."""
        return [
            row
            for row in self.tables.get(table, ())
            if all(row[name] == value for name, value in fields.items())
        ]


def newest_phase3(
    root: ResultsRoot, hashes: Collection[str]
) -> tuple[Phase3 | None, tuple[str, ...]]:
    """The newest analysis of the files with these hashes, else the newest of any that can be read.

    Args:
        root: The results folder.
        hashes: SHA-256 of the files that are in it.

    Returns:
        The analysis, and why newer ones than it cannot be read.
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


def _read(saved: SavedAnalysis, hashes: Collection[str]) -> Phase3:
    findings = [*saved.findings, *saved.refusals]
    return Phase3(
        id=saved.id,
        settings=saved.settings.to_json(),
        tables={name: saved.table(name).to_dict("records") for name in _TABLES},
        findings=tuple(
            {"code": each.code, "where": each.where, "message": each.message} for each in findings
        ),
        mixed=tuple(
            badge.removeprefix(_MIXED) for badge in saved.badges if badge.startswith(_MIXED)
        ),
        current=all(each.sha256 in hashes for each in saved.inputs),
    )
