"""Start of a run: its directory, its place in the queue, its worker."""

from __future__ import annotations

import dataclasses
import os
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from emoact.decode import sealed
from emoact.errors import EmoactError, RequestError, as_request_error
from emoact.jobs.config import JOB_WORKERS, AnyConfig
from emoact.jobs.directory import RunDirectory, Status, write_status
from emoact.jobs.executor import can, find_executor
from emoact.jobs.lock import RunLock
from emoact.jobs.look import look
from emoact.jobs.queue import join, one_at_a_time, run_directories, worker_slots
from emoact.jobs.snapshot import Snapshot
from emoact.store.atomic import write_error, write_json
from emoact.store.layout import ResultsRoot
from emoact.store.locks import make_folder, sync_folder

WORKER = (sys.executable, "-P", "-m", "emoact.host.worker")
"""The command of a worker with a model; the run directory and the lock are added to it."""

_NEW = ".new-"
_DELETED = ".deleted-"


@dataclass(frozen=True, kw_only=True)
class Started:
    """A run that has a worker; `existing` when the same request was active already."""

    run_id: str
    existing: bool


def start(config: AnyConfig, *, worker: Sequence[str] | None = None) -> Started:
    """Make the run directory and give it to its executor; returns once the work has begun.

    A second start of a request that is pending or at work returns that run.

    Raises:
        RequestError: The run id is taken, the executor is unknown, or the run directory cannot be
            written; nothing is left.
    """
    check_settings()
    find_executor(config.executor)
    directory = RunDirectory(ResultsRoot(config.results).run_dir(config.run_id))
    runs = directory.path.parent
    try:
        make_folder(runs)
    except OSError as error:
        raise not_started(error, path=runs) from error
    with one_at_a_time(runs):
        remove_leftovers(runs)
        active = active_twin(runs, config)
        if active is not None:
            return Started(run_id=active, existing=True)
        if os.path.lexists(directory.path):
            raise RequestError(
                f"there is a run {config.run_id!r} already in {runs}",
                remedy=f"Choose another --run-id, or `emoact runs show {config.run_id}`.",
            )
        lock = _make(directory, config)
        try:
            submit(directory, lock, config, worker=worker)
        except OSError as error:
            shutil.rmtree(directory.path, ignore_errors=True)
            raise RequestError(f"the worker process could not be started: {error}") from error
        finally:
            lock.close()
    return Started(run_id=config.run_id, existing=False)


def check_settings() -> None:
    """Raise `RequestError` for environment variables that a worker could not obey."""
    from emoact.models.hosts import idle_s

    worker_slots()
    idle_s()


def active_twin(runs: Path, config: AnyConfig) -> str | None:
    """The run that is doing, or about to do, what `config` asks for; None if there is none."""
    wanted = config.fingerprint()
    for directory in run_directories(runs):
        found = look(directory)
        # One that was told to stop will not do what is asked for now.
        stays = found.active and not found.cancel_requested
        if stays and found.config is not None and found.config.fingerprint() == wanted:
            return directory.run_id
    return None


def worker_of(config: AnyConfig) -> Sequence[str]:
    """The command that works off a run of this kind."""
    if config.kind == "extract" or config.needs_model:
        return WORKER
    return (sys.executable, "-P", "-m", JOB_WORKERS[config.kind])


def submit(
    directory: RunDirectory, lock: RunLock, config: AnyConfig, *, worker: Sequence[str] | None
) -> None:
    """Give a run to its executor; the open lock goes with it, so that it is held without a gap.

    Raises:
        OSError: The work could not be started.
        RequestError: The executor is unknown here.
    """
    find_executor(config.executor).submit(directory, lock, worker or worker_of(config))


def enter_queue(
    directory: RunDirectory, lock: RunLock, config: AnyConfig, before: Snapshot
) -> None:
    """Put a run at the end of the queue, and write its first status."""
    place = join(directory.path.parent, lock, waits=can(config.executor, "queue"))
    waiting = Status.now(dataclasses.replace(before, place=place), None)
    write_status(directory.status_path, waiting, durable=False)


def remove_leftovers(runs: Path) -> None:
    """Remove directories that a killed start or deletion left; call while `one_at_a_time`."""
    with suppress(OSError):
        for entry in list(os.scandir(runs)):
            if entry.name.startswith((_NEW, _DELETED)) and entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)


def not_started(error: OSError | EmoactError, *, path: Path) -> RequestError:
    """The error as a wrong request (exit code 2): no work has started."""
    return as_request_error(write_error(error, path=path) if isinstance(error, OSError) else error)


def aside(directory: RunDirectory) -> Path:
    """Path to which a run directory is moved before its files are removed."""
    return directory.path.with_name(_DELETED + directory.run_id)


def _make(directory: RunDirectory, config: AnyConfig) -> RunLock:
    """The run directory with its lock held; it appears under its name when it is complete."""
    runs = directory.path.parent
    hidden = RunDirectory(directory.path.with_name(_NEW + directory.run_id))
    lock = None
    try:
        hidden.path.mkdir()
        lock = RunLock.acquire(hidden.lock_path)
        if lock is None:
            raise RequestError(f"{hidden.lock_path} is locked by another process")
        write_json(hidden.config_path, sealed(config.to_json()))
        enter_queue(hidden, lock, config, Snapshot.before(config))
        hidden.path.rename(directory.path)
        hidden = directory
        sync_folder(runs)
    except (OSError, EmoactError) as error:
        if lock is not None:
            lock.close()
        shutil.rmtree(hidden.path, ignore_errors=True)
        raise not_started(error, path=hidden.path) from error
    return lock
