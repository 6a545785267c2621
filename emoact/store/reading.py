"""Units from files: one, all of a results folder, or the description of any file."""

from __future__ import annotations

import hashlib
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np

from emoact import sites
from emoact.errors import FileRefusedError, RequestError
from emoact.files import names_in
from emoact.schema import Finding
from emoact.store.contract import check_contract, check_finite, has_values, token_array
from emoact.store.joining import check_alike, join_parts, part_files
from emoact.store.layout import ResultsRoot
from emoact.store.parts import Part
from emoact.store.protocol import Verified, split_unit_file_name, store_of
from emoact.store.read.closed import load_closed, map_file, refusing
from emoact.store.read.tokens import BFloat16Array
from emoact.store.unit import Layers, Samples, Unit

_LONGEST_TEXT = 2000


def read(path: str | os.PathLike[str]) -> Unit:
    """The unit in a file; opening costs milliseconds, arrays are looked up when asked for.

    Nothing in the file is imported, called or executed. Where the file is not there and its parts
    are, they are read as one unit.

    Raises:
        FileRefusedError: The file cannot be trusted, or does not keep the contract.
    """
    files = part_files(Path(path))
    if files:
        return join_parts(Path(path), [store_of(file).read(file) for file in files])
    return store_of(Path(path)).read(Path(path))


def read_head(path: Path) -> Unit:
    """What is known of the unit in a file but for its prompts; parts are read one at a time.

    Raises:
        FileRefusedError: The file cannot be trusted, or does not keep the contract.
    """
    files = part_files(path) or (path,)
    heads = [store_of(file).read(file).without_prompts() for file in files]
    return heads[0] if files == (path,) else join_parts(path, heads)


def named_path(root: ResultsRoot, folder: str, name: str) -> Path:
    """Path of the unit of a model folder in the file of that name."""
    emotion, store = split_unit_file_name(name) or (name, None)
    return root.unit_path(folder, emotion, store=None if store is None else store.name)


def read_named(root: ResultsRoot, folder: str, name: str) -> Unit:
    """The unit of a model folder in the file of that name.

    Raises:
        FileRefusedError: The file cannot be trusted, or does not keep the contract.
    """
    return read(named_path(root, folder, name))


def read_pickle(path: Path) -> Unit:
    """The unit in a contract pickle.

    Raises:
        FileRefusedError: The file cannot be trusted, or does not keep the contract.
    """
    return unit_of(path, load_closed(path))


def verify_pickle(path: Path) -> Verified:
    """Check the contract and every value of a pickle."""
    findings: tuple[Finding, ...] = ()
    try:
        payload = load_closed(path)
        with refusing(path):
            findings = tuple(check_contract(payload))
        unit = unit_of(path, payload)
    except FileRefusedError as error:
        return Verified(unit=None, findings=findings, refusal=error)
    return Verified(unit=unit, findings=(*unit.notes, *check_finite(unit)))


def unit_of(path: Path, payload: Any) -> Unit:
    """The unit in a value that was read from `path`.

    Raises:
        FileRefusedError: The value does not keep the contract.
    """
    with refusing(path):
        findings = check_contract(payload)
        for finding in findings:
            if finding.severity == "error":
                field = f"{finding.where}: " if finding.where else ""
                raise FileRefusedError(
                    f"{field}{finding.message}", path=str(path), remedy=finding.remedy or None
                )
        unit = _build(path, payload, tuple(findings))
    named = split_unit_file_name(path.name)
    if named is None or normalize("NFC", Part.of(named[0]).emotion) == unit.emotion:
        return unit
    misnamed = Finding(
        code="name_differs",
        severity="warning",
        where="metadata.emotion_label",
        message=f"it is {unit.emotion!r}, and the file is named {unit.path.name}",
        remedy="Rename the file, or extract the unit again.",
    )
    return replace(unit, notes=(*unit.notes, misnamed))


def _build(path: Path, payload: Mapping[str, Any], notes: tuple[Finding, ...]) -> Unit:
    return Unit(
        path=path,
        by_site={site.name: _layers(site, payload.get(site.key)) for site in sites.SITES},
        tokens=tuple(_read_only(token_array(value)) for value in payload["tokens"]),
        # Each string once: of many prompts they would take more memory than anything else.
        token_strings=tuple(
            tuple(map(sys.intern, map(str, texts))) for texts in payload["token_strings"]
        ),
        labels=tuple(sys.intern(str(label)) for label in payload["labels"]),
        metadata=dict(payload["metadata"]),
        notes=notes,
    )


def _layers(site: sites.Site, value: Any) -> Layers:
    if not has_values(value):
        return ()
    return tuple(map(Samples, [value] if site.layers == "last" else value))


def _read_only(array: Any) -> Any:
    view = array.view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True, kw_only=True, repr=False)
