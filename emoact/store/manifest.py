"""The record of acknowledged units: a unit that is not in it is not saved."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from emoact.decode import decode, encode, parsed, read_regular
from emoact.errors import EmoactError, RequestError
from emoact.files import open_regular
from emoact.schema import SCHEMA_VERSION
from emoact.store.atomic import lock_held, write_error, write_json
from emoact.store.keys import store_in
from emoact.store.layout import ResultsRoot
from emoact.store.locks import open_locked

UnitState = Literal["missing", "saved", "other", "damaged", "unrecorded"]

_SHA256 = re.compile(r"[0-9a-f]{64}")
_MAX_BYTES = 200_000_000
_PATIENCE_S = 60.0
_PAUSE_S = 0.05


@dataclass(frozen=True, kw_only=True)
class ManifestEntry:
    """Record of one acknowledged unit.

    Attributes:
        key: Hash of what decides its content; see `emoact.store.keys`.
        model: Name of the model as in the pickle's metadata.
        written_at: When, ISO 8601 with offset.
        schema_version: Version of the pickle contract.
        configuration: What the key was made of, readable.
    """

    folder: str
    emotion: str
    sha256: str
    size: int
    key: str
    model: str
    run_id: str
    written_at: str
    schema_version: int = SCHEMA_VERSION
    configuration: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("sha256", "key"):
            if not _SHA256.fullmatch(getattr(self, name)):
                raise ValueError(f"{name} is {getattr(self, name)!r}, not 64 hexadecimal digits")
        for name in ("size", "schema_version"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)!r}, not a count")

    @property
    def store(self) -> str:
        """Name of the store that wrote the file."""
        return store_in(self.configuration)

    def to_json(self) -> dict[str, Any]:
        """A mapping of plain values."""
        return dict(encode(self))


def load(root: ResultsRoot) -> Mapping[str, ManifestEntry]:
    """Every acknowledged unit by its path within the results folder, in the order of names.

    Raises:
        EmoactError: It is damaged, or was written by a newer emoact.
    """
    units = _read(root)["units"]
    return {name: _entry(root, units, name) for name in units}


def entry(root: ResultsRoot, folder: str, emotion: str) -> ManifestEntry | None:
    """Record of one unit; None when it was never acknowledged.

    Raises:
        EmoactError: The manifest is damaged, or was written by a newer emoact.
    """
    name = root.unit_name(folder, emotion)
    units = _read(root)["units"]
    return _entry(root, units, name) if name in units else None


def record(root: ResultsRoot, entry: ManifestEntry) -> None:
    """Acknowledge a unit whose file is on the disk; when this returns, so is the record.

    Raises:
        EmoactError: The manifest is damaged or could not be written; the unit is not acknowledged.
    """
    name = root.unit_name(entry.folder, entry.emotion, store=entry.store)
    with lock_held(root.manifest_lock, patience_s=_PATIENCE_S):
        content = _read(root)
        content["units"][name] = entry.to_json()
        _write(root, content)


def forget(root: ResultsRoot, folder: str, emotion: str, *, store: str | None = None) -> bool:
    """Take back a unit's acknowledgement; True where there was one.

    Raises:
        EmoactError: The manifest is damaged or could not be written.
    """
    name = root.unit_name(folder, emotion, store=store)
    with lock_held(root.manifest_lock, patience_s=_PATIENCE_S):
        content = _read(root)
        if content["units"].pop(name, None) is None:
            return False
        _write(root, content)
    return True


def unit_state(root: ResultsRoot, folder: str, emotion: str, *, key: str) -> UnitState:
    """State of a unit's file for a request with this key.

    Returns:
        `missing`: no file. `saved`: acknowledged with this key, and the file has the recorded
        hash. `other`: acknowledged with another key. `damaged`: acknowledged with this key, but the
        file is not the one that was. `unrecorded`: a file that no run acknowledged.

    Raises:
        EmoactError: The manifest or the file cannot be read.
    """
    path = root.unit_path(folder, emotion)
    known = entry(root, folder, emotion)
    try:
        with open_regular(path) as file:
            if known is None:
                return "unrecorded"
            if known.key != key:
                return "other"
            if os.fstat(file.fileno()).st_size != known.size:
                return "damaged"
            same = hashlib.file_digest(file, "sha256").hexdigest() == known.sha256
            return "saved" if same else "damaged"
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        raise EmoactError(f"{path} cannot be read: {error.strerror}") from error


@contextlib.contextmanager
def unit_lock(
    root: ResultsRoot, folder: str, emotion: str, *, while_waiting: Callable[[], None] | None = None
) -> Iterator[None]:
    """Keep other runs from this unit, from before its state is looked at until it is recorded.

    Without it, two runs could put their files and their records in place crosswise, and the record
    would describe the other run's file. It ends with its process, however that ends. Where the file
    system has no locks, no other run is kept out here; recording refuses to work there.
    `while_waiting` is called again and again until the unit is free; it may raise to give up.

    Raises:
        EmoactError: The lock file cannot be made.
    """
    path = root.lock_path(folder, emotion)
    try:
        while (descriptor := open_locked(path)) is None:
            if while_waiting:
                while_waiting()
            time.sleep(_PAUSE_S)
    except OSError as error:
        raise write_error(error, path=path) from error
    try:
        yield
    finally:
        # Before it is let go, or the next one's file would go.
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(descriptor)


def _read(root: ResultsRoot) -> dict[str, Any]:
    path = root.manifest
    try:
        # A link inside the results folder is followed; `manifest` has refused any other.
        content = parsed(read_regular(Path(os.path.realpath(path)), limit=_MAX_BYTES, whole=True))
    except RequestError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return {"schema_version": SCHEMA_VERSION, "units": {}}
        raise EmoactError(f"{path} cannot be read: {error.message}") from error
    except ValueError as error:
        raise _damaged(root, str(error)) from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if type(version) is not int or not isinstance(content.get("units"), dict):
        raise _damaged(root, "it has no schema_version or no units")
    if version > SCHEMA_VERSION:
        raise EmoactError(
            f"{path} has schema version {version}; this emoact knows {SCHEMA_VERSION}",
            remedy="Update emoact, or choose another folder with --results.",
        )
    return {**content}


def _entry(root: ResultsRoot, units: Mapping[str, Any], name: str) -> ManifestEntry:
    """One entry, checked; fields that a later version added are passed over."""
    raw = units[name]
    try:
        found = decode(ManifestEntry, raw, ignore_unknown=True)
        expected = root.unit_name(found.folder, found.emotion, store=found.store)
    except (ValueError, RequestError) as error:
        raise _damaged(root, f"units[{name!r}]: {type(error).__name__} {error}") from error
    if expected != name:
        raise _damaged(root, f"units[{name!r}] describes {expected!r}")
    return found


def _damaged(root: ResultsRoot, why: str) -> EmoactError:
    return EmoactError(
        f"{root.manifest} is damaged: {why}",
        remedy=(
            "Restore it from a backup, or move it away: the files stay, and each is then extracted "
            "again with --overwrite before it counts as saved."
        ),
    )


def _write(root: ResultsRoot, content: dict[str, Any]) -> None:
    content["units"] = dict(sorted(content["units"].items()))
    write_json(root.manifest, content)
