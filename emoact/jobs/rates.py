"""Speed of each model on this machine, learnt from runs, and the remaining time of a run."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from emoact.decode import decode, encode, read_json
from emoact.errors import EmoactError, RequestError
from emoact.jobs.config import AnyConfig, RunConfig
from emoact.jobs.machine import machine_id
from emoact.jobs.snapshot import Snapshot
from emoact.models.cache import cache_root
from emoact.models.registry import split_configured
from emoact.schema import ExtractionOptions
from emoact.store.atomic import lock_held, write_json

_MAX_BYTES = 10_000_000
_PATIENCE_S = 10.0
_NEW_WEIGHT = 0.5
_DONE = ("saved", "skipped")
_FIRST_SHARE = 0.1
"""Share of a job below which its remaining time is not estimated."""


@dataclass(frozen=True, kw_only=True)
class Rate:
    """Measured speed of one model.

    Attributes:
        tokens_per_s: Of whole units, saving included.
        ready_s: Loading and checking.
        runs: Number of runs that it was learnt from.
    """

    tokens_per_s: float
    ready_s: float
    runs: int


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Everything learnt so far. `models`: by `rate_key`."""

    models: Mapping[str, Rate] = field(default_factory=dict)


def rate_key(folder: str, options: ExtractionOptions) -> str:
    """Key of a rate: the kind of machine, the model, precision and device, and if it writes.

    Writing a response takes several times as long as reading it.
    """
    writes = "" if options.generation is None else "/responses"
    return f"{machine_id()}/{split_configured(folder)[0]}/{options.dtype}/{options.device}{writes}"


def read_rates() -> Rates:
    """Rates in the cache; empty where the file is missing or damaged."""
    try:
        return decode(Rates, read_json(_path(), limit=_MAX_BYTES), ignore_unknown=True)
    except RequestError:
        return Rates()


def learn(config: RunConfig, snapshot: Snapshot) -> None:
    """Improve the rates by what an attempt measured; a cache that cannot be written is no error."""
    lock = _path().with_name(".rates.lock")
    # Two runs that end together are both recorded.
    with suppress(OSError, EmoactError), lock_held(lock, patience_s=_PATIENCE_S):
        models = dict(read_rates().models)
        for folder, ready_s in snapshot.ready_s.items():
            done = [unit for unit in snapshot.units if unit.folder == folder and unit.seconds]
            seconds = sum(unit.seconds or 0.0 for unit in done if unit.state == "saved")
            tokens = sum(unit.tokens_done for unit in done if unit.state == "saved")
            if tokens and seconds:
                key = rate_key(folder, config.options)
                models[key] = _mixed(models.get(key), tokens / seconds, ready_s)
        write_json(_path(), encode(Rates(models=models)), durable=False)


def _mixed(old: Rate | None, tokens_per_s: float, ready_s: float) -> Rate:
    if old is None:
        return Rate(tokens_per_s=tokens_per_s, ready_s=ready_s, runs=1)
    return Rate(
        tokens_per_s=old.tokens_per_s + _NEW_WEIGHT * (tokens_per_s - old.tokens_per_s),
        # A model that was warm says nothing about the time that loading takes.
        ready_s=old.ready_s + _NEW_WEIGHT * (ready_s - old.ready_s) if ready_s else old.ready_s,
        runs=old.runs + 1,
    )


def _path() -> Path:
    return cache_root() / "rates.json"


def remaining_seconds(snapshot: Snapshot, config: AnyConfig | None) -> float | None:
    """Working seconds that are left, or None before there is a rate.

    A model that has not begun is assumed slower in proportion to its parameters. Units whose tokens
    are not counted yet are assumed to have the mean number of tokens of the counted prompts.
    """
    if not isinstance(config, RunConfig):
        share = snapshot.share or 0.0
        worked = snapshot.elapsed_s - snapshot.earlier_s
        return worked * (1 - share) / share if share >= _FIRST_SHARE else None
    rates = _rates(snapshot)
    per_prompt = _tokens_per_prompt(snapshot)
    if not rates or per_prompt is None:
        return None
    sizes = {model.folder: model.n_parameters for model in config.models}
    known_ready = list(snapshot.ready_s.values())
    left, to_load = 0.0, set()
    for unit in snapshot.units:
        if unit.state in _DONE:
            continue
        n_tokens = unit.n_tokens or unit.n_samples * per_prompt
        left += max(0.0, n_tokens - unit.tokens_done) / _rate(unit.folder, rates, sizes)
        if unit.folder not in snapshot.ready_s:
            to_load.add(unit.folder)
    ready = sum(known_ready) / len(known_ready) if known_ready else 0.0
    return left + ready * len(to_load)


def _rates(snapshot: Snapshot) -> dict[str, float]:
    """Tokens per second of each model that has computed something in this attempt."""
    tokens: dict[str, float] = {}
    seconds: dict[str, float] = {}
    for unit in snapshot.units:
        spent = None if unit.state == "skipped" else unit.spent_s(snapshot.elapsed_s)
        if unit.folder in snapshot.ready_s and spent and unit.tokens_done:
            tokens[unit.folder] = tokens.get(unit.folder, 0.0) + unit.tokens_done
            seconds[unit.folder] = seconds.get(unit.folder, 0.0) + spent
    return {folder: tokens[folder] / seconds[folder] for folder in tokens}


def _rate(folder: str, rates: Mapping[str, float], sizes: Mapping[str, int | None]) -> float:
    if folder in rates:
        return rates[folder]
    known = [(rate, sizes.get(other)) for other, rate in rates.items()]
    own = sizes.get(folder)
    # Work per token grows with the number of parameters.
    scaled = [rate * size / own if size and own else rate for rate, size in known]
    return sum(scaled) / len(scaled)


def _tokens_per_prompt(snapshot: Snapshot) -> float | None:
    counted = [(unit.n_tokens, unit.n_samples) for unit in snapshot.units if unit.n_tokens]
    samples = sum(n_samples for _, n_samples in counted)
    return sum(n_tokens for n_tokens, _ in counted) / samples if samples else None
