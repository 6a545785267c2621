"""`status.json`: state of a run, and the last heartbeat of its worker."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emoact.decode import decode, encode, read_json, versioned
from emoact.errors import EmoactError, RequestError
from emoact.jobs.lock import WorkerProcess, this_machine
from emoact.jobs.snapshot import Snapshot
from emoact.schema import SCHEMA_VERSION
from emoact.store.atomic import write_json

_MAX_BYTES = 50_000_000


@dataclass(frozen=True, kw_only=True)
class Status:
    """Content of `status.json`.

    Attributes:
        snapshot: Where the run stands.
        worker: The process that writes it, or None before there is one.
        machine: Where `beat` was read.
        beat: That machine's monotonic clock at the last heartbeat.
    """

    snapshot: Snapshot
    worker: WorkerProcess | None
    machine: str
    beat: float

    @classmethod
    def now(cls, snapshot: Snapshot, worker: WorkerProcess | None) -> Status:
        """The status with a heartbeat of this moment."""
        return cls(snapshot=snapshot, worker=worker, machine=this_machine(), beat=time.monotonic())

    def silent_s(self) -> float | None:
        """Seconds since the last heartbeat; None on another machine or after a reboot."""
        if self.machine != this_machine():
            return None
        return max(0.0, time.monotonic() - self.beat)

    def to_json(self) -> dict[str, Any]:
        """A mapping of plain scalars, lists and mappings."""
        return {"schema_version": SCHEMA_VERSION, **encode(self)}


def write_status(path: Path, status: Status, *, durable: bool) -> None:
    """Replace `status.json`.

    A durable one is the final status of an attempt. On a full disk, where a new file has no room,
    the old one is overwritten in place.

    Raises:
        EmoactError: It could not be written at all.
    """
    try:
        write_json(path, status.to_json(), durable=durable)
    except EmoactError:
        if not durable or not path.is_file():
            raise
        content = json.dumps(status.to_json()).encode()
        try:
            _overwrite(path, content)
        except OSError:
            raise EmoactError(f"{path} could not be written") from None


def _overwrite(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        room = os.fstat(descriptor).st_size
        os.pwrite(descriptor, content.ljust(room), 0)
        os.ftruncate(descriptor, max(room, len(content)))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_status(path: Path) -> Status:
    """Read `status.json`.

    Raises:
        RequestError: It is missing, torn, foreign or newer; says which.
    """
    document = read_json(path, limit=_MAX_BYTES)
    try:
        return decode(Status, versioned(document, version=SCHEMA_VERSION, what="status"))
    except RequestError as error:
        raise RequestError(f"{path.name}: {error.message}", remedy=error.remedy) from None
