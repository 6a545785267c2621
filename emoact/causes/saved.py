"""Results about causes on disk: `results/causes/<id>/`, named by what they rest on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emoact.causes.form import check_form
from emoact.decode import decode, finite, read_json, sealed, sha256_of, unchanged
from emoact.errors import FileRefusedError, RequestError
from emoact.files import is_there, names_in
from emoact.jobs.reporter import RunReporter
from emoact.models.cache import hash_of
from emoact.schema import Finding
from emoact.store.atomic import write_json
from emoact.store.layout import ResultsRoot
from emoact.store.remote import remote_of

if TYPE_CHECKING:
    import pandas as pd

CAUSES_VERSION = 1
"""Version of the files; raised when an older emoact could not read them."""

ARCHIVE = "patterns.npz"
"""Arrays beside a result, where its kind has some."""

RANDOM_WORDS = "The weights are random; this says nothing about emotion."

OTHER_VERSION = (
    "it was made by another version of emoact, or is damaged; ask for it again, or delete its "
    "folder"
)

_LONG = ("strings", "content")
_DIGITS = 20
_LARGEST = 200_000_000


@dataclass(frozen=True, kw_only=True)
class SavedCause:
    """One result.

    Attributes:
        id: Name of its folder.
        path: Its file.
        kind: `heads`, or what else it holds.
        rests_on: Model, prompts and settings.
        found: The result, in plain JSON; numbers that are not finite are None.
    """

    id: str
    path: Path
    kind: str
    rests_on: Mapping[str, Any]
    found: Mapping[str, Any]

    @property
    def results(self) -> Path:
        """The results folder that holds it."""
        return self.path.parents[2]

    @property
    def document(self) -> dict[str, Any]:
        """In plain JSON, without the tokens of every prompt."""
        found = {name: each for name, each in self.found.items() if name not in _LONG}
        archive = {"patterns": str(self.path.parent / ARCHIVE)} if "sha256" in found else {}
        return {"id": self.id, "path": str(self.path), **archive, **found}

    @property
    def cautions(self) -> list[str]:
        """Sentence that follows every answer where the weights are random."""
        return [RANDOM_WORDS] if self.found["random_weights"] else []


def cause_id(kind: str, rests_on: Mapping[str, Any]) -> str:
    """Name of the result of that kind that rests on these things."""
    asked = {"version": CAUSES_VERSION, "kind": kind, "rests_on": dict(rests_on)}
    return sha256_of(asked)[:_DIGITS]


def save_cause(
    root: ResultsRoot, kind: str, rests_on: Mapping[str, Any], found: Mapping[str, Any]
) -> SavedCause:
    """Write a result, whole or not at all.

    Raises:
        EmoactError: It could not be written.
        RequestError: It would be refused when it is read.
    """
    name = cause_id(kind, rests_on)
    path = root.causes_dir(name) / f"{kind}.json"
    # As it will be read: numbers and texts of numpy are plain ones then.
    content = json.loads(json.dumps(finite({"kind": kind, "rests_on": rests_on, "found": found})))
    check_form(kind, content["found"], content["rests_on"])
    write_json(path, sealed({"schema_version": CAUSES_VERSION, **content}))
    return SavedCause(id=name, path=path, **content)


def save_once(
    root: ResultsRoot,
    kind: str,
    rests_on: Mapping[str, Any],
    reporter: RunReporter,
    found: Callable[[], Mapping[str, Any]],
) -> None:
    """Save a result unless it is on disk, on object storage too, and report where it is.

    `found` computes the result; it is not called where that is on disk.

    Raises:
        EmoactError: It could not be written.
    """
    saved = read_cause(root, kind, cause_id(kind, rests_on))
    existing = saved is not None
    if saved is None:
        content = found()
        reporter.step("write", model="", share=1.0)
        saved = save_cause(root, kind, rests_on, content)
    remote = remote_of(root)
    if remote is not None:
        remote.push_folder(saved.path.parent, last=saved.path.name)
    reporter.made(path=str(saved.path), size=saved.path.stat().st_size, existing=existing)


def read_cause(root: ResultsRoot, kind: str, name: str) -> SavedCause | None:
    """A saved result with the fields of its kind; None where there is none.

    Raises:
        FileRefusedError: The file is damaged, of a newer emoact, or lacks what is read of its kind.
    """
    found = _stated(root, kind, name)
    if found is not None:
        try:
            check_form(kind, found.found, found.rests_on)
        except RequestError as error:
            raise _refused(found.path, error.message) from error
    return found


def _stated(root: ResultsRoot, kind: str, name: str) -> SavedCause | None:
    """A saved result, also one of an earlier version, which may have had other fields."""
    path = root.causes_dir(name) / f"{kind}.json"
    if not is_there(path):
        return None
    try:
        stated = read_json(path, limit=_LARGEST)
        content = unchanged(stated, version=CAUSES_VERSION, what="result about causes")
        found = SavedCause(id=name, path=path, **content)
        rests_on = decode(_RestsOn, {"rests_on": found.rests_on}).rests_on
    except (RequestError, TypeError) as error:
        raise _refused(path, str(error)) from error
    if found.kind != kind or cause_id(kind, rests_on) != name:
        raise _refused(path, "it is not what its name says")
    return found


@dataclass(frozen=True, kw_only=True)
class _RestsOn:
    rests_on: Mapping[str, Any]


def _refused(path: Path, why: str) -> FileRefusedError:
    return FileRefusedError(
        why, path=str(path), remedy="Delete its folder; it is then computed again."
    )


def saved_causes(
    root: ResultsRoot, kind: str, *, version: int | None = None
) -> tuple[SavedCause, ...]:
    """The readable results of a kind, newest first; of all versions, or with the figures of one."""
    found = []
    for name in names_in(root.causes):
        try:
            saved = read_cause(root, kind, name)
            made = 0.0 if saved is None else saved.path.stat().st_mtime
        except (OSError, FileRefusedError, RequestError):
            continue
        if saved is not None and version in (None, saved.rests_on.get("method_version")):
            found.append((made, name, saved))
    return tuple(saved for _, _, saved in sorted(found, key=lambda row: row[:2], reverse=True))


def left_out(
    root: ResultsRoot, kinds: Iterable[str], shown: Iterable[SavedCause]
) -> dict[str, str]:
    """Reasons why results of these kinds on disk are not among those that are shown, by id."""
    known, reasons = {saved.id for saved in shown}, {}
    for name in names_in(root.causes):
        for kind in kinds if name not in known else ():
            try:
                if _stated(root, kind, name) is not None:
                    reasons[name] = OTHER_VERSION
            except FileRefusedError as error:
                reasons[name] = error.reason
            except (OSError, RequestError):
                # Its name is none of a result.
                continue
    return reasons


def largest_first(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """The rows by the size of a column, whatever its sign."""
    order = table[column].abs().sort_values(ascending=False, kind="stable").index
    return table.loc[order].reset_index(drop=True)


def verify_causes(root: ResultsRoot) -> Iterator[Finding]:
    """Changed or damaged results about causes."""
    folders = [root.causes / name for name in names_in(root.causes)]
    for path in (each / name for each in folders for name in names_in(each)):
        if path.suffix != ".json":
            continue
        try:
            found = _stated(root, path.stem, path.parent.name)
            if found is not None:
                check_archive(found)
        except (FileRefusedError, RequestError) as error:
            yield Finding(
                code="cause_damaged",
                severity="error",
                where=str(path),
                message=error.message,
                remedy=error.remedy or "",
            )


def check_archive(saved: SavedCause) -> None:
    """Compare the archive beside a result with the hash that the result has of it.

    Raises:
        FileRefusedError: It is missing, or is not what was written.
    """
    written = saved.found.get("sha256") if isinstance(saved.found, Mapping) else None
    if written is None:
        return
    path = saved.path.parent / ARCHIVE
    try:
        same = not path.is_symlink() and hash_of(path) == written
    except OSError as error:
        raise _refused(path, f"it cannot be read: {error.strerror}") from error
    if not same:
        raise _refused(path, "it is not what was written")
