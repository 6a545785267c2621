"""Views of one run and of all runs, read from disk; a damaged file becomes a problem."""

from __future__ import annotations

import os

from emoact.jobs.config import JobConfig, RunConfig
from emoact.jobs.control import find_run
from emoact.jobs.directory import RunDirectory
from emoact.jobs.look import Look, look
from emoact.jobs.queue import run_directories, shards_of
from emoact.jobs.rates import remaining_seconds
from emoact.jobs.shards import joined_rows, joined_view
from emoact.jobs.snapshot import HISTORY_POINTS, UnitProgress
from emoact.jobs.views import ErrorView, RunSummary, RunView, StepView, UnitView
from emoact.store.layout import ResultsRoot

_LOG_LINES = 30


def read_run(results: str | os.PathLike[str], run_id: str) -> RunView:
    """View of one run; cheap enough to call every second.

    Missing, torn, foreign or newer files become `problems` of the view. The name of a request of
    shards gives one view of all of them.

    Raises:
        RequestError: There is no such run.
    """
    shards = shards_of(ResultsRoot(results).runs, run_id)
    if shards:
        return joined_view(run_id, [_view(shard) for shard in shards])
    return _view(find_run(results, run_id))


def _view(directory: RunDirectory) -> RunView:
    found = look(directory)
    snapshot, config = found.snapshot, found.config
    extraction = config if isinstance(config, RunConfig) else None
    names = {} if extraction is None else {m.folder: m.name for m in extraction.models}
    units = tuple(_unit(unit, names, found) for unit in snapshot.units)
    counts = [unit.n_tokens for unit in units]
    step = snapshot.step if found.active else None
    estimate = None if extraction is None else extraction.estimate
    return RunView(
        summary=_summary(directory, found),
        config=config,
        step=None
        if step is None
        else StepView(**vars(step), model=names.get(step.folder, step.folder)),
        units=units,
        n_tokens=None
        if None in counts or not counts
        else sum(count for count in counts if count is not None),
        tokens_done=sum(unit.tokens_done for unit in units),
        remaining_s=remaining_seconds(snapshot, config) if found.active else None,
        history=snapshot.history[-HISTORY_POINTS:],
        notes=snapshot.notes,
        made=snapshot.made,
        error=_error(directory, found),
        estimate=estimate,
        estimate_ratio=_estimate_ratio(found),
        attempt=snapshot.attempt,
        silent_s=found.status.silent_s() if found.active and found.status else None,
        problems=found.problems,
    )


def list_runs(results: str | os.PathLike[str]) -> list[RunSummary]:
    """All runs of a results folder, newest first; empty when there is no such folder.

    The shards of one request are one row.
    """
    runs = ResultsRoot(results).runs
    rows = joined_rows(
        [_summary(directory, look(directory)) for directory in run_directories(runs)]
    )
    # ISO times of one machine sort as text, across a change of the clock's offset nearly so.
    return sorted(rows, key=lambda row: (row.created_at or "", row.id), reverse=True)


def _summary(directory: RunDirectory, found: Look) -> RunSummary:
    snapshot, config = found.snapshot, found.config
    extraction = config if isinstance(config, RunConfig) else None
    done = sum(unit.samples_done for unit in snapshot.units)
    n_samples = 0 if extraction is None else extraction.n_samples
    saved = [unit for unit in snapshot.units if unit.state == "saved" and unit.seconds]
    seconds = sum(unit.seconds or 0.0 for unit in saved)
    return RunSummary(
        id=directory.run_id,
        kind="extract" if config is None else config.kind,
        what=str(config.request.get("what", "")) if isinstance(config, JobConfig) else "",
        state=found.state,
        place=snapshot.place if found.state == "pending" else None,
        models=() if config is None else config.model_names,
        emotions=() if config is None else config.emotions,
        dataset="" if extraction is None else extraction.dataset.source,
        created_at=None if config is None else config.created_at,
        started_at=snapshot.started_at,
        ended_at=snapshot.ended_at,
        elapsed_s=snapshot.elapsed_s if snapshot.started_at else None,
        share=_share(found, done, n_samples),
        samples_done=done,
        n_samples=n_samples,
        samples_per_s=sum(unit.samples_done for unit in saved) / seconds if seconds else None,
        tokens_per_s=sum(unit.tokens_done for unit in saved) / seconds if seconds else None,
        size=sum(unit.size or 0 for unit in snapshot.units if unit.state == "saved")
        + sum(made.size for made in snapshot.made if not made.existing),
        problem="; ".join(found.problems) or None,
        cancel_requested=found.cancel_requested and found.active,
        executor="local" if config is None else config.executor,
    )


def _share(found: Look, done: int, n_samples: int) -> float | None:
    if isinstance(found.config, RunConfig):
        share = done / n_samples if n_samples else None
    else:
        share = 1.0 if found.state == "finished" else found.snapshot.share
    return None if share is None else max(0.0, min(share, 1.0))


def _unit(unit: UnitProgress, names: dict[str, str], found: Look) -> UnitView:
    state = unit.state
    if not found.active and state in ("running", "saving"):
        state = "stopped"
    seconds = unit.spent_s(found.snapshot.elapsed_s)
    rated = seconds if seconds and state != "skipped" and unit.samples_done else None
    stated = {
        **vars(unit),
        "state": state,
        "tokens_done": (unit.n_tokens or 0) if state == "skipped" else unit.tokens_done,
        "seconds": seconds,
    }
    return UnitView(
        **stated,
        model=names.get(unit.folder, unit.folder),
        samples_per_s=unit.samples_done / rated if rated else None,
        tokens_per_s=unit.tokens_done / rated if rated else None,
    )


def _error(directory: RunDirectory, found: Look) -> ErrorView | None:
    if found.state not in ("failed", "crashed"):
        return None
    tail = directory.log_tail(_LOG_LINES)
    error = found.snapshot.error
    if found.state == "failed" and error is not None:
        return ErrorView(**vars(error), log_tail=tail)
    return ErrorView(
        message="the worker process ended without a report: it was killed, ran out of memory, "
        "or the machine stopped",
        remedy="Resume the run: what it saved is kept, and it continues at the first missing unit.",
        exit_code=1,
        log_tail=tail,
    )


def _estimate_ratio(found: Look) -> float | None:
    """Time over estimate of a run that finished in one attempt."""
    estimate = found.config.estimate if isinstance(found.config, RunConfig) else None
    whole = found.state == "finished" and found.snapshot.attempt == 1
    if estimate is None or not whole or estimate.seconds <= 0:
        return None
    return found.snapshot.elapsed_s / estimate.seconds
