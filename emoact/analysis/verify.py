"""Check of what a results folder holds beside activations: runs, analyses, control extractions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePath

from emoact.analysis.listing import list_analyses
from emoact.analysis.saved import SavedAnalysis
from emoact.errors import EmoactError, RequestError
from emoact.jobs.directory import FrozenChoices, RunDirectory
from emoact.jobs.events import damaged_lines
from emoact.jobs.queue import run_directories
from emoact.models.cache import hash_of
from emoact.schema import Finding
from emoact.store.controls import damage_of
from emoact.store.layout import ResultsRoot

NOT_COVERED = (
    "imported data sets, the figures of Markdown reports and reports that no run made",
    "the log of a run (worker.log)",
    "files from before there were hashes, and files that carry the hash of a forger",
    "the models of activations whose model is not installed here",
)
"""Files and facts that `emoact verify` does not check."""


def verify_runs(root: ResultsRoot) -> Iterator[Finding]:
    """Changed or damaged status files and events of runs."""
    for directory in run_directories(root.runs):
        try:
            directory.config()
            directory.status()
            FrozenChoices(directory.plan_path)
        except EmoactError as error:
            yield _found("run_damaged", directory.path, error.message, _DELETE)
        try:
            lines = damaged_lines(directory.events_path)
        except RequestError as error:
            yield _found("run_damaged", directory.path, error.message, _DELETE)
            continue
        if lines:
            message = f"line {lines[0]} is not what was written ({len(lines)} such lines)"
            yield _found("events_damaged", directory.events_path, message, _DELETE)
        yield from _changed_reports(root, directory)


def _changed_reports(root: ResultsRoot, directory: RunDirectory) -> Iterator[Finding]:
    """Reports that are not what their run wrote; one that was removed is no finding."""
    for event in directory.events():
        written = event.fields.get("sha256")
        if event.kind != "made" or not isinstance(written, str):
            continue
        try:
            # A results folder may have been moved since.
            path = root.report_path(PurePath(str(event.fields.get("path"))).name)
            same = hash_of(path) == written
        except (OSError, RequestError):
            continue
        if not same:
            yield _found("report_changed", path, "it is not what was written", _MAKE_AGAIN)


def verify_analyses(root: ResultsRoot) -> Iterator[Finding]:
    """Changed, damaged or missing files of analyses."""
    for row in list_analyses(root):
        path = root.analysis_dir(row.id)
        try:
            SavedAnalysis.open(path).check()
        except EmoactError as error:
            yield _found("analysis_damaged", path, error.message, error.remedy or "")


def verify_controls(root: ResultsRoot) -> Iterator[Finding]:
    """Changed or damaged control extractions."""
    for path in sorted((root.path / "controls").glob("*/*.safetensors")):
        try:
            # Refuses a link that leads out of the results folder.
            root.controls_dir(path.parent.name)
            problem = damage_of(path)
        except (OSError, ValueError, LookupError, TypeError, EmoactError) as error:
            problem = str(error)
        if problem:
            remedy = "Remove the file; the next analysis with --controls extracts it again."
            yield _found("controls_damaged", path, problem, remedy)


_MAKE_AGAIN = "Make the report again, or delete it."
_DELETE = "`emoact runs delete` removes the run; the activations that it wrote stay."


def _found(code: str, where: Path, message: str, remedy: str) -> Finding:
    return Finding(code=code, severity="error", where=str(where), message=message, remedy=remedy)
