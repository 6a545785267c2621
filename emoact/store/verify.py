"""Check of the files on disk against what was acknowledged: hashes, contract, values.

Recomputing activations needs a model and is done in `emoact.extraction.parity`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from emoact import sites
from emoact.errors import EmoactError
from emoact.files import is_there
from emoact.models.cache import hash_of
from emoact.schema import Finding, Severity
from emoact.store import manifest
from emoact.store.keys import unit_key
from emoact.store.layout import ResultsRoot
from emoact.store.manifest import ManifestEntry
from emoact.store.protocol import STORES, split_unit_file_name, store_of, unit_file_name
from emoact.store.reading import problems_of
from emoact.store.summaries.measures import differences_of
from emoact.store.summaries.measuring import measure_file
from emoact.store.summaries.summary_file import UnusableError, open_summary, summaries_of
from emoact.store.unit import Unit

ADDITIVITY = 1e-4
"""Largest relative error of resid_pre plus all that a layer adds against the next resid_pre."""

_AGAIN = "Extract the unit again with --overwrite, or restore the file from a copy."


@dataclass(frozen=True, kw_only=True)
class FilesReport:
    """Result of a check of the files."""

    findings: tuple[Finding, ...]
    units: Sequence[Unit]
    n_files: int
    n_bytes: int


class _Readable(Sequence[Any]):
    """Units of files; with very many prompts they are large together."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return _Readable(self._paths[place])
        return store_of(self._paths[place]).read(self._paths[place])


def verify_files(
    results: str | os.PathLike[str], *, on_file: Callable[[Path], None] | None = None
) -> FilesReport:
    """Check every file of a results folder against its record and against itself."""
    root = ResultsRoot(results)
    findings: list[Finding] = []
    try:
        known = manifest.load(root)
    except EmoactError as error:
        findings.append(_refused("manifest_damaged", root.manifest, error))
        known = {}
    paths = {
        root.unit_path(entry.folder, entry.emotion, store=entry.store): entry
        for entry in known.values()
    }
    # Every file there is, acknowledged or not, and every acknowledged one, there or not.
    present = {path for _, _, path in root.units()}
    findings += [
        problem
        for problem in problems_of(results)
        # Of a file itself, the full check says more; parts that do not fit are known here only.
        if problem.code == "name_refused" or Path(problem.where) not in present
    ]
    readable, n_bytes = [], 0
    for path in sorted(present | set(paths)):
        if on_file is not None:
            on_file(path)
        entry = paths.get(path)
        if path not in present and entry is not None:
            said = f"it was saved by run {entry.run_id} ({entry.size:,} bytes) and is not there"
            remedy = "Restore it from a copy, or extract the unit again."
            findings.append(_finding("file_missing", path, said, remedy))
            continue
        try:
            n_bytes += path.stat().st_size
            findings += _check_record(path, entry)
        except OSError as error:
            findings.append(_finding("file_refused", path, f"it cannot be read: {error.strerror}"))
            continue
        findings += _check_twins(path)
        verified = store_of(path).verify(path)
        if verified.refusal is not None:
            findings.append(_refused("file_refused", path, verified.refusal))
        if verified.unit is None:
            continue
        unit = verified.unit
        readable.append(path)
        findings += [
            replace(found, where=f"{path}: {found.where}" if found.where else str(path))
            for found in verified.findings
        ]
        findings += _check_identity(path, unit, entry)
        findings += _check_sum(path, unit)
        findings += _check_summaries(root, path)
    return FilesReport(
        findings=tuple(findings),
        units=_Readable(readable),
        n_files=len(present | set(paths)),
        n_bytes=n_bytes,
    )


def is_ok(findings: tuple[Finding, ...]) -> bool:
    """True when nothing but notes was found."""
    return all(finding.severity == "note" for finding in findings)


def _finding(
    code: str,
    where: str | Path,
    message: str,
    remedy: str = _AGAIN,
    *,
    severity: Severity = "error",
) -> Finding:
    return Finding(code=code, severity=severity, where=str(where), message=message, remedy=remedy)


def _refused(code: str, path: Path, error: EmoactError) -> Finding:
    return _finding(code, path, error.message, error.remedy or _AGAIN)


