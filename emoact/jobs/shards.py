"""Shards: runs that divide the units of one request among them, shown as one run.

A shard is an ordinary run, `REQUEST.I-of-N`. No process leads: any number may be at work at once,
be killed, and be started again with the same words.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from emoact.errors import RequestError
from emoact.jobs.config import RunConfig, Shard
from emoact.jobs.control import delete, resume
from emoact.jobs.directory import RunDirectory
from emoact.jobs.executor import SHARDS
from emoact.jobs.launch import Started, start
from emoact.jobs.look import look
from emoact.jobs.queue import run_directories
from emoact.jobs.request import default_name
from emoact.jobs.snapshot import ACTIVE, State
from emoact.jobs.views import RunSummary, RunView
from emoact.store.keys import differences
from emoact.store.layout import ResultsRoot
from emoact.store.parts import absent

_BUSIEST: tuple[State, ...] = ("running", "loading", "pending", "failed", "crashed", "cancelled")
"""The state of a request is the first of these that one of its shards has."""


def start_shard(config: RunConfig) -> Started:
    """Start a shard, or continue it where an earlier attempt has ended.

    Raises:
        RequestError: Shards of another request have its name or are not done, or it cannot start.
    """
    _check_others(config)
    root = ResultsRoot(config.results)
    directory = RunDirectory(root.run_dir(config.run_id))
    if not directory.exists():
        try:
            return start(config)
        except RequestError:
            if not directory.exists():
                raise
    found = look(directory)
    if found.active:
        return Started(run_id=config.run_id, existing=True)
    if found.state == "finished":
        # It looks at every file again; a record says nothing of files that were removed since.
        delete(root.path, config.run_id)
        return start(config)
    return resume(root.path, config.run_id, allow_pickle_weights=config.allow_pickle_weights)


def _check_others(config: RunConfig) -> None:
    """Refuse shards of two requests that may have been meant as one."""
    root = ResultsRoot(config.results)
    others: dict[str, list[tuple[RunConfig, State]]] = {}
    for directory in run_directories(root.runs):
        if Shard.split(directory.run_id) is not None:
            found = look(directory)
            if isinstance(found.config, RunConfig) and found.config.shard is not None:
                others.setdefault(found.config.request_id, []).append((found.config, found.state))
    named = config.request_id != default_name(config)
    for name, shards in others.items():
        other, _ = shards[0]
        what = "; ".join(differences(other.asked(), config.asked()))
        if not what:
            continue
        finished = {str(shard.shard) for shard, state in shards if state == "finished"}
        done = other.shard is not None and len(finished) >= other.shard.count
        if name == config.request_id:
            raise RequestError(
                f"shards of another request are called {name!r} already: {what}",
                remedy="Give this request another --run-id, or another folder with --results.",
            )
        if not named and not done and name == default_name(other):
            raise RequestError(
                f"shards of another request, {name!r}, are not done in {root.path}: {what}",
                remedy="Start all shards with the same words. If two requests are meant, give this "
                f"one a name with --run-id, or `emoact runs delete {name}`.",
            )


def joined_rows(rows: Sequence[RunSummary]) -> list[RunSummary]:
    """The rows with one for all shards of a request in place of theirs.

    Where a request was divided anew, into another number of shards, the newest division counts.
    """
    groups: dict[str, list[RunSummary]] = {}
    for row in rows:
        named = Shard.split(row.id) if row.executor == SHARDS.name else None
        groups.setdefault(row.id if named is None else named[0], []).append(row)
    found = []
    for name, own in groups.items():
        divided = [(each, named) for each in own if (named := Shard.split(each.id)) is not None]
        if not divided or own[0].executor != SHARDS.name:
            found += own
            continue
        _, (_, latest) = max(divided, key=lambda each: each[0].created_at or "")
        now = [each for each, (_, shard) in divided if shard.count == latest.count]
        found += [_joined_row(name, now), *(each for each in own if each not in now)]
    return found


def _joined_row(name: str, rows: Sequence[RunSummary]) -> RunSummary:
    missing = _missing([row.id for row in rows])
    states = [row.state for row in rows]
    state: State = next((state for state in _BUSIEST if state in states), "finished")
    if state == "finished" and missing:
        state = "cancelled"
    seconds = [row.elapsed_s for row in rows if row.elapsed_s is not None]
    problems = [f"{row.id}: {row.problem}" for row in rows if row.problem]
    rates = [(row.samples_per_s, row.tokens_per_s) for row in rows]
    n_samples = sum(row.n_samples for row in rows)
    done = sum(row.samples_done for row in rows)
    ended = None if state in ACTIVE else max(row.ended_at or "" for row in rows) or None
    return dataclasses.replace(
        rows[0],
        id=name,
        state=state,
        place=None,
        models=tuple(dict.fromkeys(model for row in rows for model in row.models)),
        emotions=tuple(dict.fromkeys(emotion for row in rows for emotion in row.emotions)),
        created_at=min((row.created_at for row in rows if row.created_at), default=None),
        started_at=min((row.started_at for row in rows if row.started_at), default=None),
        ended_at=ended,
        elapsed_s=max(seconds, default=None),
        share=None if missing or not n_samples else min(done / n_samples, 1.0),
        samples_done=done,
        n_samples=n_samples,
        samples_per_s=_sum([rate for rate, _ in rates]),
        tokens_per_s=_sum([rate for _, rate in rates]),
        size=sum(row.size for row in rows),
        problem="; ".join([*missing, *problems]) or None,
        cancel_requested=any(row.cancel_requested for row in rows),
    )


def _missing(names: Sequence[str]) -> list[str]:
    """Shards that were never started, in words."""
    shards = [named[1] for name in names if (named := Shard.split(name)) is not None]
    count = max(shard.count for shard in shards)
    started = {shard.number for shard in shards}
    left = count - len(started)
    return [f"{left} of {count} shards were not started: {absent(started, count)}"] if left else []


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def joined_view(name: str, views: Sequence[RunView]) -> RunView:
    """One view of all shards of a request."""
    active = [view for view in views if view.summary.active]
    remaining = [view.remaining_s for view in active if view.remaining_s is not None]
    silent = [view.silent_s for view in active if view.silent_s is not None]
    counted = [view.n_tokens for view in views if view.units]
    config = views[0].config
    if isinstance(config, RunConfig):
        config = dataclasses.replace(config, run_id=name, shard=None)
    return dataclasses.replace(
        views[0],
        summary=_joined_row(name, [view.summary for view in views]),
        config=config,
        step=next((view.step for view in active if view.step), None),
        units=tuple(unit for view in views for unit in view.units),
        n_tokens=None if None in counted else sum(count or 0 for count in counted),
        tokens_done=sum(view.tokens_done for view in views),
        remaining_s=max(remaining, default=None),
        history=(),
        notes=tuple(dict.fromkeys(note for view in views for note in view.notes)),
        error=next((view.error for view in views if view.error), None),
        estimate=None,
        estimate_ratio=None,
        attempt=max(view.attempt for view in views),
        silent_s=max(silent, default=None),
        problems=tuple(f"{view.id}: {text}" for view in views for text in view.problems),
    )
