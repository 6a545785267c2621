"""Measures of the units of a results folder, from their summaries or measured where there is none.

A summary is named by the hash of its file, which is remembered while the file is unchanged
(`emoact.models.cache`): a known file is neither read nor measured again. A run starts this file as
`python -m emoact.store.summaries.grid RESULTS` after its last file, so that the files are measured
before a page asks.
"""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from emoact.errors import EmoactError, FileRefusedError
from emoact.models.cache import file_sha256, known_sha256, memory_of
from emoact.schema import Finding
from emoact.store.layout import ResultsRoot
from emoact.store.parts import Part
from emoact.store.summaries.joining import check_parts, join_measures, labels_by_emotion
from emoact.store.summaries.measures import UnitMeasures
from emoact.store.summaries.measuring import NoPositionsError, measure_file, unmeasured_file
from emoact.store.summaries.outline import Outline, outline_of
from emoact.store.summaries.summary_file import (
    UnusableError,
    open_summary,
    save_summary,
    summaries_of,
)

_ATTEMPTS = 3
_NICE = 10
"""Niceness of the process, so that computations have priority."""


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
        kept = _open(root, path, emotion, sha256)
        if kept is not None:
            return kept
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
    path = root.unit_path(folder, emotion)
    sha256 = known_sha256(path)
    return None if sha256 is None else _open(root, path, emotion, sha256)


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


def unit_outline(root: ResultsRoot, folder: str, emotion: str) -> Outline:
    """Outline of one unit, remembered or else from its summary or its file.

    What a summary said is forgotten with the summary: a false one can be removed.

    Raises:
        FileRefusedError: The file cannot be trusted, or does not keep the contract.
        EmoactError: The file cannot be read.
    """
    measure = partial(unit_measures, root, folder, emotion)
    read = partial(known_measures, root, folder, emotion, measure=measure)
    path = root.unit_path(folder, emotion)

    def place() -> Path:
        sha256 = known_sha256(path)
        return memory_of(
            path, "outlines", *(summaries_of(root.summaries, sha256) if sha256 else ())
        )

    return outline_of(place, read)


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


def _open(root: ResultsRoot, path: Path, emotion: str, sha256: str) -> UnitMeasures | None:
    """Measures of the file at a path that has this hash, from a summary that names its unit."""
    for summary in summaries_of(root.summaries, sha256):
        with contextlib.suppress(UnusableError):
            kept = open_summary(summary, sha256=sha256)
            if (kept.folder, kept.emotion) == (path.parent.name, Part.of(emotion).emotion):
                return kept
    return None


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Units in the order of folder and emotion.

    Attributes:
        problems: One finding per file that has no measures; `where` is its path.
        pooled: Facts of the files that keep pooled vectors only; they have no measures.
    """

    units: tuple[UnitMeasures, ...]
    problems: tuple[Finding, ...]
    pooled: tuple[UnitMeasures, ...] = ()


def measures_of(results: str | os.PathLike[str]) -> Measured:
    """The measures of every unit; files that are refused become problems, not errors."""
    root = ResultsRoot(results)
    units, problems, pooled = [], root.closed(), []
    for (folder, emotion), labels in labels_by_emotion(root).items():
        path = root.unit_path(folder, emotion)
        try:
            check_parts(root, folder, emotion)
            units.append(join_measures([unit_measures(root, folder, one) for one in labels]))
        except EmoactError as error:
            only_pooled = isinstance(error, NoPositionsError)
            if only_pooled:
                files = [root.unit_path(folder, one) for one in labels]
                pooled.append(
                    join_measures(
                        [unmeasured_file(one, partial(measure_file, one)) for one in files]
                    )
                )
            reason = error.reason if isinstance(error, FileRefusedError) else error.message
            problems.append(
                Finding(
                    code="no_positions" if only_pooled else "file_refused",
                    severity="error",
                    where=str(path),
                    message=reason,
                    remedy=error.remedy or "",
                )
            )
    remove_unused(root)
    return Measured(units=tuple(units), problems=tuple(problems), pooled=tuple(pooled))


def main(argv: Sequence[str] | None = None) -> int:
    """Write the summaries that are missing; returns 0 even where a file is refused."""
    parser = argparse.ArgumentParser(description="Measure saved activations for the pages.")
    parser.add_argument("results", help="a results folder")
    arguments = parser.parse_args(argv)
    os.nice(_NICE)
    try:
        root = ResultsRoot(arguments.results)
        for folder, label, _ in root.units():
            # One at a time, and none kept: very many prompts are large together.
            for note in (unit_measures, unit_outline):
                with contextlib.suppress(EmoactError):
                    note(root, folder, label)
        remove_unused(root)
    except EmoactError as error:
        # No page waits for this process; a page that needs a measure reports the error itself.
        print(f"the measures for the pages were not written: {error.message}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
