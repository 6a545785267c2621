"""Findings of the contract check, and the checks of metadata: required fields and their types."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from emoact import sites
from emoact.decode import check_nesting, decode, encode
from emoact.errors import RequestError
from emoact.schema import Finding, Precision, Severity, check_emotion
from emoact.store.unit import missing_fields, prompts_of

_COUNTS = ("n_layers", "d_model", "n_samples")
_MAX_NAME = 300
_MAX_COUNT = 1 << 31
REPAIR = "Extract the file again, or correct the field where the file was made."


@dataclass(frozen=True, kw_only=True)
class _Provenance:
    """Types of the fields of provenance that are read; all may be missing."""

    schema_version: int | None = None
    model_name: str | None = None
    revision: str | None = None
    commit: str | None = None
    weight_source: str | None = None
    weight_sha256: str | None = None
    random_weights: bool | None = None
    processing: str | None = None
    bos: Mapping[str, Any] | None = None
    chat: Mapping[str, Any] | None = None
    generation: Mapping[str, Any] | None = None
    dtype: str | None = None
    precision: Precision | None = None
    device: str | None = None
    dataset: Mapping[str, Any] | str | None = None
    truncated: tuple[Mapping[str, Any], ...] | None = None
    versions: Mapping[str, str] | None = None
    run_id: str | None = None
    command: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    throughput: Mapping[str, float | None] | None = None
    plan: Mapping[str, Any] | None = None
    self_check: Mapping[str, Any] | None = None
    unit_key: str | None = None


class Findings:
    """Findings of one check: of each code the first is kept and the rest are counted."""

    def __init__(self) -> None:
        self._first: dict[str, Finding] = {}
        self._count: dict[str, int] = {}

    def _add(self, code: str, severity: Severity, where: str, message: str, remedy: str) -> None:
        self._count[code] = self._count.get(code, 0) + 1
        if code not in self._first:
            self._first[code] = Finding(
                code=code, severity=severity, where=where, message=message, remedy=remedy
            )

    def error(self, code: str, where: str, message: str) -> None:
        """Note at `where`, the name of a field, something that makes the file unusable."""
        self._add(code, "error", where, message, REPAIR)

    def warning(self, code: str, where: str, message: str, remedy: str = "") -> None:
        """Note something that is wrong, in a file that can still be used."""
        self._add(code, "warning", where, message, remedy)

    def note(self, code: str, where: str, message: str) -> None:
        """Note something that a reader should know."""
        self._add(code, "note", where, message, "")

    def __iter__(self) -> Iterator[Finding]:
        for code, finding in self._first.items():
            more = self._count[code] - 1
            if more:
                message = f"{finding.message} (and {more:,} more like it)"
                finding = replace(finding, message=message)
            yield finding

    @property
    def has_errors(self) -> bool:
        """True when the file is unusable."""
        return any(finding.severity == "error" for finding in self._first.values())


def integer(value: object) -> int | None:
    """The value as an int when it is a whole number (NumPy's count, bools do not)."""
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return int(value)
    return None


def check_metadata(metadata: object, findings: Findings) -> Mapping[str, Any] | None:
    """The metadata when its required fields can be used."""
    if not isinstance(metadata, dict):
        findings.error("metadata_missing", "metadata", "there is no dict of metadata")
        return None
    if not all(isinstance(key, str) for key in metadata):
        findings.note("metadata_key", "metadata", "a key is not a str")
    for field in _COUNTS:
        _check_count(field, metadata, findings)
    _check_names(metadata, findings)
    if findings.has_errors:
        return None
    for field in (site.flag for site in sites.SITES if site.flag):
        if not isinstance(metadata.get(field), bool | np.bool_):
            findings.note(f"no_{field}", f"metadata.{field}", "it does not say True or False")
    vocabulary = integer(metadata.get("d_vocab"))
    if vocabulary is None or vocabulary < 1:
        findings.note("no_d_vocab", "metadata.d_vocab", "the size of the vocabulary is unknown")
    _check_additions(metadata, findings)
    return metadata


def _check_count(field: str, metadata: Mapping[str, Any], findings: Findings) -> None:
    value = integer(metadata.get(field))
    if value is None or not 1 <= value < _MAX_COUNT:
        found = metadata.get(field)
        simple = isinstance(found, str | int | float | None)
        shown = f"{found!r:.40}" if simple else type(found).__name__
        said = f"it is {shown}; a positive whole number is needed"
        findings.error("metadata_count", f"metadata.{field}", said)


def _check_names(metadata: Mapping[str, Any], findings: Findings) -> None:
    name = metadata.get("model_name")
    if not isinstance(name, str) or not 1 <= len(name) <= _MAX_NAME or not _printable(name):
        needed = f"a printable name of 1 to {_MAX_NAME} characters is needed"
        findings.error("model_name", "metadata.model_name", needed)
    label = metadata.get("emotion_label")
    try:
        normal = check_emotion(label) if isinstance(label, str) else None
    except RequestError as error:
        findings.error("emotion_label", "metadata.emotion_label", error.message)
        return
    if normal is None or normal != label:
        findings.error("emotion_label", "metadata.emotion_label", "a label in NFC is needed")


def _printable(text: str) -> bool:
    return all(
        unicodedata.category(character)[0] not in "CZ" or character == " " for character in text
    )


def _check_additions(metadata: Mapping[str, Any], findings: Findings) -> None:
    start = integer(metadata.get("content_start", 1))
    if start is None or start not in (0, 1):
        findings.error("content_start", "metadata.content_start", "0 or 1 is needed (0: no BOS)")
    n_samples = integer(metadata["n_samples"]) or 0
    if metadata.get("prompts") is not None and prompts_of(metadata, n_samples) is None:
        said = f"it is not a list of {n_samples:,} prompts with a text each; it is ignored"
        findings.warning("prompts", "metadata.prompts", said, REPAIR)
    named, known = metadata.get("sites"), sites.site_names()
    if named is not None and (
        not isinstance(named, list | tuple)
        or not all(isinstance(name, str) and name in known for name in named)
    ):
        findings.warning("sites", "metadata.sites", f"known sites are {', '.join(known)}", REPAIR)
    _check_provenance(metadata, metadata.get("provenance"), findings)


def _check_provenance(metadata: Mapping[str, Any], provenance: object, findings: Findings) -> None:
    if not isinstance(provenance, dict):
        findings.note(
            "configuration_unknown",
            "metadata.provenance",
            "the file does not say how it was made: position 0 is left out, and it is compared "
            "with other files at the reader's own risk",
        )
        return
    names = [field.name for field in fields(_Provenance)]
    try:
        known = encode({name: provenance[name] for name in names if name in provenance})
        check_nesting(known)
        json.dumps(known)
        decode(_Provenance, known, where="metadata.provenance")
    except (RequestError, TypeError, ValueError, RecursionError) as error:
        findings.error("provenance", "metadata.provenance", f"it is not what is read ({error})")
        return
    missing = missing_fields(provenance)
    if missing:
        said = f"it lacks {', '.join(missing)}: the configuration counts as unknown"
        findings.warning("provenance_incomplete", "metadata.provenance", said)
    _check_said_twice("model_name", provenance.get("model_name"), metadata, findings)
    _check_said_twice("sites", provenance.get("sites"), metadata, findings)
    bos = provenance.get("bos")
    if isinstance(bos, dict) and isinstance(bos.get("prepended"), bool):
        _check_said_twice("content_start", int(bos["prepended"]), metadata, findings)


def _check_said_twice(
    field: str, said: object, metadata: Mapping[str, Any], findings: Findings
) -> None:
    known = metadata.get(field)
    comparable = (str, int, list)
    if isinstance(said, comparable) and isinstance(known, comparable) and said != known:
        findings.warning(
            "said_twice", f"metadata.{field}", "metadata.provenance says something else", REPAIR
        )
