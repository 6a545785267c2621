"""One consistent look at a run: its lock and its files, taken together."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from emoact.errors import RequestError
from emoact.jobs.config import AnyConfig
from emoact.jobs.directory import RunDirectory
from emoact.jobs.executor import LOCAL, Executor, find_executor
from emoact.jobs.lock import LockReading
from emoact.jobs.snapshot import ACTIVE, ENDED, Snapshot, State, derive_state
from emoact.jobs.status import Status

T = TypeVar("T")


class Remembered(Generic[T]):
    """A bounded memory of parsed files, by path, size, time and inode; safe between threads.

    A refused file is remembered too: a damaged one costs no more than a good one.
    """

    def __init__(self, capacity: int = 1000) -> None:
        self._capacity = capacity
        self._entries: OrderedDict[str, tuple[tuple[int, ...], T | RequestError]] = OrderedDict()
        self._guard = threading.Lock()

    def get(self, path: Path, read: Callable[[], T]) -> T:
        """Result of `read` for the file as it is now.

        Raises:
            RequestError: `read` raised it.
        """
        try:
            status = os.lstat(path)
        except OSError:
            return read()
        mark = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        key = os.fspath(path)
        with self._guard:
            known = self._entries.get(key)
        if known is not None and known[0] == mark:
            return _given(known[1])
        found: T | RequestError
        try:
            found = read()
        except RequestError as error:
            found = error
        with self._guard:
            self._entries[key] = (mark, found)
            self._entries.move_to_end(key)
            while len(self._entries) > self._capacity:
                self._entries.popitem(last=False)
        return _given(found)


def _given(found: T | RequestError) -> T:
    if isinstance(found, RequestError):
        raise found.with_traceback(None)
    return found


_configs: Remembered[AnyConfig] = Remembered()
_statuses: Remembered[Status] = Remembered()
_LOOKS = 5


@dataclass(frozen=True, kw_only=True)
class Look:
    """State of a run at one moment, from its lock and its files.

    Attributes:
        state: Derived from them.
        config: What was asked, or None where that cannot be read.
        status: The last heartbeat, or None where that cannot be read.
        snapshot: Where the run stands, from the status or else from the events.
        lock: State of the lock, held while a worker runs.
        cancel_requested: True when the cancel flag is there.
        problems: What is wrong with the files.
    """

    state: State
    config: AnyConfig | None
    status: Status | None
    snapshot: Snapshot
    lock: LockReading
    cancel_requested: bool
    problems: tuple[str, ...]

    @property
    def active(self) -> bool:
        """True while a worker runs and has not reported its end."""
        return self.state in ACTIVE


def look(directory: RunDirectory) -> Look:
    """Read lock and files of a run; a file that cannot be read becomes a problem."""
    for _ in range(_LOOKS):
        found = _look_once(directory)
        ended = found.snapshot.state in ENDED and found.status is not None
        # Freed, then taken again by a resume while the files were being read: look once more.
        if found.lock.held or ended or not _is_held(directory):
            break
    return found


def _look_once(directory: RunDirectory) -> Look:
    problems = []
    lock = LockReading(held=False, note=None)
    config = status = snapshot = None
    executor: Executor = LOCAL
    try:
        config = _configs.get(directory.config_path, directory.config)
        executor = find_executor(config.executor)
    except RequestError as error:
        problems.append(error.message)
    try:
        # Before the status: a worker that is found gone has written its last status by then.
        lock = executor.watch(directory)
    except OSError as error:
        problems.append(f"lock ({error.strerror})")
    except RequestError as error:
        problems.append(error.message)
    try:
        status = _statuses.get(directory.status_path, directory.status)
        snapshot = status.snapshot
    except RequestError as error:
        problems.append(error.message)
        if config is not None:
            snapshot = _by_events(directory, config)
    cancel_requested = directory.cancel_requested()
    stated = None if snapshot is None else snapshot.state
    return Look(
        state=derive_state(stated, held=lock.held, cancel_requested=cancel_requested),
        config=config,
        status=status,
        snapshot=snapshot or Snapshot(),
        lock=lock,
        cancel_requested=cancel_requested,
        problems=tuple(problems),
    )


def _by_events(directory: RunDirectory, config: AnyConfig) -> Snapshot:
    try:
        return directory.snapshot_from_events(config)
    except RequestError:
        return Snapshot.before(config)


def _is_held(directory: RunDirectory) -> bool:
    try:
        return directory.lock_is_held()
    except RequestError:
        return False
