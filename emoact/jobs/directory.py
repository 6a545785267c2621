"""Files of a run directory: their paths and readers, and the writers of status and plan."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import time
from collections import UserDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from emoact.decode import decode, encode, read_json, read_regular, sealed, unchanged
from emoact.errors import EmoactError, RequestError
from emoact.files import is_there, sole
from emoact.jobs.config import MOST_UNITS, AnyConfig, config_from_json
from emoact.jobs.events import Event, read_events
from emoact.jobs.lock import WorkerProcess, read_lock
from emoact.jobs.machine import this_machine
from emoact.jobs.snapshot import Snapshot
from emoact.schema import SCHEMA_VERSION
from emoact.store.atomic import write_json

T = TypeVar("T")

_MAX_BYTES, _LONGEST_PLAN = 20_000_000, 50_000_000
_TAIL_BYTES = 64_000
_MOST_STEPS = 20_000_000
"""Events times files; each event looks at every file."""
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


@dataclass(frozen=True, kw_only=True)
class Status:
    """Content of `status.json`.

    Attributes:
        worker: The process that writes it, or None before there is one.
        machine: Where `beat` was read.
        beat: That machine's monotonic clock at the last heartbeat.
    """

    snapshot: Snapshot
    worker: WorkerProcess | None
    machine: str
    beat: float

    @classmethod
    def now(cls, snapshot: Snapshot, worker: WorkerProcess | None) -> Status:
        """The status with a heartbeat of this moment."""
        return cls(snapshot=snapshot, worker=worker, machine=this_machine(), beat=time.monotonic())

    def silent_s(self) -> float | None:
        """Seconds since the last heartbeat; None on another machine or after a reboot."""
        if self.machine != this_machine():
            return None
        return max(0.0, time.monotonic() - self.beat)

    def to_json(self) -> dict[str, Any]:
        """A mapping of plain scalars, lists and mappings."""
        return sealed({"schema_version": SCHEMA_VERSION, **encode(self)})

    @classmethod
    def from_json(cls, fields: Any) -> Status:
        """The inverse of `to_json`.

        Raises:
            RequestError: The mapping is of a newer emoact, is no such mapping, or was changed.
        """
        stated = unchanged(fields, version=SCHEMA_VERSION, what="status")
        match stated:
            case {"snapshot": {"units": list(units)}} if len(units) > MOST_UNITS:
                raise RequestError(f"it has {len(units):,} files; {MOST_UNITS:,} are allowed")
        return decode(cls, stated)


def write_status(path: Path, status: Status, *, durable: bool) -> None:
    """Replace `status.json`.

    A durable one is the final status of an attempt. On a full disk, where a new file has no room,
    the old one is overwritten in place.

    Raises:
        EmoactError: It could not be written at all.
    """
    try:
        # A folder that was moved meanwhile is not made again.
        write_json(path, status.to_json(), durable=durable, parents=False)
    except EmoactError:
        if not durable or not path.is_file():
            raise
        content = json.dumps(status.to_json()).encode()
        try:
            _overwrite(path, content)
        except OSError:
            raise EmoactError(f"{path} could not be written") from None


def _overwrite(path: Path, content: bytes) -> None:
    descriptor = sole(os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW), path)
    try:
        room = os.fstat(descriptor).st_size
        os.pwrite(descriptor, content.ljust(room), 0)
        os.ftruncate(descriptor, max(room, len(content)))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _File:
    """Path of a file of a run."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, run: RunDirectory, _owner: type) -> Path:
        return run.path / self._name


