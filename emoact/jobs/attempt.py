"""One attempt at a run of any kind: wait for the turn, work, and report the end."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from emoact.errors import CancelledError, EmoactError, RequestError
from emoact.jobs.config import AnyConfig
from emoact.jobs.directory import RunDirectory, Status, write_status
from emoact.jobs.lock import QueueNote, RunLock, WorkerProcess
from emoact.jobs.look import look
from emoact.jobs.queue import wait_for_turn, worker_slots
from emoact.jobs.redact import RedactedStream, redact
from emoact.jobs.reporter import RunReporter
from emoact.jobs.snapshot import RunError, Snapshot

Work = Callable[[RunDirectory, AnyConfig, RunReporter], None]
"""Does what a config asks for; raises `CancelledError` when told to stop."""

_LONGEST_REASON = 500


def run_worker(argv: Sequence[str] | None, work: Work, *, module: str) -> int:
    """Work off the run of a command; returns the exit code of the command line's conventions."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}", description="Work off one run; started by emoact itself."
    )
    parser.add_argument("run_directory", type=Path, help="results/runs/RUN_ID")
    parser.add_argument("--lock-fd", type=int, help="open file of the run's lock, already taken")
    arguments = parser.parse_args(argv)
    return attempt(arguments.run_directory, arguments.lock_fd, work)


def attempt(path: Path, descriptor: int | None, work: Work) -> int:
    """Work a run off; `descriptor`: the open file of its lock, where that is taken already."""
    directory = RunDirectory(path)
    # No more than a part of a text stream, so it has no type that the redirection knows.
    out: Any = RedactedStream(sys.stdout)
    err: Any = RedactedStream(sys.stderr)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            lock = _lock(directory, descriptor)
        except RequestError as error:
            print(error, file=sys.stderr)
            return error.exit_code
        with contextlib.closing(lock):
            return _attempt(directory, lock, work)


def _attempt(directory: RunDirectory, lock: RunLock, work: Work) -> int:
    try:
        config = directory.config()
        reporter = RunReporter(directory, _snapshot(directory, config))
        _stop_on_signals(reporter)
        try:
            reporter.begin()
            code = _work(directory, config, lock, reporter, work)
        finally:
            reporter.leave()
    except EmoactError as error:
        code = _fail_without_events(directory, error)
    # The next run begins; if this fails, it begins once the lock is free.
    with contextlib.suppress(OSError):
        note = lock.note()
        if note is not None:
            lock.write(QueueNote(ticket=note.ticket, phase="ended"))
    return code


def _lock(directory: RunDirectory, descriptor: int | None) -> RunLock:
    try:
        if descriptor is not None:
            return RunLock.adopt(descriptor)
        lock = RunLock.acquire(directory.lock_path, patience_s=1.0)
    except OSError as error:
        raise RequestError(f"{directory.lock_path} cannot be taken: {error.strerror}") from error
    if lock is None:
        raise RequestError(f"run {directory.run_id!r} has a worker already")
    return lock


def _snapshot(directory: RunDirectory, config: AnyConfig) -> Snapshot:
    """State of the run as the launcher wrote it."""
    try:
        return directory.status().snapshot
    except RequestError:
        return directory.snapshot_from_events(config).again()


def _stop_on_signals(reporter: RunReporter) -> None:
    def stop(_number: int, _frame: FrameType | None) -> None:
        reporter.stop()
        # Loading and fetching have no passes to check between, and write nothing that matters.
        if reporter.snapshot.state == "loading":
            raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def _ignore_signals() -> None:
    """Ignore SIGTERM while the final status is written; SIGKILL still ends the process."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def _work(
    directory: RunDirectory,
    config: AnyConfig,
    lock: RunLock,
    reporter: RunReporter,
    work: Work,
) -> int:
    """Wait, work, and write the final status; raises only where that cannot be written."""
    try:
        wait_for_turn(
            directory,
            lock,
            slots=worker_slots(),
            on_place=reporter.place,
            check_cancelled=reporter.check_cancelled,
        )
        reporter.turn()
        work(directory, config, reporter)
    except (CancelledError, KeyboardInterrupt):
        _ignore_signals()
        reporter.end("cancelled")
        return CancelledError.exit_code
    except EmoactError as error:
        return _fail(reporter, error)
    # The one place where anything unforeseen becomes a failed run.
    except BaseException as error:  # noqa: BLE001
        traceback.print_exc()
        return _fail(reporter, _unforeseen(error))
    _ignore_signals()
    reporter.end("finished")
    return os.EX_OK


def _fail(reporter: RunReporter, error: EmoactError) -> int:
    _ignore_signals()
    stated = _error(error)
    print(stated.message, file=sys.stderr)
    reporter.end("failed", stated)
    return stated.exit_code


def _fail_without_events(directory: RunDirectory, error: EmoactError) -> int:
    """Final status of a run whose own record cannot be read or written."""
    stated = _error(error)
    print(stated.message, file=sys.stderr)
    if not directory.exists():
        return stated.exit_code
    with contextlib.suppress(EmoactError):
        before = look(directory).snapshot
        failed = dataclasses.replace(before, state="failed", step=None, error=stated)
        status = Status.now(failed, WorkerProcess.current())
        write_status(directory.status_path, status, durable=True)
    return stated.exit_code


def _error(error: EmoactError) -> RunError:
    return RunError(
        message=redact(error.message),
        remedy=None if error.remedy is None else redact(error.remedy),
        exit_code=error.exit_code,
    )


def _unforeseen(error: BaseException) -> EmoactError:
    """A short reason; the traceback is in the log."""
    if isinstance(error, MemoryError):
        return EmoactError(
            "there was not enough memory",
            remedy="Close other programs, or choose a smaller model, then resume the run.",
        )
    said = " ".join(str(error).split())[:_LONGEST_REASON]
    return EmoactError(
        f"{type(error).__name__}: {said}" if said else type(error).__name__,
        remedy="The run's log has the details. Resuming continues at the first missing unit.",
    )


def leave(code: int) -> NoReturn:
    """End the process at once: everything is said, and libraries may have threads that linger."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(code)