def _check_record(path: Path, entry: ManifestEntry | None) -> Iterator[Finding]:
    if entry is None:
        message = "no run acknowledged this file, so its content cannot be checked by hash"
        yield _finding("unrecorded", path, message, "", severity="note")
        return
    size = path.stat().st_size
    if size != entry.size:
        yield _finding("size_mismatch", path, f"it has {size:,} bytes; {entry.size:,} were saved")
        return
    sha256 = hash_of(path)
    if sha256 != entry.sha256:
        message = f"its SHA-256 is {sha256[:16]}...; {entry.sha256[:16]}... was saved"
        yield _finding("hash_mismatch", path, message)


def _check_twins(path: Path) -> Iterator[Finding]:
    """Name the file that is read where a unit is there in several formats."""
    named = split_unit_file_name(path.name)
    names = [unit_file_name(named[0], store.suffix) for store in STORES] if named else []
    there = [name for name in names if is_there(path.parent / name)]
    if len(there) > 1 and path.name == there[0]:
        message = f"{', '.join(there[1:])} holds the same unit; {path.name} is read"
        remedy = "Remove the file that is not wanted."
        yield _finding("several_formats", path, message, remedy, severity="note")


def _check_identity(path: Path, unit: Unit, entry: ManifestEntry | None) -> Iterator[Finding]:
    """Compare what the file says of itself with the manifest and with its own tokens."""
    if entry is None:
        return
    stated = (unit.provenance or {}).get("unit_key")
    computed = unit_key(entry.configuration, list(unit.tokens))
    for name, key in (("metadata.provenance.unit_key", stated), ("tokens", computed)):
        if key is not None and key != entry.key:
            said, known = f"{str(key)[:16]}...", f"{entry.key[:16]}..."
            message = f"it belongs to the unit key {said}; the manifest has {known}"
            yield _finding("key_mismatch", f"{path}: {name}", message)
    if unit.model_name != entry.model:
        message = f"it is {unit.model_name!r}; the manifest has {entry.model!r}"
        yield _finding("model_mismatch", f"{path}: metadata.model_name", message)


def _check_summaries(root: ResultsRoot, path: Path) -> Iterator[Finding]:
    """Compare the summary of a file, which pages and `norms` read, with a new measurement."""
    sha256 = hash_of(path)
    for summary in summaries_of(root.summaries, sha256):
        try:
            kept = open_summary(summary, sha256=sha256)
        except UnusableError as error:
            message = f"the summary of {path.name} is not used ({error})"
            remedy = "It is written again when a page or `emoact norms` needs it."
            yield _finding("summary_damaged", summary, message, remedy, severity="warning")
            continue
        changed = differences_of(kept, measure_file(path))
        if changed:
            yield _finding(
                "summary_differs",
                summary,
                f"{changed[0]} is not what {path.name} holds ({len(changed)} arrays or fields)",
                "Remove the file; it is written again when it is needed. Start a dashboard that "
                "showed it again.",
            )


def _check_sum(path: Path, unit: Unit) -> Iterator[Finding]:
    """Compare what each layer adds with the next layer's stream, where all of it was saved."""
    configuration = unit.configuration or {}
    parts = [site.name for site in sites.SITES if site.is_added]
    if unit.pooled or not {"resid_pre", *parts} <= set(unit.sites):
        return
    if configuration.get("dtype", "float32") != "float32":
        return
    worst, where = 0.0, ""
    for layer in range(unit.n_layers - 1):
        for sample in range(unit.n_samples):
            total = unit.residual_stream[layer][sample].astype(np.float64)
            for part in parts:
                total += unit.site(part)[layer][sample]
            after = unit.residual_stream[layer + 1][sample].astype(np.float64)
            with np.errstate(invalid="ignore", divide="ignore"):
                size = np.linalg.norm(after)
                error = float(np.linalg.norm(total - after) / size)
                if unit.rounding:
                    terms = (unit.site(name)[layer][sample] for name in ("resid_pre", *parts))
                    sizes = [size, *(np.linalg.norm(term.astype(np.float64)) for term in terms)]
                    error = max(0.0, error - unit.rounding * float(sum(sizes) / size))
            # NaN compares as neither larger nor smaller and must be found too.
            if not error <= worst:
                worst, where = error, f"layer {layer}, sample {sample}"
    if not worst <= ADDITIVITY:
        yield _finding(
            "not_additive",
            f"{path}: {where}",
            f"{' + '.join(['resid_pre', *sorted(parts)])} differs from the next resid_pre "
            f"by {worst:.2g} of its norm; {ADDITIVITY:g} is allowed",
        )
