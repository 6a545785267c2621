"""One consistent look at a run: its lock and its files, taken together."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from emoact.errors import RequestError
from emoact.jobs.config import AnyConfig
from emoact.jobs.directory import RunDirectory, Status
from emoact.jobs.executor import LOCAL, Executor, find_executor
from emoact.jobs.lock import LockReading
from emoact.jobs.snapshot import ACTIVE, ENDED, Snapshot, State, derive_state

T = TypeVar("T")

_REMEMBERED = 1000
_LOOKS = 5


def _mark(path: Path) -> tuple[int, ...] | None:
    """Size, times and inode of a file, by which it is known again; None where it is missing."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def _kept(read: Callable[[RunDirectory], T]) -> Callable[..., tuple[T | None, tuple[str, ...]]]:
    """Content of a file, or the reason for its refusal, kept until the file changes."""

    @functools.lru_cache(_REMEMBERED)
    def kept(
        directory: RunDirectory, _mark: tuple[int, ...] | None
    ) -> tuple[T | None, tuple[str, ...]]:
        try:
            return read(directory), ()
        except RequestError as error:
            return None, (error.message,)

    return kept


_config = _kept(lambda directory: directory.config())
_status = _kept(lambda directory: directory.status())


@dataclass(frozen=True, kw_only=True)
class Look:
    """State of a run at one moment, from its lock and its files."""

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
    executor: Executor = LOCAL
    config, refused = _config(directory, _mark(directory.config_path))
    problems = list(refused)
    try:
        executor = LOCAL if config is None else find_executor(config.executor)
    except RequestError as error:
        problems.append(error.message)
    lock = LockReading(held=False, note=None)
    try:
        # Before the status: a worker that is found gone has written its last status by then.
        lock = executor.watch(directory)
    except OSError as error:
        problems.append(f"lock ({error.strerror})")
    except RequestError as error:
        problems.append(error.message)
    status, refused = _status(directory, _mark(directory.status_path))
    problems += refused
    snapshot = None if status is None else status.snapshot
    if status is None and config is not None:
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