class Grid:
    """Units in the order of folder and emotion; iterating gives the units.

    Attributes:
        problems: One finding per refused file; `where` is its path.
    """

    units: tuple[Unit, ...]
    problems: tuple[Finding, ...] = ()

    def __repr__(self) -> str:
        """Numbers of units and refused files, with the names of models and emotions."""
        return (
            f"Grid({len(self.units)} units: {', '.join(self.folders) or 'no models'}; "
            f"{', '.join(self.emotions) or 'no emotions'}; {len(self.problems)} refused)"
        )

    def __iter__(self) -> Iterator[Unit]:
        return iter(self.units)

    def __len__(self) -> int:
        return len(self.units)

    @property
    def folders(self) -> tuple[str, ...]:
        """Model folders that have a unit."""
        return tuple(dict.fromkeys(unit.folder for unit in self.units))

    @property
    def emotions(self) -> tuple[str, ...]:
        """Emotions that have a unit."""
        return tuple(dict.fromkeys(unit.emotion for unit in self.units))


def read_all(results: str | os.PathLike[str], *, with_prompts: bool = True) -> Grid:
    """Every unit of a results folder; files that are refused become problems, not errors.

    Args:
        results: The folder.
        with_prompts: False to let go of prompts, tokens and strings once they are checked.
    """
    units: list[Unit] = []
    one = read if with_prompts else read_head
    problems = _each_unit(ResultsRoot(results), lambda path: units.append(one(path)))
    return Grid(units=tuple(units), problems=tuple(problems))


def problems_of(results: str | os.PathLike[str]) -> list[Finding]:
    """The problems of `read_all` that are no single file's: names, and parts that do not fit."""
    # One part at a time: with very many prompts they are large together.
    return _each_unit(
        ResultsRoot(results),
        lambda path: check_alike(path, (store_of(file).read(file) for file in part_files(path))),
    )


def _each_unit(root: ResultsRoot, look: Callable[[Path], None]) -> list[Finding]:
    """Look at the file of every unit; returns what was refused, names too."""
    problems, folder = root.closed(), root.activations
    for model in names_in(folder):
        seen: set[str] = set()
        for name in names_in(folder / model):
            named = split_unit_file_name(name)
            # A name whose letters are composed another way is that of the same unit.
            emotion = "" if named is None else normalize("NFC", Part.of(named[0]).emotion)
            if named is None or emotion in seen:
                continue
            seen.add(emotion)
            path = folder / model / name
            try:
                path = root.unit_path(model, emotion)
                look(path)
            except (FileRefusedError, RequestError) as error:
                code = "file_refused" if isinstance(error, FileRefusedError) else "name_refused"
                problems.append(
                    Finding(
                        code=code,
                        severity="error",
                        where=str(path),
                        message=error.message,
                        remedy=error.remedy or "",
                    )
                )
    return problems


def inspect_file(path: str | os.PathLike[str]) -> Mapping[str, Any]:
    """Description of a file as a JSON document; raises nothing for what the file contains.

    `ok` is True where the contract holds and every value is finite. For a refused file `refused`
    has the reason, the byte offset where there is one, and the remedy.
    """
    document: dict[str, Any] = {"path": str(path), "ok": False, "refused": None, "findings": []}
    try:
        data = map_file(path)
        document["size"] = data.nbytes
        document["sha256"] = hashlib.sha256(data).hexdigest()
    except FileRefusedError as error:
        return {**document, "refused": _refused(error)}
    found = store_of(Path(path)).verify(Path(path))
    document["findings"] = [finding.to_json() for finding in found.findings]
    if found.refusal is not None:
        document["refused"] = _refused(found.refusal)
    if found.unit is None:
        return document
    document["ok"] = all(finding.severity == "note" for finding in found.findings)
    return {**document, **describe(found.unit)}


def _refused(error: FileRefusedError) -> dict[str, Any]:
    return {"reason": error.reason, "offset": error.offset, "remedy": error.remedy}


def describe(unit: Unit) -> dict[str, Any]:
    """Model, emotion, sizes, sites, token statistics and provenance of a unit."""
    lengths = np.array(unit.lengths)
    return {
        "model": unit.model_name,
        "emotion": unit.emotion,
        "n_samples": unit.n_samples,
        "n_layers": unit.n_layers,
        "d_model": unit.d_model,
        "d_vocab": plain(unit.metadata.get("d_vocab")),
        "sites": list(unit.sites),
        "tokens": {
            "total": int(lengths.sum()),
            "min": int(lengths.min()),
            "median": float(np.median(lengths)),
            "max": int(lengths.max()),
        },
        "content_start": unit.content_start,
        "pooled": sorted({pooling for _, pooling in unit.pooled}),
        "prompts": unit.prompts is not None,
        "configuration_known": unit.configuration is not None,
        "random_weights": unit.random_weights,
        "provenance": plain(unit.provenance),
        "metadata_keys": sorted(map(str, unit.metadata)),
    }


def plain(value: Any) -> Any:
    """The value in JSON types; other values are described by kind and size."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return value if len(value) <= _LONGEST_TEXT else value[:_LONGEST_TEXT] + "…"
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray | BFloat16Array):
        return f"array of shape {value.shape}"
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    return str(value)
