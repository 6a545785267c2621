"""A run as pages and terminals show it; built by `progress`, never changed."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from emoact.decode import encode
from emoact.jobs.config import AnyConfig, Estimate, RunKind
from emoact.jobs.executor import can
from emoact.jobs.snapshot import (
    ACTIVE,
    RESUMABLE,
    Made,
    RunError,
    State,
    StepProgress,
    UnitProgress,
)


@dataclass(frozen=True, kw_only=True)
class UnitView(UnitProgress):
    """One unit as a page shows it."""

    model: str
    samples_per_s: float | None = None
    tokens_per_s: float | None = None

    @property
    def done(self) -> bool:
        """True when the file is on disk."""
        return self.state in ("saved", "skipped")


@dataclass(frozen=True, kw_only=True)
class StepView(StepProgress):
    """Work in progress as a page shows it; `model` is empty where no single one is at work."""

    model: str


@dataclass(frozen=True, kw_only=True)
class ErrorView(RunError):  # noqa: N818 - no exception
    """Reason why a run failed or crashed."""

    log_tail: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """A row of the table of runs; cheap to make.

    Attributes:
        kind: `extract`, or what else the run does; `extract` when the config cannot be read.
        place: 1 for the next in the queue, None when not pending.
        models: Their names on screen, in order; empty when the config cannot be read.
        emotions: In order; empty when the config cannot be read.
        what: Of a run about causes: `steer`, `ablate` or `heads`; else empty.
        dataset: Path as the user gave it, or empty.
        started_at: When the worker got its turn, ISO 8601, or None.
        elapsed_s: Working time over all attempts, by a clock that never jumps.
        share: How much of the work is done, 0 to 1, or None where that is not known.
        samples_done: Over all units, files that were there already included; 0 for jobs.
        n_samples: Over all units; 0 for jobs.
        samples_per_s: Mean over the units that this run computed, or None.
        size: Bytes of the files that this run wrote.
        cancel_requested: True from the request until the run has ended.
    """

    id: str
    kind: RunKind = "extract"
    what: str = ""
    state: State
    place: int | None = None
    models: tuple[str, ...] = ()
    emotions: tuple[str, ...] = ()
    dataset: str = ""
    created_at: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    elapsed_s: float | None = None
    share: float | None = None
    samples_done: int = 0
    n_samples: int = 0
    samples_per_s: float | None = None
    tokens_per_s: float | None = None
    size: int = 0
    problem: str | None = None
    cancel_requested: bool = False
    executor: str = "local"

    @property
    def active(self) -> bool:
        """True while a worker runs."""
        return self.state in ACTIVE

    @property
    def can_cancel(self) -> bool:
        """True while a worker runs that can be stopped and has not been asked to."""
        return self.active and not self.cancel_requested and can(self.executor, "cancel")

    @property
    def can_resume(self) -> bool:
        """True when `resume` would start a worker."""
        ended = self.state in RESUMABLE and self.created_at is not None
        return ended and can(self.executor, "resume")

    @property
    def can_delete(self) -> bool:
        """True when no worker runs."""
        return not self.active

    def to_json(self) -> dict[str, Any]:
        """A mapping of plain scalars and lists."""
        return dict(encode(self))


@dataclass(frozen=True, kw_only=True)
class RunView:
    """One run as a page shows it.

    Attributes:
        step: Work in progress; None when no worker runs.
        units: Every (model, emotion), models in order, emotions in order; none for jobs.
        n_tokens: Over all units, or None before every model's tokenizer has counted.
        remaining_s: None until there is a rate, and when the run has ended.
        history: (elapsed seconds, tokens/s), the last 120 points.
        estimate_ratio: Elapsed over expected seconds, once the run has finished in one go.
        attempt: 1, and one more with every resume.
        silent_s: Seconds since the worker's last heartbeat while it holds its lock, or None.
    """

    summary: RunSummary
    config: AnyConfig | None
    step: StepView | None
    units: tuple[UnitView, ...]
    n_tokens: int | None
    tokens_done: int
    remaining_s: float | None
    history: tuple[tuple[float, float], ...]
    notes: tuple[str, ...]
    error: ErrorView | None
    estimate: Estimate | None
    estimate_ratio: float | None
    attempt: int
    silent_s: float | None
    problems: tuple[str, ...]
    made: tuple[Made, ...] = ()

    @property
    def id(self) -> str:
        """Name of the run directory."""
        return self.summary.id

    @property
    def state(self) -> State:
        """State by lock and files."""
        return self.summary.state

    @property
    def written(self) -> tuple[UnitView, ...]:
        """The units that this run wrote."""
        return tuple(unit for unit in self.units if unit.state == "saved")

    def to_json(self) -> dict[str, Any]:
        """A mapping of plain scalars, lists and mappings."""
        fields = encode(dataclasses.replace(self, config=None))
        for unit in fields["units"]:
            del unit["started_s"]
        config = None if self.config is None else self.config.to_json()
        return {**fields.pop("summary"), **fields, "config": config}
