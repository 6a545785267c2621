"""How fast this machine computes which model, learnt from runs: `rates.json` in the cache."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from emoact.errors import EmoactError, RequestError
from emoact.jobs.config import RunConfig
from emoact.jobs.decode import decode
from emoact.jobs.machine import machine_id
from emoact.jobs.snapshot import Snapshot
from emoact.models.cache import cache_root
from emoact.store.atomic import write_json

_MAX_BYTES = 10_000_000
_NEW_WEIGHT = 0.5
_OUTCOMES = 50


@dataclass(frozen=True, kw_only=True)
class Rate:
    """What was measured of one model.

    Attributes:
        tokens_per_s: Of whole units, saving included.
        ready_s: Loading and checking.
        runs: Number of runs that it was learnt from.
    """

    tokens_per_s: float
    ready_s: float
    runs: int


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """An estimate beside the truth.

    Attributes:
        run_id: The run.
        models: Folders of its models.
        estimated_s: Seconds expected before the start.
        actual_s: Seconds it took.
    """

    run_id: str
    models: tuple[str, ...]
    estimated_s: float
    actual_s: float

    @property
    def ratio(self) -> float:
        """Actual over estimated: 1.2 means that it took a fifth longer than said."""
        return self.actual_s / self.estimated_s


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Everything learnt so far.

    Attributes:
        models: By `rate_key`.
        outcomes: Of the latest runs, oldest first.
    """

    models: Mapping[str, Rate] = field(default_factory=dict)
    outcomes: tuple[Outcome, ...] = ()


def rate_key(folder: str, *, dtype: str, device: str) -> str:
    """What a rate belongs to: this kind of machine, a model, and how it computes."""
    return f"{machine_id()}/{folder}/{dtype}/{device}"


def read_rates() -> Rates:
    """What was learnt; nothing where the file is missing or damaged."""
    try:
        content = json.loads(_path().read_bytes()[:_MAX_BYTES])
        return decode(Rates, content)
    except (OSError, ValueError, RecursionError, RequestError):
        return Rates()


def last_outcome(folders: frozenset[str] | None = None) -> Outcome | None:
    """The latest finished run that was estimated, of just these models where given."""
    for outcome in reversed(read_rates().outcomes):
        if folders is None or frozenset(outcome.models) == folders:
            return outcome
    return None


def learn(config: RunConfig, snapshot: Snapshot) -> None:
    """Improve the rates by what an attempt measured; a cache that cannot be written is no error."""
    with suppress(OSError, EmoactError), _alone():
        rates = read_rates()
        models = dict(rates.models)
        for folder, ready_s in snapshot.ready_s.items():
            done = [unit for unit in snapshot.units if unit.folder == folder and unit.seconds]
            seconds = sum(unit.seconds or 0.0 for unit in done if unit.state == "saved")
            tokens = sum(unit.tokens_done for unit in done if unit.state == "saved")
            if tokens and seconds:
                key = rate_key(folder, dtype=config.options.dtype, device=config.options.device)
                models[key] = _mixed(models.get(key), tokens / seconds, ready_s)
        outcomes = (*rates.outcomes, *_outcome(config, snapshot))[-_OUTCOMES:]
        new = Rates(models=models, outcomes=outcomes)
        write_json(_path(), dataclasses.asdict(new), durable=False)


def _mixed(old: Rate | None, tokens_per_s: float, ready_s: float) -> Rate:
    if old is None:
        return Rate(tokens_per_s=tokens_per_s, ready_s=ready_s, runs=1)
    return Rate(
        tokens_per_s=old.tokens_per_s + _NEW_WEIGHT * (tokens_per_s - old.tokens_per_s),
        # A model that was warm says nothing about the time that loading takes.
        ready_s=old.ready_s + _NEW_WEIGHT * (ready_s - old.ready_s) if ready_s else old.ready_s,
        runs=old.runs + 1,
    )


def _outcome(config: RunConfig, snapshot: Snapshot) -> tuple[Outcome, ...]:
    estimate = config.estimate
    whole = snapshot.attempt == 1 and all(
        unit.state in ("saved", "skipped") for unit in snapshot.units
    )
    if estimate is None or not whole or estimate.seconds <= 0 or snapshot.elapsed_s <= 0:
        return ()
    return (
        Outcome(
            run_id=config.run_id,
            models=tuple(model.folder for model in config.models),
            estimated_s=estimate.seconds,
            actual_s=snapshot.elapsed_s,
        ),
    )


def _path() -> Path:
    return cache_root() / "rates.json"


@contextmanager
def _alone() -> Iterator[None]:
    """Two runs that end together do not forget one another."""
    path = _path().with_name(".rates.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
