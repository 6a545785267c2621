"""Operations on a run that exists: cancel, resume, start again, delete."""

from __future__ import annotations

import difflib
import functools
import os
import shutil
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from emoact.errors import EmoactError, RequestError
from emoact.files import APPENDING
from emoact.jobs.config import AnyConfig, JobConfig, RunConfig
from emoact.jobs.controls import loads_pickles
from emoact.jobs.directory import RunDirectory
from emoact.jobs.executor import LOCAL, Capability, Executor, find_executor
from emoact.jobs.launch import (
    Started,
    active_twin,
    aside,
    check_settings,
    enter_queue,
    not_started,
    remove_leftovers,
    start,
    submit,
)
from emoact.jobs.lock import RunLock
from emoact.jobs.look import look
from emoact.jobs.queue import one_at_a_time, run_directories, shards_of
from emoact.jobs.snapshot import RESUMABLE
from emoact.models.cache import hash_of
from emoact.store.atomic import remove_left_behind, write_error
from emoact.store.layout import ResultsRoot

_LEAVING_S = 15.0


def find_run(results: str | os.PathLike[str], run_id: str) -> RunDirectory:
    """The directory of a run; `RequestError` if there is none of that name; names the closest."""
    root = ResultsRoot(results)
    directory = RunDirectory(root.run_dir(run_id))
    if not directory.exists():
        names = [known.run_id for known in run_directories(root.runs)]
        close = difflib.get_close_matches(run_id, names, n=1)
        hint = f"Did you mean {close[0]}? " if close else ""
        raise RequestError(
            f"there is no run {run_id!r} in {root.runs}",
            remedy=f"{hint}`emoact runs list --results {root.path}` shows all.",
        )
    return directory


def cancel(results: str | os.PathLike[str], run_id: str, *, wait: bool = False) -> None:
    """Ask the worker to stop by a flag, and have the executor end it where that does not do.

    Returns at once and leaves the waiting to a thread, unless `wait` is set.

    Raises:
        RequestError: There is no such run, it has ended, or its executor cannot cancel.
    """
    shards = shards_of(ResultsRoot(results).runs, run_id)
    if shards:
        active = [shard for shard in shards if look(shard).active]
        if not active:
            raise RequestError(f"none of the {len(shards)} shards of {run_id!r} is at work")
        for shard in active:
            cancel(results, shard.run_id, wait=wait)
        return
    directory = find_run(results, run_id)
    found = look(directory)
    if not found.active:
        raise RequestError(f"run {run_id!r} cannot be cancelled: it is {found.state}")
    executor = _executor(found.config, "cancel")
    # On a disk too full for the flag the signals still do.
    with suppress(OSError):
        os.close(os.open(directory.cancel_path, APPENDING, 0o666))
    attempt = found.snapshot.attempt

    def is_over() -> bool:
        now = look(directory)
        # A resume that follows is left alone.
        return not now.active or now.snapshot.attempt != attempt

    end = functools.partial(executor.cancel, directory, attempt=attempt, is_over=is_over)
    if wait:
        end()
    else:
        threading.Thread(target=end, daemon=True, name=f"cancel-{run_id}").start()


def resume(
    results: str | os.PathLike[str],
    run_id: str,
    *,
    allow_pickle_weights: bool = False,
    ray_address: str | None = None,
    worker: Sequence[str] | None = None,
) -> Started:
    """Start a new worker for a run that failed, crashed or was cancelled.

    It continues at the first unit that is not on disk. When a run is already doing the same, that
    run is returned.

    Raises:
        RequestError: There is no such run, it has finished, its data set has changed, or it loads
            weights from pickles or joins a cluster and this was not allowed again: the folder may
            be another's.
    """
    check_settings()
    shards = shards_of(ResultsRoot(results).runs, run_id)
    if shards:
        stopped = [shard for shard in shards if look(shard).state in RESUMABLE]
        if not stopped:
            raise RequestError(f"none of the {len(shards)} shards of {run_id!r} can be resumed")
        for shard in stopped:
            resume(results, shard.run_id, allow_pickle_weights=allow_pickle_weights, worker=worker)
        return Started(run_id=run_id, existing=False)
    directory = find_run(results, run_id)
    with one_at_a_time(directory.path.parent):
        remove_leftovers(directory.path.parent)
        found = look(directory)
        if found.active and not found.cancel_requested:
            return Started(run_id=run_id, existing=True)
        if found.state not in RESUMABLE:
            raise RequestError(
                f"run {run_id!r} is {found.state}; failed, crashed and cancelled runs are resumed",
                remedy="Start a new run for other settings.",
            )
        config = directory.config()
        _executor(config, "resume")
        resuming = f": `emoact runs resume {run_id} --allow-pickle-weights`"
        _check_pickles(config, allowed=allow_pickle_weights, how=resuming)
        if isinstance(config, RunConfig):
            if config.ray_address not in (None, ray_address):
                raise RequestError(
                    f"run {run_id!r} joins the cluster at {config.ray_address!r:.100}, whose "
                    "processes can run code here",
                    remedy="If this cluster is yours, resume it in a shell: `emoact runs resume "
                    f"{run_id} --ray-address ADDRESS`, with this address.",
                )
            _check_dataset(config)
        twin = active_twin(directory.path.parent, config)
        if twin is not None:
            return Started(run_id=twin, existing=True)
        try:
            _launch_again(directory, config, worker=worker)
        except (OSError, EmoactError) as error:
            raise not_started(error, path=directory.path) from error
    return Started(run_id=run_id, existing=False)


