"""Run directories in every state, written with emoact's own classes and without a worker."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from emoact.jobs.config import DatasetRef, JobConfig, JobKind, RunConfig, RunModel
from emoact.jobs.lock import RunLock
from emoact.jobs.snapshot import (
    ENDED,
    RunError,
    Snapshot,
    State,
    StepProgress,
    UnitProgress,
    UnitState,
)
from emoact.models.registry import find_spec
from emoact.schema import ExtractionOptions
from emoact.store.protocol import find_store, unit_file_name
from tests.support.planted import EMOTIONS
from tests.support.run_files import a_config, a_model, an_event, hold, write_directory, write_events

_BEGAN = "2026-01-31T14:05:00+00:00"
_ENDED = "2026-01-31T14:05:40+00:00"


def plant_run(
    results: Path,
    run_id: str = "20260131-140500-aaaa",
    state: State = "finished",
    *,
    models: Sequence[str] = ("smollm2-135m",),
    emotions: Sequence[str] = EMOTIONS,
    n_samples: int = 50,
    done: int = 2,
    options: ExtractionOptions | None = None,
    notes: Sequence[str] = (),
    error: RunError | None = None,
    log: str = "loading smollm2-135m\nextracting gratitude\n",
    dataset: str = "data/prompts.jsonl",
    store: str = "pickle",
) -> RunLock | None:
    """A run with `done` units saved; the lock stands in for its worker while it is active."""
    config = a_config(
        results,
        run_id,
        created_at=_BEGAN,
        models=tuple(_model(name) for name in models),
        emotions=tuple(emotions),
        counts=dict.fromkeys(emotions, n_samples),
        dataset=DatasetRef(source=dataset, path="/data/prompts.jsonl", sha256="d" * 64),
        options=options or ExtractionOptions(),
        store=store,
        command=f"python -m emoact extract --model {models[0]}",
    )
    snapshot = _snapshot(config, state, done=done, notes=notes, error=error)
    directory = write_directory(results, config, snapshot)
    write_events(
        directory.events_path,
        an_event("started"),
        an_event("turn", 0.1),
        *(an_event("note", 0.2, text=note) for note in notes),
    )
    directory.log_path.write_text(log)
    if state not in ("pending", "loading", "running"):
        return None
    return hold(directory, phase="waiting" if state == "pending" else "working")


JOB = "20260201-140500-cccc"


def plant_job(
    results: Path,
    state: State,
    *,
    kind: JobKind = "analyze",
    request: Mapping[str, object] | None = None,
    **changes: object,
) -> RunLock | None:
    """Write a run that extracts nothing as its launcher or worker would leave it."""
    config = JobConfig(
        kind=kind,
        run_id=JOB,
        created_at="2026-02-01T14:05:00+00:00",
        models=("gpt2", "pythia-160m"),
        emotions=("anger", "neutral"),
        results=str(results),
        request=request or {"settings": {"pooling": "last"}, "units": []},
        command="python -m emoact analyze --pooling last",
    )
    snapshot = dataclasses.replace(
        Snapshot.before(config),
        state=state,
        started_at="2026-02-01T14:05:01+00:00",
        elapsed_s=20.0,
        **changes,  # type: ignore[arg-type]
    )
    directory = write_directory(results, config, snapshot)
    directory.log_path.write_text("a line of the worker\n")
    return hold(directory, phase="working") if state == "running" else None


def _model(name: str) -> RunModel:
    spec = find_spec(name)
    return a_model(
        name,
        model_name=spec.hub_id if spec else name,
        commit=None,
        weight_source="Hugging Face hub",
        n_parameters=None,
        n_layers=12,
        d_model=768,
    )


def _snapshot(
    config: RunConfig, state: State, *, done: int, notes: Sequence[str], error: RunError | None
) -> Snapshot:
    units = []
    for number, unit in enumerate(Snapshot.before(config).units):
        finished = state == "finished" or (number < done and state not in ("pending", "loading"))
        units.append(_unit(config, unit, finished=finished, current=number == done, state=state))
    first = config.models[0].folder
    step = None
    if state == "loading":
        step = StepProgress(name="load", folder=first, detail="importing torch")
    elif state == "running":
        step = StepProgress(name="extract", folder=first, detail=units[done].emotion)
    stated: State = "running" if state == "crashed" else state
    return Snapshot(
        state=stated,
        place=1 if state == "pending" else None,
        units=tuple(units),
        step=step,
        notes=tuple(notes),
        error=error,
        started_at=None if state == "pending" else _BEGAN,
        ended_at=_ENDED if state in ENDED else None,
        elapsed_s=0.0 if state == "pending" else 40.0,
        history=()
        if state in ("pending", "loading")
        else ((3.0, 290.0), (4.0, 310.0), (5.0, 300.0)),
        counted=(5.0, 1500),
    )


def _unit(
    config: RunConfig, unit: UnitProgress, *, finished: bool, current: bool, state: State
) -> UnitProgress:
    if finished:
        name = unit_file_name(unit.emotion, find_store(config.store).suffix)
        path = f"{config.results}/activations/{unit.folder}/{name}"
        return dataclasses.replace(
            unit,
            state="saved",
            samples_done=unit.n_samples,
            n_tokens=750,
            tokens_done=750,
            started_s=1.0,
            seconds=2.5,
            path=path,
            size=104_000_000,
            sha256="a" * 64,
        )
    if current and state not in ("pending", "loading"):
        reached: UnitState = "running" if state in ("running", "crashed") else "stopped"
        return dataclasses.replace(
            unit,
            state=reached,
            samples_done=unit.n_samples // 3,
            n_tokens=750,
            tokens_done=250,
            started_s=6.0,
        )
    return unit
