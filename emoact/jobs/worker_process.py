"""The worker's process: named so that only it can be signalled, and only while it lives."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@functools.cache
def this_machine() -> str:
    """A name of this machine since its last start; pids and monotonic clocks hold within it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        boot = ""
    return f"{platform.node()}/{boot}"


@dataclass(frozen=True, kw_only=True)
class WorkerProcess:
    """A process that holds a run's lock.

    Attributes:
        pid: Its number on `machine`.
        machine: As `this_machine` says.
    """

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
