"""Queue of the runs of a results folder: each worker waits for the runs before its own.

A run's place is the ticket in its lock file. Tickets grow among living runs, and a run is visible
before the next gets its ticket, so the runs ahead of one are known from the start and only get
fewer. A run whose lock is free is out of the queue, however its worker went.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from emoact.errors import EmoactError, RequestError, as_request_error
from emoact.jobs.config import Shard
from emoact.jobs.directory import RunDirectory
from emoact.jobs.lock import LockReading, QueueNote, RunLock, read_lock
from emoact.models.effort import wanted
from emoact.store.atomic import lock_held, write_error
from emoact.store.layout import is_id

_PAUSE_S = 0.1
_PATIENCE_S = 30.0
_MUTEX = ".lock"


def worker_slots() -> int:
    """Number of runs of one results folder that may work at once: `EMOACT_WORKERS`, else 1.

    Raises:
        RequestError: It is set to something else than a whole number from 1 to 64.
    """
    return wanted("EMOACT_WORKERS", most=64) or 1


@contextlib.contextmanager
def one_at_a_time(runs: Path) -> Iterator[None]:
    """Starts, resumes, deletions and turns of one results folder happen one after another.

    Raises:
        RequestError: The folder cannot be written, or has been locked for 30 s.
    """
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(lock_held(runs / _MUTEX, patience_s=_PATIENCE_S))
        except EmoactError as error:
            raise as_request_error(error) from error
        yield


def run_directories(runs: Path) -> list[RunDirectory]:
    """Every run directory, by name; other things in the folder are passed over."""
    try:
        names = sorted(entry.name for entry in os.scandir(runs))
    except OSError:
        return []
    directories = (RunDirectory(runs / name) for name in names if is_id(name))
    return [directory for directory in directories if directory.exists()]


def shards_of(runs: Path, request_id: str) -> list[RunDirectory]:
    """The shards of a request that were started, in their order; none for the name of a run."""
    found = [(Shard.split(each.run_id), each) for each in run_directories(runs)]
    own = [(named[1], each) for named, each in found if named and named[0] == request_id]
    return [each for _, each in sorted(own, key=lambda each: (each[0].count, each[0].number))]


def join(runs: Path, lock: RunLock, *, waits: bool = True) -> int | None:
    """Put a run at the end of the queue, while `one_at_a_time`.

    A run that does not wait stays out of the queue and starts at once.

    Returns:
        Its place, 1 for the next; None when nothing is ahead of it.
    """
    # The note of an earlier attempt of this run is not ahead of it.
    lock.write(QueueNote(ticket=0, phase="ended"))
    if not waits:
        return None
    notes = [reading.note for _, reading in _living(runs) if reading.note is not None]
    ticket = max((note.ticket for note in notes), default=0) + 1
    lock.write(QueueNote(ticket=ticket, phase="waiting"))
    phases = [note.phase for note in notes]
    ahead = [phase for phase in phases if phase != "ended"]
    return phases.count("waiting") + 1 if ahead else None


def wait_for_turn(
    directory: RunDirectory,
    lock: RunLock,
    *,
    slots: int,
    on_place: Callable[[int], None],
    check_cancelled: Callable[[], None],
) -> None:
    """Return when it is this run's turn; its lock then says `working`.

    A run that is out of the queue returns at once.

    Raises:
        EmoactError: The disk does not take the few bytes that say whose turn it is.
    """
    own = lock.note()
    if own is not None and own.phase == "ended":
        return
    ticket = 0 if own is None else own.ticket
    ahead = [
        (other, reading.note.ticket)
        for other, reading in _living(directory.path.parent)
        if reading.note is not None and reading.note.ticket < ticket
    ]
    told = 0
    while True:
        check_cancelled()
        # Not `one_at_a_time`: a launcher that hangs must not make waiting runs fail.
        mutex = RunLock.acquire(directory.path.parent / _MUTEX)
        if mutex is not None:
            try:
                phases = [_phase(other, its_ticket) for other, its_ticket in ahead]
                if "waiting" not in phases and phases.count("working") < slots:
                    lock.write(QueueNote(ticket=ticket, phase="working"))
                    return
            except OSError as error:
                raise write_error(error, path=directory.lock_path) from error
            finally:
                mutex.close()
            ahead = [one for one, phase in zip(ahead, phases, strict=True) if phase is not None]
            place = phases.count("waiting") + 1
            if place != told:
                told = place
                on_place(place)
        time.sleep(_PAUSE_S)


def _phase(directory: RunDirectory, ticket: int) -> str | None:
    """Phase of a run ahead, or None when it is out of the queue."""
    reading = _read(directory)
    note = reading.note if reading.held else None
    if note is None or note.ticket != ticket or note.phase == "ended":
        return None
    return note.phase


def _living(runs: Path) -> list[tuple[RunDirectory, LockReading]]:
    readings = ((directory, _read(directory)) for directory in run_directories(runs))
    return [(directory, reading) for directory, reading in readings if reading.held]


def _read(directory: RunDirectory) -> LockReading:
    try:
        return read_lock(directory.lock_path)
    except RequestError:
        return LockReading(held=False, note=None)
