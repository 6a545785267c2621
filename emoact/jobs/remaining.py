"""How long a run will still take, from what it has done so far."""

from __future__ import annotations

from collections.abc import Mapping

from emoact.jobs.config import RunConfig
from emoact.jobs.kinds import AnyConfig
from emoact.jobs.snapshot import Snapshot, UnitProgress

_DONE = ("saved", "skipped")
_FIRST_SHARE = 0.1
"""Less of a job says too little about the rest of it."""


def remaining_seconds(snapshot: Snapshot, config: AnyConfig | None) -> float | None:
    """Working seconds that are left, or None before there is a rate.

    A model that has not begun is taken to be as much slower as it has more parameters; units whose
    tokens are not counted yet, to have as many tokens a prompt as those that are.
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
        spent = _seconds(unit, snapshot)
        if unit.folder in snapshot.ready_s and spent and unit.tokens_done:
            tokens[unit.folder] = tokens.get(unit.folder, 0.0) + unit.tokens_done
            seconds[unit.folder] = seconds.get(unit.folder, 0.0) + spent
    return {folder: tokens[folder] / seconds[folder] for folder in tokens}


def _seconds(unit: UnitProgress, snapshot: Snapshot) -> float | None:
    if unit.state == "skipped":
        return None
    if unit.seconds is not None:
        return unit.seconds
    return None if unit.started_s is None else snapshot.elapsed_s - unit.started_s


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