def again(results: str | os.PathLike[str], run_id: str) -> Started:
    """Start a new run that asks for what an earlier one asked for; not an extraction's.

    Raises:
        RequestError: There is no such run, it loads weights from pickles, or it is an extraction,
            which starts from its form.
    """
    config = find_run(results, run_id).config()
    if not isinstance(config, JobConfig):
        raise RequestError(
            f"run {run_id!r} is an extraction", remedy=f"Its command is: {config.shell_command}"
        )
    _check_pickles(config, allowed=False, how=", start it in a shell with --allow-pickle-weights")
    return start(config.again())


def delete(results: str | os.PathLike[str], run_id: str) -> None:
    """Remove a run's directory; the activations that it wrote stay.

    Raises:
        RequestError: There is no such run, or it is active.
        EmoactError: It cannot be removed.
    """
    root = ResultsRoot(results)
    shards = shards_of(root.runs, run_id)
    if shards:
        for shard in shards:
            _check_ended(shard, run_id)
        for shard in shards:
            delete(results, shard.run_id)
        return
    directory = find_run(results, run_id)
    try:
        with one_at_a_time(root.runs):
            _check_ended(directory, run_id)
            lock = _take(directory)
            try:
                # Moved first: it is gone at once, and what a kill leaves is removed by the next.
                hidden = aside(directory)
                shutil.rmtree(hidden, ignore_errors=True)
                directory.path.rename(hidden)
                shutil.rmtree(hidden)
            finally:
                lock.close()
            remove_left_behind(root.activations)
    except OSError as error:
        raise write_error(error, path=directory.path) from error


def _check_ended(directory: RunDirectory, asked: str) -> None:
    state = look(directory)
    if state.active:
        raise RequestError(
            f"run {directory.run_id!r} is {state.state}; a run at work cannot be deleted",
            remedy=f"`emoact runs cancel {asked}` first.",
        )


def _executor(config: AnyConfig | None, capability: Capability) -> Executor:
    """The executor of a run, which must be able to do this; the local one without a config."""
    executor = LOCAL if config is None else find_executor(config.executor)
    if capability not in executor.capabilities:
        raise RequestError(f"executor {executor.name!r} cannot {capability} a run")
    return executor


def _check_pickles(config: AnyConfig, *, allowed: bool, how: str) -> None:
    if loads_pickles(config) and not allowed:
        raise RequestError(
            f"run {config.run_id!r} loads weights that are stored as pickles, which can run code",
            remedy=f"If you trust the models that it names{how}.",
        )


def _launch_again(
    directory: RunDirectory, config: AnyConfig, *, worker: Sequence[str] | None
) -> None:
    lock = _take(directory)
    try:
        directory.cancel_path.unlink(missing_ok=True)
        enter_queue(directory, lock, config, look(directory).snapshot.again())
        submit(directory, lock, config, worker=worker)
    finally:
        lock.close()


def _take(directory: RunDirectory) -> RunLock:
    """The lock of a run whose worker has ended, once that has left."""
    lock = RunLock.acquire(directory.lock_path, patience_s=_LEAVING_S)
    if lock is None:
        raise RequestError(
            f"the worker of run {directory.run_id!r} has ended but does not leave",
            remedy="Wait a little and try again.",
        )
    return lock


def _check_dataset(config: RunConfig) -> None:
    path = Path(config.dataset.path)
    try:
        sha256 = hash_of(path)
    except OSError as error:
        raise RequestError(
            f"the data set {path} cannot be read ({error.strerror})",
            remedy="Put it back where the run found it.",
        ) from error
    if sha256 != config.dataset.sha256:
        raise RequestError(
            f"the data set {path} has changed since run {config.run_id!r} started",
            remedy="Put the old file back, or start a new run with the new one.",
        )
