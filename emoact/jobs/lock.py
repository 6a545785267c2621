"""Lock of a run: held as long as its worker runs, with the place in the queue written in it.

The kernel frees it when the process is gone, however it went, so it says more than a pid does. Its
file carries the run's place in the queue, in one line of fixed length that is overwritten in place:
that needs no room on a full disk.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import signal
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from emoact.errors import RequestError
from emoact.files import sole
from emoact.jobs.machine import this_machine
from emoact.store.locks import acquire, try_lock

Phase = typing.Literal["waiting", "working", "ended"]

_LINE = re.compile(rb"(\d{12}) (waiting|working|ended  )\n")


@dataclass(frozen=True, kw_only=True)
class QueueNote:
    """Place of a run in the queue.

    Attributes:
        ticket: Grows with every start; the smallest waiting one is next.
        phase: `waiting` for its turn, `working`, or `ended` with nothing left but to leave.
    """

    ticket: int
    phase: Phase


@dataclass(frozen=True, kw_only=True)
class LockReading:
    """State of a lock at one moment."""

    held: bool
    note: QueueNote | None


class RunLock:
    """An exclusive lock, held through an open file until every copy of that is closed."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, path: Path, *, patience_s: float = 0.0) -> RunLock | None:
        """The lock, or None when another process still holds it after `patience_s` seconds.

        Raises:
            OSError: The file cannot be made.
            RequestError: The file system has no locks.
        """
        # Readers hold it shared for an instant when they look.
        try:
            descriptor = acquire(path, patience_s=patience_s)
        except OSError as error:
            if error.errno == errno.ENOLCK:
                raise _no_locks(path) from error
            raise
        # The place in the queue is written into it.
        return None if descriptor is None else cls(sole(descriptor, path))

    @classmethod
    def adopt(cls, descriptor: int) -> RunLock:
        """The lock that a parent process took and handed over.

        Raises:
            OSError: The descriptor is no open file, or another process has the lock.
        """
        # A child process that outlives this one would otherwise keep the lock.
        os.set_inheritable(descriptor, False)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return cls(descriptor)

    @property
    def descriptor(self) -> int:
        """The open file."""
        return self._descriptor

    def write(self, note: QueueNote) -> None:
        """Overwrite the line, in place."""
        os.pwrite(self._descriptor, f"{note.ticket:012d} {note.phase:7}\n".encode(), 0)

    def note(self) -> QueueNote | None:
        """The line as it stands."""
        return _parse(os.pread(self._descriptor, 64, 0))

    def close(self) -> None:
        """Let go of this process's copy; the lock itself ends with the last copy."""
        os.close(self._descriptor)


def read_lock(path: Path) -> LockReading:
    """State of the lock at `path`; free where there is no file.

    Raises:
        RequestError: The file is there and cannot be read, or the file system has no locks.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags)
        try:
            # The line first: a lock found free afterwards makes it void.
            note = _parse(os.pread(descriptor, 64, 0))
            free = try_lock(descriptor, shared=True)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        return LockReading(held=False, note=None)
    except OSError as error:
        raise RequestError(f"lock ({error.strerror})") from error
    if free is None:
        raise _no_locks(path)
    return LockReading(held=not free, note=note)


def _parse(line: bytes) -> QueueNote | None:
    match = _LINE.match(line)
    if match is None:
        return None
    phase = typing.cast("Phase", match[2].decode().strip())
    return QueueNote(ticket=int(match[1]), phase=phase)


def _no_locks(path: Path) -> RequestError:
    return RequestError(
        f"{path} cannot be locked; runs need a file system with locks",
        remedy="Choose a folder on a local disk with --results.",
    )


@dataclass(frozen=True, kw_only=True)
class WorkerProcess:
    """A process that holds a run's lock."""

    pid: int
    machine: str

    @classmethod
    def current(cls) -> WorkerProcess:
        """This process."""
        return cls(pid=os.getpid(), machine=this_machine())

    def send(self, number: signal.Signals, *, is_alive: Callable[[], bool]) -> bool:
        """Send a signal, and tell whether it was sent.

        Not to another machine's process, not to ourselves, not to a process that merely got the
        same number later: `is_alive` looks at the lock after a handle on the process was taken.
        SIGKILL goes to the whole group, so that no helper process of the worker stays behind.
        """
        if self.machine != this_machine() or self.pid in (os.getpid(), 0, 1):
            return False
        with contextlib.ExitStack() as stack:
            try:
                handle = _open_handle(self.pid, stack)
                if not is_alive():
                    return False
                if number == signal.SIGKILL and os.getpgid(self.pid) == self.pid:
                    os.killpg(self.pid, number)
                elif handle is None:
                    os.kill(self.pid, number)
                else:
                    signal.pidfd_send_signal(handle, number)
            except (ProcessLookupError, PermissionError):
                return False
        return True


def _open_handle(pid: int, stack: contextlib.ExitStack) -> int | None:
    """A handle that keeps meaning this process, where the system has such a thing (Linux)."""
    if not hasattr(os, "pidfd_open"):
        return None
    handle = os.pidfd_open(pid)
    stack.callback(os.close, handle)
    return handle
