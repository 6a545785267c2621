"""Handing a run over to a model host that has the run's model loaded already.

The host computes the run as a new worker would, under its own process number. It gets the open file
of the run's lock, so that the lock is held without a gap.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from emoact.errors import EmoactError
from emoact.jobs.lock import RunLock
from emoact.models import hosts

if TYPE_CHECKING:
    from emoact.jobs.directory import RunDirectory

_ANSWER_S = 10.0


def hand_over(
    directory: RunDirectory, lock: RunLock, *, program: str, environment: Mapping[str, str]
) -> bool:
    """Give a run to a warm host; False where none takes it and a worker has to be started.

    Args:
        directory: The run.
        lock: Its lock, held by this process.
        program: Module of the worker that would be started otherwise.
        environment: Environment variables that this worker would get.
    """
    try:
        folders = hosts.hosts() if hosts.idle_s() > 0 else []
        stamp = hosts.stamp(program, environment) if folders else ""
    except (EmoactError, OSError):
        # A cache that cannot be used is no obstacle to a run.
        return False
    return any(_taken(folder, directory, lock, stamp) for folder in folders)


def _taken(folder: Path, directory: RunDirectory, lock: RunLock, stamp: str) -> bool:
    asked = {"directory": os.fspath(directory.path.absolute())}
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
            return _accepted(connection)
    except (OSError, EOFError, ValueError, EmoactError):
        return False


def _accepted(connection: socket.socket) -> bool:
    """Wait for the host to say that it has the lock."""
    try:
        content, _ = hosts.receive(connection)
    except TimeoutError:
        # It has the lock's open file and may be at work; a second worker must not be.
        return True
    return bool(content.get("ok"))
