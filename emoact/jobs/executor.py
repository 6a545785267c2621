"""Executors: where the work of a run is done.

`EXECUTORS` is the only list of them. The command line's help, the Extract page, the report and the
documentation read it when they are asked.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from emoact.errors import EmoactError, RequestError
from emoact.jobs.lock import LockReading, RunLock, read_lock
from emoact.jobs.machine import start_apart
from emoact.store.protocol import Choosable, find_named

if TYPE_CHECKING:
    from emoact.jobs.directory import RunDirectory
    from emoact.jobs.lock import WorkerProcess

_RAY = (2, 60)

Capability = Literal["cancel", "resume", "queue"]

GRACE_S = 10.0
"""Seconds that a worker has to end after SIGTERM before it is killed."""

_FLAG_S = 1.0
_ANSWER_S = 10.0
_PAUSE_S = 0.05


@runtime_checkable
class Executor(Choosable, Protocol):
    """A place where runs are worked off: `--executor`, and `executor` in `config.json`.

    The work itself is a command, `WORKER RUN_DIRECTORY --lock-fd N`. It writes the files of the run
    directory, so that every reader sees the same run wherever the work is done.
    """

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Operations that this executor has.

        `cancel` and `resume` are the commands of that name. `queue`: the runs of a results folder
        wait for one another; without it a run starts at once and holds up no other.
        """

    def submit(self, directory: RunDirectory, lock: RunLock, command: Sequence[str]) -> None:
        """Start the work and return.

        Args:
            directory: The run.
            lock: The run's lock, held; it must stay held until the work has ended.
            command: The worker's command, to which the run directory and the lock are added.

        Raises:
            OSError: The work could not be started.
        """

    def watch(self, directory: RunDirectory) -> LockReading:
        """State of the run's lock, which is held as long as the work goes on.

        Raises:
            OSError: It cannot be read.
            RequestError: The same, in words.
        """

    def cancel(self, directory: RunDirectory, *, attempt: int, is_over: Callable[[], bool]) -> None:
        """End a run whose cancel flag is set; return when it has ended, or cannot be ended.

        Args:
            directory: The run.
            attempt: The attempt to end; a later one is left alone.
            is_over: Tells whether that attempt has ended.
        """


@dataclass(frozen=True, kw_only=True)
class ProcessExecutor:
    """Worker processes on this machine.

    Attributes:
        is_warm: A warm model host works a run off where one fits, and a worker process becomes one;
            without it a process ends with its run.
    """

    name: str
    label: str
    about: str
    capabilities: frozenset[Capability] = frozenset({"cancel", "resume"})
    is_warm: bool = False

    def submit(self, directory: RunDirectory, lock: RunLock, command: Sequence[str]) -> None:
        """Give the run to a host that has its model, or start a worker process.

        Either gets the open lock, so that no moment is without it.

        Raises:
            OSError: The system refused.
        """
        environment = _hosts().child_environment()
        if not self.is_warm:
            environment[_hosts().IDLE] = "0"
        elif _hand_over(directory, lock, program=command[-1], environment=environment):
            return
        words = [*command, os.fspath(directory.path.absolute()), "--lock-fd", str(lock.descriptor)]
        start_apart(words, log=directory.log_path, env=environment, pass_fds=(lock.descriptor,))

    def watch(self, directory: RunDirectory) -> LockReading:
        """State of the lock; the kernel frees it when the process is gone."""
        return read_lock(directory.lock_path)

    def cancel(self, directory: RunDirectory, *, attempt: int, is_over: Callable[[], bool]) -> None:
        """Send SIGTERM a second after the flag, and SIGKILL ten seconds later."""
        begin = time.monotonic()
        steps = [(_FLAG_S, signal.SIGTERM), (_FLAG_S + GRACE_S, signal.SIGKILL)]
        # A process that survives SIGKILL hangs in the kernel, or is on another machine.
        while (waited := time.monotonic() - begin) < _FLAG_S + 2 * GRACE_S:
            if is_over():
                return
            if steps and waited >= steps[0][0]:
                worker = _worker(directory, attempt)
                if worker is not None:
                    worker.send(steps.pop(0)[1], is_alive=directory.lock_is_held)
            time.sleep(_PAUSE_S)