@dataclass(frozen=True)
class RunDirectory:
    """The files of one run. `path`: `results/runs/<run_id>`."""

    path: Path

    @property
    def run_id(self) -> str:
        """Name of the run."""
        return self.path.name

    config_path = _File("config.json")
    """The request; written once."""
    status_path = _File("status.json")
    """State and heartbeat; replaced twice a second."""
    events_path = _File("events.jsonl")
    """Events; appended to."""
    log_path = _File("worker.log")
    """Output of the worker."""
    plan_path = _File("plan.json")
    """Choices of the first start."""
    cancel_path = _File("cancel")
    """Cancel flag: there when the worker was asked to stop."""
    lock_path = _File("lock")
    """Lock, held while the worker runs."""

    def exists(self) -> bool:
        """True when there is such a directory; a link is none."""
        return os.path.isdir(self.path) and not self.path.is_symlink()  # noqa: PTH112

    def config(self) -> AnyConfig:
        """The request, with the results root where it lies now.

        Raises:
            RequestError: `config.json` is missing, torn, foreign or newer; says which.
        """
        config = _read(self.config_path, config_from_json)
        if config.run_id != self.run_id:
            raise RequestError(
                f"config.json belongs to run {config.run_id!r:.100}, not to {self.run_id!r}",
                remedy="Give the directory its name back, or delete it.",
            )
        # Whole results folders are moved and copied; a resumed run works where it lies.
        root = os.path.realpath(self.path.parent.parent)
        return dataclasses.replace(config, results=root)

    def status(self) -> Status:
        """State and heartbeat as the worker last wrote them.

        Raises:
            RequestError: `status.json` is missing, torn, foreign or newer; says which.
        """
        return _read(self.status_path, Status.from_json)

    def snapshot_from_events(self, config: AnyConfig) -> Snapshot:
        """State of the run by its events alone, where there is no status to read.

        Raises:
            RequestError: The events cannot be read, or are not ours.
        """
        before, events = Snapshot.before(config), self.events()
        if len(before.units) * len(events) > _MOST_STEPS:
            raise RequestError("events.jsonl is longer than any of a run with so many files")
        try:
            # Fields of events may be of any type; those of a snapshot are checked.
            return decode(Snapshot, encode(before.after_all(events)))
        except (LookupError, TypeError, ValueError, ArithmeticError) as error:
            raise RequestError(f"events.jsonl: a field is missing or odd ({error!r})") from None

    def events(self) -> tuple[Event, ...]:
        """The events, in the order of the file; raises as `read_events` does."""
        return read_events(self.events_path)

    def log_tail(self, lines: int = 40) -> tuple[str, ...]:
        """The last lines of the worker's log as plain text; empty where there is none."""
        try:
            size = self.log_path.lstat().st_size
            data = read_regular(self.log_path, limit=_TAIL_BYTES, after=max(0, size - _TAIL_BYTES))
        except (OSError, RequestError):
            return ()
        text = data.decode("utf-8", errors="replace")
        # Progress bars overwrite their line with carriage returns; the last state is what counts.
        shown = (line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
        clean = (_CONTROL.sub("", line).rstrip() for line in shown)
        return tuple(deque((line for line in clean if line), maxlen=lines))

    def cancel_requested(self) -> bool:
        """True when the worker was asked to stop."""
        return os.path.lexists(self.cancel_path)

    def lock_is_held(self) -> bool:
        """True while a worker runs; raises as `read_lock` does."""
        return read_lock(self.lock_path).held


@dataclass(frozen=True)
class _Plans:
    models: Mapping[str, Mapping[str, Any]]


class FrozenChoices(UserDict[str, Mapping[str, Any]]):
    """The choices of one run by model folder, on the disk as soon as they are set.

    Raises:
        EmoactError: The file is damaged.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        if not is_there(path):
            return
        try:
            document = read_json(path, limit=_LONGEST_PLAN)
            stated = unchanged(document, version=SCHEMA_VERSION, what="plan")
            self.data.update(decode(_Plans, stated).models)
        except RequestError:
            raise EmoactError(
                f"{path} is damaged, and the run cannot go on as it began without it",
                remedy="Start a new run.",
            ) from None

    def __setitem__(self, folder: str, choices: Mapping[str, Any]) -> None:
        if folder in self.data:
            raise KeyError(f"the choices for {folder} are frozen")
        models = {**self.data, folder: dict(choices)}
        write_json(self._path, sealed({"schema_version": SCHEMA_VERSION, "models": models}))
        self.data = models

    def __delitem__(self, folder: str) -> None:
        raise KeyError(f"the choices for {folder} are frozen")


def _read(path: Path, build: Callable[[Any], T]) -> T:
    """The value in a JSON file of the directory; an error names the file."""
    document = read_json(path, limit=_MAX_BYTES)
    try:
        return build(document)
    except RequestError as error:
        raise RequestError(f"{path.name}: {error.message}", remedy=error.remedy) from None
