"""Search for the summary of a file, and measuring where there is none.

A summary is named by the hash of its file, which is remembered while the file is unchanged
(`emoact.models.cache`): a known file is neither read nor measured again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from emoact.errors import EmoactError
from emoact.models.cache import file_sha256, known_sha256
from emoact.store.layout import ResultsRoot
from emoact.store.parts import Part
from emoact.store.summaries.measures import UnitMeasures
from emoact.store.summaries.measuring import measure_file, unmeasured_file
from emoact.store.summaries.summary_file import (
    UnusableError,
    open_summary,
    save_summary,
    summaries_of,
)

_ATTEMPTS = 3


def unit_measures(root: ResultsRoot, folder: str, emotion: str) -> UnitMeasures:
    """Measures of one unit, from its summary, or from the file whose summary is then written.

    Where the folder cannot be written the measures are in memory only.

    Raises:
        FileRefusedError: The file cannot be trusted, or does not keep the contract.
        EmoactError: The file cannot be read, or changes during each of three attempts.
    """
    path = root.unit_path(folder, emotion)
    for _ in range(_ATTEMPTS):
        sha256 = file_sha256(path)
        measures = _open(root, sha256)
        named = (path.parent.name, Part.of(emotion).emotion)
        if measures and (measures.folder, measures.emotion) == named:
            return measures
        measures = measure_file(path)
        # A file that was replaced in between was hashed before and measured after.
        if file_sha256(path) == sha256:
            with contextlib.suppress(EmoactError):
                save_summary(root.summaries, measures, sha256=sha256)
            return measures
    raise EmoactError(
        f"{path} changes faster than it can be read", remedy="Wait until its run is done."
    )


def kept_measures(root: ResultsRoot, folder: str, emotion: str) -> UnitMeasures | None:
    """Measures of one unit from its summary, without measuring; None without a summary."""
    sha256 = known_sha256(root.unit_path(folder, emotion))
    return None if sha256 is None else _open(root, sha256)


def known_measures(
    root: ResultsRoot, folder: str, emotion: str, *, measure: Callable[[], UnitMeasures]
) -> UnitMeasures:
    """Facts of one unit, from its summary or else from the file; arrays come when asked for.

    Raises:
        FileRefusedError: The file cannot be trusted, or does not keep the contract.
        EmoactError: The file cannot be read.
    """
    kept = kept_measures(root, folder, emotion)
    return kept or unmeasured_file(root.unit_path(folder, emotion), measure)


def remove_unused(root: ResultsRoot) -> None:
    """Remove the summaries of files that are gone; none where a file or its hash is not known."""
    hashes = [known_sha256(path) for _, _, path in root.units()]
    if None in hashes or root.closed():
        return
    used = {path for sha256 in hashes if sha256 for path in summaries_of(root.summaries, sha256)}
    # Up to now a note in JSON lay beside each summary.
    for path in (*root.summaries.glob("*.safetensors"), *root.summaries.glob("*.json")):
        if path not in used:
            with contextlib.suppress(OSError):
                path.unlink()


def _open(root: ResultsRoot, sha256: str) -> UnitMeasures | None:
    for path in summaries_of(root.summaries, sha256):
        with contextlib.suppress(UnusableError):
            return open_summary(path, sha256=sha256)
    return None
