"""Report of a worker: events are appended, and the status is replaced twice a second."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any

from emoact.errors import CancelledError, EmoactError
from emoact.jobs.directory import RunDirectory, Status, write_status
from emoact.jobs.events import Event, EventKind, EventLog
from emoact.jobs.lock import WorkerProcess
from emoact.jobs.redact import redact
from emoact.jobs.snapshot import RunError, Snapshot, State, Step

BEAT_S = 0.5


class RunReporter:
    """Writer of events and status of one attempt; safe to call from several threads."""

    def __init__(
        self,
        directory: RunDirectory,
        snapshot: Snapshot,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._worker = WorkerProcess.current()
        self._snapshot = snapshot
        self._log = EventLog(directory.events_path)
        self._turn_at: float | None = None
        self._changing = threading.RLock()
        self._writing = threading.Lock()
        self._due = threading.Event()
        self._leaving = threading.Event()
        self._told_to_stop = False
        self._beating = threading.Thread(target=self._beat, daemon=True, name="heartbeat")

    def begin(self) -> None:
        """Record the start of the worker, and begin the heartbeat."""
        self._record("started", {})
        self._beating.start()

    def leave(self) -> None:
        """Stop the heartbeat and close the events."""
        self._leaving.set()
        self._due.set()
        if self._beating.is_alive():
            self._beating.join()
        self._log.close()

    @property
    def snapshot(self) -> Snapshot:
        """State of the run."""
        return self._snapshot

    def place(self, place: int) -> None:
        """Record the place in the queue."""
        with self._changing:
            self._snapshot = dataclasses.replace(self._snapshot, place=place)
        self._due.set()

    def turn(self) -> None:
        """Record the start of the work; working time counts from here."""
        self._turn_at = self._clock()
        self._record("turn", {})

    def step(
        self,
        step: Step,
        *,
        model: str,
        detail: str = "",
        done: float | None = None,
        total: float | None = None,
        share: float | None = None,
    ) -> None:
        """The worker is doing this for a model, given by its folder.

        `model` is empty where no single one is at work; `share` is that of the whole job.
        """
        self.check_cancelled()
        fields: dict[str, Any] = {"step": step, "model": model, "detail": detail}
        fields |= {"done": done, "total": total}
        if share is not None:
            fields["share"] = share
        now = self._snapshot.step
        same = now is not None and (now.name, now.folder) == (step, model)
        # Progress within a step is shown in the status and not kept as an event.
        self._record("step", fields, keep=not same)

    def unit(self, event: EventKind, **fields: Any) -> None:
        """Record an event of a unit, with the fields that `extraction.engine.UnitEvent` names."""
        # Progress is shown in the status and not kept as an event.
        self._record(event, fields, keep=event != "unit_progress")

    def made(self, *, path: str, size: int, existing: bool = False, sha256: str = "") -> None:
        """Record something else that a job left on disk, or found there."""
        fields = {"path": path, "size": size, "existing": existing}
        self._record("made", {**fields, "sha256": sha256} if sha256 else fields)

    def note(self, text: str) -> None:
        """A remark for the user."""
        self._record("note", {"text": redact(text)})

    def stop(self) -> None:
        """Have the next `check_cancelled` raise; may be called from a signal handler."""
        self._told_to_stop = True

    def check_cancelled(self) -> None:
        """Return unless the run was asked to stop.

        Raises:
            CancelledError: It was.
            EmoactError: The folder of the run was moved or removed.
        """
        self.check_in_place()
        if self._told_to_stop or self._directory.cancel_requested():
            raise CancelledError(
                "the run was cancelled", remedy="Resume it to continue at the first missing unit."
            )

    def check_in_place(self) -> None:
        """Raise `EmoactError` if the folder was moved or removed; else it would be made again."""
        if not self._log.is_in_place():
            raise EmoactError(
                f"{self._directory.path} was moved or removed while the run was writing",
                remedy="Move it back, or choose its new place with --results, then resume the run.",
            )

    def end(self, state: State, error: RunError | None = None) -> None:
        """Write the final status of this attempt; it is on the disk when this returns."""
        self._leaving.set()
        stated = None if error is None else dataclasses.asdict(error)
        event = self._event("ended", {"state": state, "error": stated})
        with self._changing:
            self._snapshot = self._snapshot.after(event)
        with self._writing:
            self.check_in_place()
            status = Status.now(self._snapshot, self._worker)
            write_status(self._directory.status_path, status, durable=True)
        # The status is what counts; the line may be missing where the disk is full.
        with suppress(EmoactError):
            self._log.append(event)

    def _event(self, kind: EventKind, fields: dict[str, Any]) -> Event:
        return Event(
            kind=kind,
            at=datetime.now().astimezone().isoformat(timespec="seconds"),
            attempt=self._snapshot.attempt,
            elapsed_s=self._elapsed(),
            fields=fields,
        )

    def _record(self, kind: EventKind, fields: dict[str, Any], *, keep: bool = True) -> None:
        with self._changing:
            event = self._event(kind, fields)
            self._snapshot = self._snapshot.after(event)
            if keep:
                self._log.append(event)
        if keep:
            self._due.set()

    def _elapsed(self) -> float:
        return 0.0 if self._turn_at is None else self._clock() - self._turn_at

    def _beat(self) -> None:
        while not self._leaving.is_set():
            with self._changing:
                elapsed = self._snapshot.earlier_s + self._elapsed()
                self._snapshot = dataclasses.replace(self._snapshot, elapsed_s=elapsed)
            with self._writing:
                if self._leaving.is_set():
                    return
                status = Status.now(self._snapshot, self._worker)
                # A disk that is full now may have room in a second; the lock is held anyway.
                with suppress(EmoactError):
                    self.check_in_place()
                    write_status(self._directory.status_path, status, durable=False)
            self._due.wait(BEAT_S)
            self._due.clear()