def _hand_over(
    directory: RunDirectory, lock: RunLock, *, program: str, environment: Mapping[str, str]
) -> bool:
    """Give a run to a warm host; False where none takes it and a worker has to be started.

    The host has the run's model loaded already and computes the run as a new worker would, under
    its own process number. It gets the open file of the run's lock, so that the lock is held
    without a gap. `program` is the module of the worker that would be started otherwise.
    """
    hosts = _hosts()
    try:
        folders = hosts.hosts() if hosts.idle_s() > 0 else []
        stamp = hosts.stamp(program, environment) if folders else ""
    except (EmoactError, OSError):
        # A cache that cannot be used is no obstacle to a run.
        return False
    return any(_taken(folder, directory, lock, stamp) for folder in folders)


def _taken(folder: Path, directory: RunDirectory, lock: RunLock, stamp: str) -> bool:
    hosts, asked = _hosts(), {"directory": os.fspath(directory.path.absolute())}
    try:
        connection = hosts.connect(folder, timeout_s=_ANSWER_S)
        if connection is None:
            return False
        with connection:
            hosts.send(connection, {"request": "run", "stamp": stamp, "asked": asked})
            content, _ = hosts.receive(connection)
            if not content.get("ok"):
                return False
            socket.send_fds(connection, [b"\0"], [lock.descriptor])
            try:
                content, _ = hosts.receive(connection)
            except TimeoutError:
                # It has the lock's open file and may be at work; a second worker must not be.
                return True
            return bool(content.get("ok"))
    except (OSError, EOFError, ValueError, EmoactError):
        return False


def _hosts() -> ModuleType:
    # Imported when asked: a command that only lists runs starts without numpy.
    from emoact.models import hosts

    return hosts


def _worker(directory: RunDirectory, attempt: int) -> WorkerProcess | None:
    """The process of one attempt; None before it has said which it is."""
    try:
        status = directory.status()
    except RequestError:
        return None
    return status.worker if status.snapshot.attempt == attempt else None


LOCAL = ProcessExecutor(
    name="local",
    label="This machine",
    about="a process on this machine; one run at a time, or as many as EMOACT_WORKERS says",
    capabilities=frozenset({"cancel", "resume", "queue"}),
    is_warm=True,
)
SHARDS = ProcessExecutor(
    name="shard",
    label="Shards",
    about="one process for each share of the units, started by a cluster or by hand",
)
"""The process of a shard; others may be at work on other machines. `--shard` chooses it."""
RAY = ProcessExecutor(
    name="ray",
    label="Ray",
    about="workers on Ray, of this machine or of a cluster (--ray-address); needs emoact[ray]",
)
"""A process that gives the units of a run to workers on Ray."""

EXECUTORS: tuple[Executor, ...] = (LOCAL, RAY)
"""Every executor that a request may name; the first is the default."""


def find_executor(name: str) -> Executor:
    """The executor of that name, that of shards included; `RequestError` if there is none."""
    return find_named((*EXECUTORS, SHARDS), name, kind="executor")


def offered() -> tuple[Executor, ...]:
    """The executors that a page offers: Ray where it is installed."""
    return tuple(one for one in EXECUTORS if one is not RAY or _ray_version())


def check_ray(address: str | None) -> None:
    """Check that Ray is installed, and that a process listens at the address of a cluster.

    Ray itself tries for minutes. `auto` is not looked at.

    Raises:
        RequestError: It is not, in a version that works; or none does, or it is no address.
    """
    found = _ray_version()
    if found is None or not _RAY <= tuple(map(int, re.findall(r"\d+", found)[:2])) < (3, 0):
        have = "not installed" if found is None else f"of version {found}"
        raise RequestError(
            f"Ray is {have} here; version 2.60 or a later 2.x is needed",
            remedy="pip install 'emoact[ray]' installs it.",
        )
    if address is None or address == "auto":
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=_ANSWER_S):
            return
    except (OSError, ValueError, OverflowError) as error:
        why = "HOST:PORT is asked for" if isinstance(error, ValueError) else error
        raise RequestError(
            f"no head node of Ray answers at --ray-address {address[:100]!r} ({why})",
            remedy="`ray start --head` prints the address, HOST:PORT.",
        ) from error


def _ray_version() -> str | None:
    try:
        return importlib.metadata.version("ray")
    except importlib.metadata.PackageNotFoundError:
        return None


def can(name: str, capability: Capability) -> bool:
    """True when the executor of that name is known here and has the capability."""
    known = (*EXECUTORS, SHARDS)
    return any(one.name == name and capability in one.capabilities for one in known)
