"""Activation files on disk, each version read once and kept small.

Everything kept is keyed by path, modification time and size, so that a file that was written again
is read again; activations themselves are never kept.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Generic, TypeVar

import streamlit as st

from emoact.decode import is_text
from emoact.errors import EmoactError, FileRefusedError, RequestError
from emoact.numbers import time_of_file
from emoact.store import manifest
from emoact.store.layout import ResultsRoot
from emoact.store.manifest import ManifestEntry
from emoact.store.summaries import known_measures, unit_measures, unit_outline
from emoact.store.summaries.joining import check_parts, join_measures, labels_by_emotion
from emoact.store.summaries.measures import UnitMeasures
from emoact.store.summaries.outline import Outline, join_outlines
from emoact.ui.boxes import error_box

# Four labels of a few dozen models; norms are some kilobytes for each.
_MAX_FILES = 512
_MAX_REPORTS = 50


@dataclass(frozen=True, kw_only=True)
class UnitFile:
    """One version of one file.

    Attributes:
        modified_ns: Modification time, of parts that of the newest.
        labels: The emotion, or its parts, which are several files.
    """

    results: str
    folder: str
    emotion: str
    path: str
    modified_ns: int
    size: int
    labels: tuple[str, ...]

    @property
    def modified(self) -> datetime:
        """Modification time in UTC."""
        return time_of_file(self.modified_ns / 1e9)


Facts = TypeVar("Facts", UnitMeasures, Outline)


@dataclass(frozen=True, kw_only=True)
class FileFacts(Generic[Facts]):
    """A version of a file with its facts, or with the reason for which it was refused."""

    file: UnitFile
    unit: Facts | None = None
    problem: str | None = None
    remedy: str | None = None


UnitCard = FileFacts[UnitMeasures]
FileOutline = FileFacts[Outline]


def unit_files(results: str, *, tell: bool = True) -> list[UnitFile]:
    """Every unit file of a results folder, by folder and emotion; asks the disk every time.

    A results folder that cannot be listed becomes a box on the page, unless it has one already.
    """
    found = []
    try:
        root = ResultsRoot(results)
        for closed in root.closed() if tell else ():
            refused = RequestError(f"{closed.where}: {closed.message}", remedy=closed.remedy)
            error_box(refused, title="A folder cannot be read")
        for (folder, emotion), labels in labels_by_emotion(root).items():
            try:
                states = [root.unit_path(folder, label).stat() for label in labels]
            except OSError:
                # Replaced or removed between the listing and now, or a link that leads nowhere.
                continue
            found.append(
                UnitFile(
                    results=results,
                    folder=folder,
                    emotion=emotion,
                    path=str(root.unit_path(folder, emotion)),
                    modified_ns=max(state.st_mtime_ns for state in states),
                    size=sum(state.st_size for state in states),
                    labels=tuple(labels),
                )
            )
    except EmoactError as error:
        if tell:
            error_box(error, title="The results folder cannot be read")
    return found


def unit_cards(results: str) -> list[UnitCard]:
    """One card for every unit file of a results folder."""
    return [unit_card(file) for file in unit_files(results)]


def file_outlines(results: str) -> list[FileOutline]:
    """The outline of every unit file; a file that was found good in this state is not read."""
    return [_outline(file) for file in unit_files(results)]


@st.cache_resource(max_entries=_MAX_FILES, show_spinner="Reading activations")
def _outline(file: UnitFile) -> FileOutline:
    def read(root: ResultsRoot) -> Outline:
        return join_outlines([unit_outline(root, file.folder, label) for label in file.labels])

    return _facts(file, read)


@st.cache_resource(max_entries=_MAX_FILES, show_spinner="Reading activations")
def unit_card(file: UnitFile) -> UnitCard:
    """The card of one version of a file."""

    def read(root: ResultsRoot) -> UnitMeasures:
        parts = []
        for label in file.labels:
            measure = functools.partial(unit_measures, root, file.folder, label)
            if len(file.labels) == 1:
                # Kept, so that a second look at a file without a summary does not measure it again.
                measure = functools.partial(measures, file)
            parts.append(known_measures(root, file.folder, label, measure=measure))
        return join_measures(parts)

    return _facts(file, read)


def _facts(file: UnitFile, read: Callable[[ResultsRoot], Facts]) -> FileFacts[Facts]:
    root = ResultsRoot(file.results)
    try:
        check_parts(root, file.folder, file.emotion)
        return FileFacts(file=file, unit=read(root))
    except EmoactError as error:
        reason = error.reason if isinstance(error, FileRefusedError) else error.message
        return FileFacts(file=file, problem=reason, remedy=error.remedy)


def recorded(root: ResultsRoot) -> Mapping[str, ManifestEntry]:
    """Units of the manifest; none where it is damaged, which the page Runs tells."""
    try:
        return manifest.load(root)
    except EmoactError:
        return {}


@st.cache_resource(max_entries=_MAX_FILES, show_spinner="Measuring activations, once for each file")
def measures(file: UnitFile) -> UnitMeasures:
    """The measures of one version of a file; arrays come from its summary when asked for.

    Raises:
        FileRefusedError: The file cannot be trusted, or does not keep the contract.
        EmoactError: The file cannot be read.
    """
    root = ResultsRoot(file.results)
    return join_measures([unit_measures(root, file.folder, label) for label in file.labels])


@dataclass(frozen=True, kw_only=True)
class ReportFile:
    """A report on disk."""

    path: Path
    size: int
    made: datetime


def reports_of(results: str) -> list[ReportFile]:
    """The reports of a results folder, newest first."""
    found = []
    try:
        for path in ResultsRoot(results).reports.iterdir():
            known = path.suffix in (".html", ".md") and is_text(path.name)
            if known and path.is_file() and not path.is_symlink():
                status = path.stat()
                made = time_of_file(status.st_mtime)
                found.append(ReportFile(path=path, size=status.st_size, made=made))
    except (OSError, EmoactError):
        return []
    return sorted(found, key=lambda file: (file.made, file.path.name), reverse=True)[:_MAX_REPORTS]
