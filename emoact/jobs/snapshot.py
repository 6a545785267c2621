"""State of a run: the sum of its events, kept by the worker and saved in `status.json`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from emoact.jobs.config import AnyConfig, RunConfig
from emoact.jobs.events import Event

State = Literal["pending", "loading", "running", "finished", "failed", "cancelled", "crashed"]
STATES: tuple[State, ...] = get_args(State)

UnitState = Literal["waiting", "running", "saving", "saved", "skipped", "stopped"]
"""`saved` by this run; `skipped` because it was on disk; `stopped` when the run ended before it."""

Step = Literal[
    "install", "download", "load", "self_check", "extract", "save", "read", "analyze", "write"
]
"""Work in progress; the last three are those of jobs."""

ACTIVE: frozenset[State] = frozenset({"pending", "loading", "running"})
"""States in which a worker runs."""

ENDED: frozenset[State] = frozenset({"finished", "failed", "cancelled"})
"""States that a worker reports as its last; `crashed` is none of them."""

RESUMABLE: frozenset[State] = frozenset({"failed", "cancelled", "crashed"})


def derive_state(stated: State | None, *, held: bool, cancel_requested: bool) -> State:
    """The state that a run is shown in.

    `stated` was read after the lock was looked at; None where it cannot be read.
    """
    if stated is not None and stated in ENDED:
        return stated
    if held:
        return stated or "running"
    return "cancelled" if cancel_requested else "crashed"


HISTORY_POINTS = 120
_HISTORY_SPACING_S = 1.0


@dataclass(frozen=True, kw_only=True)
class UnitProgress:
    """One (model folder, emotion) of a run.

    Attributes:
        folder: The model's folder, unique within the run.
        emotion: Label of the unit: the emotion, with its part where there are several.
        n_tokens: Tokens of the unit with BOS, or None before the model's tokenizer counted them.
        started_s: Working seconds of the run when the unit began, or None.
        seconds: Wall time of the unit so far, or in all; None before it starts.
        worker: Name of the worker of a run with several, or None.
    """

    folder: str
    emotion: str
    n_samples: int
    state: UnitState = "waiting"
    samples_done: int = 0
    n_tokens: int | None = None
    tokens_done: int = 0
    started_s: float | None = None
    seconds: float | None = None
    path: str | None = None
    size: int | None = None
    sha256: str | None = None
    reason: str | None = None
    worker: str | None = None

    def spent_s(self, elapsed_s: float) -> float | None:
        """Seconds that it took, or has taken so far; None before it starts."""
        if self.seconds is None and self.started_s is not None:
            return max(0.0, elapsed_s - self.started_s)
        return self.seconds


@dataclass(frozen=True, kw_only=True)
class StepProgress:
    """Work in progress."""

    name: Step
    folder: str
    detail: str = ""
    done: float | None = None
    total: float | None = None


@dataclass(frozen=True, kw_only=True)
class RunError:
    """Reason of a failure."""

    message: str
    remedy: str | None
    exit_code: int


@dataclass(frozen=True, kw_only=True)
class Made:
    """Something beside units that a run left on disk.

    Attributes:
        existing: True when it was there already and nothing had to be done.
        sha256: Hash of its content, where it is one file that nothing else checks; else empty.
    """

    path: str
    size: int
    existing: bool = False
    sha256: str = ""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """State of a run, unit by unit.

    Attributes:
        state: As the worker sees it; `crashed` cannot occur.
        attempt: 1, and one more with every resume.
        place: 1 for the next in the queue while pending.
        started_at: Wall-clock time of the first turn.
        earlier_s: Working seconds of the attempts before this one.
        elapsed_s: Working seconds over all attempts.
        loading_since: Elapsed seconds when the latest model began to load, or None.
        ready_s: By model folder, seconds of loading and checking in this attempt.
        history: (elapsed seconds, tokens/s).
        counted: (elapsed seconds, tokens) at the last point of the history.
        share: How much of a job is done, 0 to 1; None for extractions, whose units say it.
    """

    state: State = "pending"
    attempt: int = 1
    place: int | None = None
    units: tuple[UnitProgress, ...] = ()
    step: StepProgress | None = None
    notes: tuple[str, ...] = ()
    error: RunError | None = None
    started_at: str | None = None
    ended_at: str | None = None
    earlier_s: float = 0.0
    elapsed_s: float = 0.0
    loading_since: float | None = None
    ready_s: Mapping[str, float] = field(default_factory=dict)
    history: tuple[tuple[float, float], ...] = ()
    counted: tuple[float, int] = (0.0, 0)
    share: float | None = None
    made: tuple[Made, ...] = ()

    @property
    def tokens_done(self) -> int:
        """Tokens computed by this run, over all units."""
        return sum(unit.tokens_done for unit in self.units if unit.state != "skipped")

    @classmethod
    def before(cls, config: AnyConfig) -> Snapshot:
        """Snapshot of a run without events."""
        if not isinstance(config, RunConfig):
            return cls()
        return cls(
            units=tuple(
                UnitProgress(
                    folder=model.folder,
                    emotion=part.label,
                    n_samples=part.size(config.counts[part.emotion]),
                )
                for model, part in config.units
            )
        )

    def again(self) -> Snapshot:
        """Snapshot at the start of another attempt."""
        return _started(self, self.attempt + 1)

    def after_all(self, events: Iterable[Event]) -> Snapshot:
        """Snapshot after these events."""
        snapshot = self
        for event in events:
            snapshot = snapshot.after(event)
        return snapshot

    def after(self, event: Event) -> Snapshot:
        """Snapshot after one more event."""
        moved = dataclasses.replace(
            self, elapsed_s=max(self.elapsed_s, self.earlier_s + event.elapsed_s)
        )
        fields = event.fields
        match event.kind:
            case "started":
                return _started(self, event.attempt)
            case "turn":
                return dataclasses.replace(
                    moved, state="loading", place=None, started_at=self.started_at or event.at
                )
            case "step":
                return _stepped(moved, fields)
            case "unit_planned":
                return _unit(moved, fields, n_tokens=fields["n_tokens"])
            case "unit_started":
                return _begun(moved, fields)
            case "unit_progress":
                done = {key: fields[key] for key in ("samples_done", "tokens_done")}
                return _counted(_unit(moved, fields, **done))
            case "unit_saved":
                return _saved(moved, fields)
            case "unit_skipped":
                return _skipped(moved, fields)
            case "made":
                return dataclasses.replace(moved, made=(*self.made, Made(**fields)))
            case "note":
                notes = dict.fromkeys([*self.notes, fields["text"]])
                return dataclasses.replace(moved, notes=tuple(notes))
            case "ended":
                return _ended(moved, event)


def _started(before: Snapshot, attempt: int) -> Snapshot:
    """A new worker: what is saved stays, what was under way begins again."""
    units = tuple(
        unit
        if unit.state in ("saved", "skipped")
        else UnitProgress(
            folder=unit.folder,
            emotion=unit.emotion,
            n_samples=unit.n_samples,
            n_tokens=unit.n_tokens,
        )
        for unit in before.units
    )
    return dataclasses.replace(
        before,
        state="pending",
        attempt=attempt,
        units=units,
        step=None,
        error=None,
        ended_at=None,
        earlier_s=before.elapsed_s,
        loading_since=None,
        ready_s={},
        share=None,
        made=(),
    )


def _stepped(moved: Snapshot, fields: Mapping[str, Any]) -> Snapshot:
    folder, name = fields["model"], fields["step"]
    stated = {key: fields[key] for key in ("detail", "done", "total") if key in fields}
    step = StepProgress(name=name, folder=folder, **stated)
    if name == "load" and (moved.step is None or moved.step.name != "load"):
        moved = dataclasses.replace(moved, loading_since=moved.elapsed_s)
    if name == "save":
        moved = _changed(
            moved, lambda unit: (unit.folder, unit.state) == (folder, "running"), state="saving"
        )
    if fields.get("share") is not None:
        # A job has nothing to load: it works from its first step on.
        moved = dataclasses.replace(moved, state="running", share=fields["share"])
    return dataclasses.replace(moved, step=step)


def _begun(moved: Snapshot, fields: Mapping[str, Any]) -> Snapshot:
    folder, now = fields["model"], moved.elapsed_s
    if folder not in moved.ready_s:
        since = now if moved.loading_since is None else moved.loading_since
        # The first unit of a model: neither its loading nor what came before counts in the rate.
        moved = dataclasses.replace(
            moved,
            ready_s={**moved.ready_s, folder: now - since},
            counted=(now, moved.tokens_done),
        )
    fresh = {"samples_done": 0, "tokens_done": 0, "worker": fields.get("worker")}
    begun = _unit(moved, fields, state="running", started_s=now, **fresh)
    return dataclasses.replace(begun, state="running")


def _saved(moved: Snapshot, fields: Mapping[str, Any]) -> Snapshot:
    kept = {key: fields[key] for key in ("path", "size", "sha256", "seconds", "n_tokens")}
    done = {"samples_done": fields["n_samples"], "tokens_done": fields["n_tokens"]}
    return _counted(_unit(moved, fields, state="saved", **kept, **done))


def _skipped(moved: Snapshot, fields: Mapping[str, Any]) -> Snapshot:
    for unit in moved.units:
        # What an earlier attempt of this run saved keeps its figures.
        if _is(unit, fields) and unit.state != "saved":
            kept = {key: fields[key] for key in ("path", "reason")}
            return _unit(moved, fields, state="skipped", samples_done=unit.n_samples, **kept)
    return moved


def _ended(moved: Snapshot, event: Event) -> Snapshot:
    error = event.fields.get("error")
    return dataclasses.replace(
        moved,
        state=event.fields["state"],
        place=None,
        step=None,
        error=None if error is None else RunError(**error),
        ended_at=event.at,
    )


def _is(unit: UnitProgress, fields: Mapping[str, Any]) -> bool:
    return (unit.folder, unit.emotion) == (fields["model"], fields["emotion"])


def _unit(snapshot: Snapshot, fields: Mapping[str, Any], **changes: Any) -> Snapshot:
    return _changed(snapshot, lambda unit: _is(unit, fields), **changes)


def _changed(snapshot: Snapshot, which: Callable[[UnitProgress], bool], **changes: Any) -> Snapshot:
    units = (
        dataclasses.replace(unit, **changes) if which(unit) else unit for unit in snapshot.units
    )
    return dataclasses.replace(snapshot, units=tuple(units))


def _counted(snapshot: Snapshot) -> Snapshot:
    """The same with one more point of the history when the last is a second old."""
    then, tokens_then = snapshot.counted
    now, tokens_now = snapshot.elapsed_s, snapshot.tokens_done
    if now - then < _HISTORY_SPACING_S:
        return snapshot
    point = (round(now, 3), round((tokens_now - tokens_then) / (now - then), 3))
    return dataclasses.replace(
        snapshot,
        counted=(now, tokens_now),
        history=(*snapshot.history, point)[-HISTORY_POINTS:],
    )
