"""Directories of runs that extract nothing, written with emoact's own classes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from emoact.jobs.config import JobConfig, JobKind
from emoact.jobs.directory import RunDirectory, Status, write_status
from emoact.jobs.lock import RunLock
from emoact.jobs.snapshot import Snapshot, State
from emoact.store.atomic import write_json
from tests.support.run_files import hold

JOB = "20260201-140500-cccc"


def plant_job(
    results: Path, state: State, *, kind: JobKind = "analyze", **changes: object
) -> RunLock | None:
    """A run that extracts nothing as its launcher or worker would leave it."""
    config = JobConfig(
        kind=kind,
        run_id=JOB,
        created_at="2026-02-01T14:05:00+00:00",
        models=("gpt2", "pythia-160m"),
        emotions=("anger", "neutral"),
        results=str(results),
        request={"settings": {"pooling": "last"}, "units": []},
        command="python -m emoact analyze --pooling last",
    )
    directory = RunDirectory(results / "runs" / JOB)
    directory.path.mkdir(parents=True)
    write_json(directory.config_path, config.to_json())
    snapshot = dataclasses.replace(
        Snapshot.before(config),
        state=state,
        started_at="2026-02-01T14:05:01+00:00",
        elapsed_s=20.0,
        **changes,  # type: ignore[arg-type]
    )
    write_status(directory.status_path, Status.now(snapshot, None), durable=False)
    directory.events_path.touch()
    directory.lock_path.touch()
    directory.log_path.write_text("a line of the worker\n")
    return hold(directory, phase="working") if state == "running" else None
