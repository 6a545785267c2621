"""Writing of an analysis: its folder is written completely or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from emoact.analysis.direction_files import write_directions
from emoact.analysis.key import ANALYSIS_VERSION, InputFile, analysis_id
from emoact.analysis.listing import saved_already
from emoact.analysis.saved import DESCRIPTION, ControlsUsed, Description, FileState, SavedAnalysis
from emoact.analysis.sentences import badges_of, sentences_of
from emoact.analysis.table_files import write_table
from emoact.decode import encode, sealed
from emoact.models.cache import hash_of, remember
from emoact.stats.result import AnalysisResult
from emoact.store.atomic import write_error, write_json
from emoact.store.layout import ResultsRoot
from emoact.store.locks import make_folder
from emoact.version import versions

_HIDDEN = ".new-"
"""First characters of the folder of an analysis while it is written."""

_REFUSALS = ("raw_cosine_refused", "models_not_compared")
_LIBRARIES = ("numpy", "scipy", "scikit-learn", "pandas", "pyarrow", "safetensors")


def save_analysis(
    root: ResultsRoot,
    result: AnalysisResult,
    inputs: Sequence[InputFile],
    *,
    run_id: str = "",
    controls: Sequence[ControlsUsed] = (),
) -> SavedAnalysis:
    """Write `results/analysis/<id>/` and read it back; a complete one is left as it is.

    Raises:
        EmoactError: The disk is full or broken; nothing is left behind.
    """
    key = analysis_id(inputs, result.settings)
    target = root.analysis_dir(key)
    hidden = root.analysis / f"{_HIDDEN}{key}-{secrets.token_hex(4)}"
    try:
        make_folder(hidden)
        _write(hidden, key, result, inputs, run_id, controls)
        for path in (*hidden.rglob("*"), hidden):
            _flush(path)
        if target.is_dir() and saved_already(root, inputs, result.settings) is None:
            damaged = hidden.with_name(f"{hidden.name}-damaged")
            target.rename(damaged)
            shutil.rmtree(damaged, ignore_errors=True)
        if not os.path.lexists(target):
            hidden.rename(target)
            _flush(target.parent)
    except OSError as error:
        raise write_error(error, path=target) from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
    saved = SavedAnalysis.open(target)
    for name, file in saved.files.items():
        if name.startswith("tables/"):
            remember("tables", file.sha256)
    return saved


def _write(
    folder: Path,
    key: str,
    result: AnalysisResult,
    inputs: Sequence[InputFile],
    run_id: str,
    controls: Sequence[ControlsUsed],
) -> None:
    badges = badges_of(result)
    tables = result.tables
    (folder / "tables").mkdir()
    for name, table in tables.items():
        write_table(folder / "tables", name, table, badges=badges)
    write_directions(folder, result, analysis=key, inputs=inputs, badges=badges)
    description = Description(
        id=key,
        created_at=datetime.now().astimezone().isoformat(timespec="seconds"),
        run_id=run_id,
        versions=versions(*_LIBRARIES),
        inputs=tuple(inputs),
        emotions=tuple(dict.fromkeys(tables["headline"]["emotion"])),
        sentences=sentences_of(result),
        badges=badges,
        findings=tuple(found for found in result.findings if found.code not in _REFUSALS),
        refusals=tuple(found for found in result.findings if found.code in _REFUSALS),
        random_weights=tuple(result.random_weights),
        rows={name: len(table) for name, table in tables.items()},
        controls=tuple(controls),
        files={
            path.relative_to(folder).as_posix(): FileState(
                size=path.stat().st_size, sha256=hash_of(path)
            )
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        },
    )
    write_json(
        folder / DESCRIPTION,
        sealed(
            {
                "schema_version": ANALYSIS_VERSION,
                "settings": encode(result.settings),
                **encode(description),
            }
        ),
    )


def _flush(path: Path) -> None:
    """Have the system write a file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
