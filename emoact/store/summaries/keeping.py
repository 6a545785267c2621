"""Search for the summary of a file, and measuring where there is none.

A note beside the summaries holds size, times and inode of a file when it was hashed. While these
are unchanged the file is not read; otherwise it is hashed, and measured without a summary of that
hash.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from emoact.decode import read_json
from emoact.errors import EmoactError, RequestError
from emoact.store.atomic import write_json
from emoact.store.layout import ResultsRoot
from emoact.store.summaries.measures import UnitMeasures
from emoact.store.summaries.measuring import measure_file, unmeasured_file
from emoact.store.summaries.summary_file import (
    SUMMARY_VERSION,
    UnusableError,
    open_summary,
    save_summary,
)

_ATTEMPTS = 3
_NOTE_BYTES = 100_000
_LOOKED_AT = ("size", "modified_ns", "changed_ns", "inode")


def unit_measures(root: ResultsRoot, folder: str, emotion: str) -> UnitMeasures:
    """Measures of one unit, from its summary, or from the file whose summary is then written.

    Where the folder cannot be written the measures are in memory only.

    Raises:
        FileRefusedError: The file cannot be trusted, or does not keep the contract.
        EmoactError: The file cannot be read, or changes during each of three attempts.
    """
    path = root.unit_path(folder, emotion)
    for _ in range(_ATTEMPTS):
        look = _look(path)
        sha256 = _noted_hash(root, folder, emotion, look) or _hash(path)
        with contextlib.suppress(UnusableError):
            measures = open_summary(_summary(root, sha256), sha256=sha256)
            if (measures.folder, measures.emotion) == (path.parent.name, emotion):
                _note(root, folder, emotion, look, sha256)
                return measures
        measures = measure_file(path)
        # A file that was replaced in between was hashed before and measured after.
        if _look(path) == look:
            with contextlib.suppress(EmoactError):
                save_summary(_summary(root, sha256), measures, sha256=sha256)
                _note(root, folder, emotion, look, sha256)
                _sweep(root)
            return measures
    raise EmoactError(
        f"{path} changes faster than it can be read", remedy="Wait until its run is done."
    )


def kept_measures(root: ResultsRoot, folder: str, emotion: str) -> UnitMeasures | None:
    """Measures of one unit from its summary, without reading the file; None without a summary.

    Raises:
        EmoactError: The file cannot be read.
    """
    sha256 = _noted_hash(root, folder, emotion, _look(root.unit_path(folder, emotion)))
    if sha256 is None:
        return None
    with contextlib.suppress(UnusableError):
        return open_summary(_summary(root, sha256), sha256=sha256)
    return None


def known_measures(
    root: ResultsRoot, folder: str, emotion: str, *, measure: Callable[[], UnitMeasures]
) -> UnitMeasures:
    """Facts of one unit, from its summary or else from the file; arrays come when asked for.

    Args:
        root: The results folder.
        folder: Folder of the model.
        emotion: Class label.
        measure: Measures the file, where there is no summary yet.

    Raises:
        FileRefusedError: The file cannot be trusted, or does not keep the contract.
        EmoactError: The file cannot be read.
    """
    kept = kept_measures(root, folder, emotion)
    return kept or unmeasured_file(root.unit_path(folder, emotion), measure)


def _look(path: Path) -> dict[str, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise EmoactError(f"{path} cannot be read: {error.strerror}") from error
    return {
        "size": status.st_size,
        "modified_ns": status.st_mtime_ns,
        "changed_ns": status.st_ctime_ns,
        "inode": status.st_ino,
    }


def _hash(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise EmoactError(f"{path} cannot be read: {error.strerror}") from error


def _summary(root: ResultsRoot, sha256: str) -> Path:
    return root.summaries / f"{sha256[:32]}.safetensors"


def _note_path(root: ResultsRoot, folder: str, emotion: str) -> Path:
    name = hashlib.sha256(root.unit_name(folder, emotion).encode()).hexdigest()
    return root.summaries / f"{name[:32]}.json"


def _read_note(path: Path) -> dict[str, Any]:
    try:
        found = read_json(path, limit=_NOTE_BYTES)
    except RequestError:
        return {}
    return found if isinstance(found, dict) and isinstance(found.get("sha256"), str) else {}


def _noted_hash(
    root: ResultsRoot, folder: str, emotion: str, look: Mapping[str, int]
) -> str | None:
    note = _read_note(_note_path(root, folder, emotion))
    same = note.get("version") == SUMMARY_VERSION and all(
        note.get(name) == look[name] for name in _LOOKED_AT
    )
    return note["sha256"] if same else None


def _note(
    root: ResultsRoot, folder: str, emotion: str, look: Mapping[str, int], sha256: str
) -> None:
    path = _note_path(root, folder, emotion)
    content = {
        "version": SUMMARY_VERSION,
        "unit": root.unit_name(folder, emotion),
        "sha256": sha256,
        **look,
    }
    if _read_note(path) != content:
        # Without the note the file is hashed again next time, which is slower and equally correct.
        with contextlib.suppress(EmoactError):
            write_json(path, content, durable=False)


def _sweep(root: ResultsRoot) -> None:
    """Remove summaries that no note names: those of files that were written again."""
    notes = [_read_note(path) for path in root.summaries.glob("*.json")]
    named = {f"{note['sha256'][:32]}.safetensors" for note in notes if note}
    for path in root.summaries.glob("*.safetensors"):
        if path.name not in named:
            with contextlib.suppress(OSError):
                path.unlink()
