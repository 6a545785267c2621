"""Writing of an analysis: its folder appears complete, or not at all."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import platform
import secrets
import shutil
from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from emoact.analysis.direction_files import write_directions
from emoact.analysis.inputs import InputFile
from emoact.analysis.key import ANALYSIS_VERSION, analysis_id
from emoact.analysis.saved import DESCRIPTION, SavedAnalysis
from emoact.analysis.sentences import badges_of, sentences_of
from emoact.analysis.table_files import write_table
from emoact.errors import EmoactError
from emoact.stats.result import AnalysisResult
from emoact.store.atomic import make_folder, write_error, write_json
from emoact.store.layout import ResultsRoot
from emoact.version import __version__

HIDDEN = ".new-"
"""First characters of the folder of an analysis while it is written."""

_REFUSALS = ("raw_cosine_refused", "models_not_compared")


def save_analysis(
    root: ResultsRoot, result: AnalysisResult, inputs: Sequence[InputFile], *, run_id: str = ""
) -> SavedAnalysis:
    """Write `results/analysis/<id>/` and read it back; a complete one is left as it is.

    Raises:
        EmoactError: The disk is full or broken; nothing is left behind.
    """
    key = analysis_id(inputs, result.settings)
    target = root.analysis_dir(key)
    hidden = root.analysis / f"{HIDDEN}{key}-{secrets.token_hex(4)}"
    try:
        make_folder(hidden)
        _write(hidden, key, result, inputs, run_id)
        _flush(hidden)
        if target.is_dir() and not _is_whole(target):
            damaged = hidden.with_name(f"{hidden.name}-damaged")
            target.rename(damaged)
            shutil.rmtree(damaged, ignore_errors=True)
        if not os.path.lexists(target):
            hidden.rename(target)
            _flush_folder(target.parent)
    except OSError as error:
        raise write_error(error, path=target) from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
    return SavedAnalysis.open(target)


def _write(
    folder: Path, key: str, result: AnalysisResult, inputs: Sequence[InputFile], run_id: str
) -> None:
    badges = badges_of(result)
    tables = result.tables
    (folder / "tables").mkdir()
    for name, table in tables.items():
        write_table(folder / "tables", name, table, badges=badges)
    write_directions(folder, result, analysis=key, inputs=inputs, badges=badges)
    findings = [finding for finding in result.findings if finding.code not in _REFUSALS]
    refusals = [finding for finding in result.findings if finding.code in _REFUSALS]
    write_json(
        folder / DESCRIPTION,
        {
            "schema_version": ANALYSIS_VERSION,
            "kind": "analysis",
            "id": key,
            "created_at": datetime.now().astimezone().isoformat(timespec="seconds"),
            "run_id": run_id,
            "versions": _versions(),
            "settings": result.settings.to_json(),
            "inputs": [dataclasses.asdict(each) for each in inputs],
            "emotions": list(dict.fromkeys(tables["headline"]["emotion"])),
            "sentences": sentences_of(result),
            "badges": list(badges),
            "findings": [finding.to_json() for finding in findings],
            "refusals": [finding.to_json() for finding in refusals],
            "random_weights": list(result.random_weights),
            "rows": {name: len(table) for name, table in tables.items()},
            "files": _contents(folder),
        },
    )


def _contents(folder: Path) -> dict[str, dict[str, Any]]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): {
            "size": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in files
    }


def _versions() -> dict[str, str]:
    found = {"emoact": __version__, "python": platform.python_version()}
    for name in ("numpy", "scipy", "scikit-learn", "pandas", "pyarrow", "safetensors"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _is_whole(folder: Path) -> bool:
    try:
        SavedAnalysis.open(folder).check()
    except EmoactError:
        return False
    return True


def _flush(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
    for path in (folder / "tables", folder):
        _flush_folder(path)


def _flush_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
