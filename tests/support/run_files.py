"""Run directories written by hand, for tests that need no worker."""

import dataclasses
from pathlib import Path
from typing import Any

from emoact.jobs.config import AnyConfig, DatasetRef, Estimate, ModelEstimate, RunConfig, RunModel
from emoact.jobs.directory import RunDirectory, Status, write_status
from emoact.jobs.events import Event, EventKind, EventLog
from emoact.jobs.lock import QueueNote, RunLock
from emoact.jobs.snapshot import Snapshot, State
from emoact.schema import ExtractionOptions
from emoact.store.atomic import write_json


def a_model(folder: str = "tiny", **changes: Any) -> RunModel:
    fields: dict[str, Any] = {
        "asked": folder,
        "name": folder,
        "model_name": folder,
        "folder": folder,
        "revision": "main",
        "commit": "c" * 40,
        "weight_source": "made up",
        "n_parameters": 1000,
    }
    return RunModel(**{**fields, **changes})


def a_config(results: Path, run_id: str = "r1", **changes: Any) -> RunConfig:
    fields: dict[str, Any] = {
        "run_id": run_id,
        "created_at": "2026-01-31T12:00:00.000+00:00",
        "models": (a_model(),),
        "emotions": ("anger", "neutral"),
        "counts": {"anger": 4, "neutral": 2},
        "dataset": DatasetRef(source="p.jsonl", path="/nowhere/p.jsonl", sha256="0" * 64),
        "options": ExtractionOptions(),
        "results": str(results.resolve()),
        "command": "python -m emoact extract --model tiny",
    }
    return RunConfig(**{**fields, **changes})


def make_run(
    results: Path, run_id: str = "r1", *, snapshot: Snapshot | None = None, **changes: Any
) -> RunDirectory:
    """Write a directory as a launcher or worker leaves it, without a held lock."""
    config = a_config(results, run_id, **changes)
    return write_directory(results, config, snapshot or Snapshot.before(config))


def write_directory(results: Path, config: AnyConfig, snapshot: Snapshot) -> RunDirectory:
    """Write a run directory whose status is this snapshot, without a held lock."""
    directory = RunDirectory(results / "runs" / config.run_id)
    directory.path.mkdir(parents=True)
    write_json(directory.config_path, config.to_json())
    write_status(directory.status_path, Status.now(snapshot, None), durable=False)
    directory.events_path.touch()
    directory.lock_path.touch()
    return directory


def hold(directory: RunDirectory, ticket: int = 1, phase: str = "waiting") -> RunLock:
    """The lock of a run, as its worker would hold it."""
    lock = RunLock.acquire(directory.lock_path)
    assert lock is not None
    lock.write(QueueNote(ticket=ticket, phase=phase))  # type: ignore[arg-type]
    return lock


def an_event(kind: EventKind, elapsed_s: float = 0.0, **fields: Any) -> Event:
    return Event(
        kind=kind, at="2026-01-31T12:00:00+00:00", attempt=1, elapsed_s=elapsed_s, fields=fields
    )


def write_events(path: Path, *events: Event) -> None:
    log = EventLog(path)
    for event in events:
        log.append(event)
    log.close()


def in_state(config: RunConfig, state: State, **changes: Any) -> Snapshot:
    return dataclasses.replace(Snapshot.before(config), state=state, **changes)


SAVED = {
    "model": "tiny",
    "emotion": "anger",
    "path": "/r/a.pkl",
    "size": 100,
    "sha256": "1" * 64,
    "seconds": 2.0,
    "n_samples": 4,
    "n_tokens": 40,
}

ESTIMATE = Estimate(
    seconds=10.0,
    disk_bytes=1,
    peak_disk_bytes=2,
    memory_bytes=3,
    free_disk_bytes=None,
    free_memory_bytes=4,
    rate_source="guessed",
    warnings=("too little",),
    models=(
        ModelEstimate(
            folder="tiny",
            n_samples=1,
            n_tokens=2,
            tokens_counted=True,
            tokens_per_s=3.0,
            rate_source="guessed",
            prepare_s=4.0,
            extract_s=5.0,
            disk_bytes=6,
            memory_bytes=7,
        ),
    ),
)
