"""`status.json`: where a run stands, and the last sign of life of its worker."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emoact.decode import decode, read_regular
from emoact.errors import EmoactError, RequestError
from emoact.jobs.lock import WorkerProcess, this_machine
from emoact.jobs.snapshot import Snapshot
from emoact.schema import SCHEMA_VERSION
from emoact.store.atomic import write_json

_MAX_BYTES = 50_000_000


@dataclass(frozen=True, kw_only=True)
class Status:
    """What `status.json` holds.

    Attributes:
        snapshot: Where the run stands.
        worker: The process that writes it, or None before there is one.
        machine: Where `beat` was read.
        beat: That machine's monotonic clock at the last sign of life.
    """

    snapshot: Snapshot
    worker: WorkerProcess | None
    machine: str
    beat: float

    @classmethod
    def now(cls, snapshot: Snapshot, worker: WorkerProcess | None) -> Status:
        """The status with this moment as its sign of life."""
        return cls(snapshot=snapshot, worker=worker, machine=this_machine(), beat=time.monotonic())

    def silent_s(self) -> float | None:
        """Seconds since the last sign of life; None on another machine or after a reboot."""
        if self.machine != this_machine():
            return None
        return max(0.0, time.monotonic() - self.beat)

    def to_json(self) -> dict[str, Any]:
        """A mapping of plain scalars, lists and mappings."""
        return {"schema_version": SCHEMA_VERSION, **dataclasses.asdict(self)}

    @classmethod
    def from_json(cls, fields: Any) -> Status:
        """The inverse of `to_json`.

        Raises:
            RequestError: The mapping is of a newer emoact, or is no such mapping.
        """
        version = fields.get("schema_version") if isinstance(fields, Mapping) else None
        if version != SCHEMA_VERSION:
            newer = isinstance(version, int) and version > SCHEMA_VERSION
            raise RequestError(
                f"written by a newer emoact (schema version {version})"
                if newer
                else "no status of a run"
            )
        return decode(cls, {key: fields[key] for key in fields if key != "schema_version"})


def write_status(path: Path, status: Status, *, durable: bool) -> None:
    """Replace `status.json`.

    A durable one is the last word of a run and has to arrive even on a full disk, where a new file
    finds no room: the old one is then overwritten in its place.

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
    """What `status.json` says.

    Raises:
        RequestError: It is missing, torn, foreign or newer; says which.
    """
    data = read_regular(path, limit=_MAX_BYTES)
    try:
        return Status.from_json(json.loads(data))
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{path.name} is not JSON ({error})") from None
    except RequestError as error:
        raise RequestError(f"{path.name}: {error.message}") from None
