"""A checked question about causes: the run that answers it, its cost, and its saved result."""

from __future__ import annotations

import dataclasses
import functools
import os
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from emoact import numbers
from emoact.causes.chosen import CauseRequest
from emoact.causes.saved import SavedCause, cause_id, read_cause
from emoact.causes.steering import N_DRAWN, N_TOP, WIDER
from emoact.decode import encode
from emoact.errors import EmoactError
from emoact.jobs.causes import CausesRequest
from emoact.jobs.config import JobConfig, new_run_id, now
from emoact.jobs.extract import run_and_wait
from emoact.jobs.machine import cores
from emoact.jobs.queue import worker_slots
from emoact.jobs.rates import Rate, rate_key, read_rates
from emoact.models.alike import ModelRequest
from emoact.store.layout import ResultsRoot, check_id
from emoact.store.unit import Unit

_EFFICIENCY = 0.75
"""Share of the speed of a matrix product in sweeps: .93 (SmolLM2) and .59 (Gemma 3)."""
_READY_S = 10.0
_SIDE, _PRODUCTS = 64, 100
"""Of the products by which the speed is measured: small enough for one thread of their library."""


@runtime_checkable
class Work(Protocol):
    """Task of a run."""

    def rests_on(self, units: Sequence[Unit]) -> dict[str, Any]:
        """Basis of its result, which names it."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A checked request."""

    kind: str
    config: JobConfig
    id: str
    existing: SavedCause | None
    cost: str


def prepared(
    kind: str,
    request: CauseRequest,
    units: Sequence[Unit],
    model: ModelRequest,
    *,
    work: Work,
    words: Sequence[str],
    cost: str,
    emotions: Sequence[str] | None = None,
) -> Prepared:
    """The run of a checked request, and the result where it is on disk already.

    `words` are those of its shell command, without what the model itself needs. `emotions` are the
    classes that it is about; None for those of the files.

    Raises:
        RequestError: The name of the run is not allowed, or the limit on workers is no number.
    """
    worker_slots()
    root, name = request.root, cause_id(kind, work.rests_on(units))
    labels = tuple(unit.emotion for unit in units) if emotions is None else tuple(emotions)
    own = ["--allow-pickle-weights"] if model.allow_pickle_weights else []
    return Prepared(
        kind=kind,
        config=JobConfig(
            kind="causes",
            run_id=new_run_id() if request.run_id is None else check_id(request.run_id),
            created_at=now(),
            models=(units[0].folder,),
            emotions=labels,
            results=os.path.realpath(root.path),
            request=encode(CausesRequest(what=kind, model=model, asked=encode(work))),
            command=shlex.join(["python", "-m", "emoact", *words, *own]),
            needs_model=True,
        ),
        id=name,
        existing=read_cause(root, kind, name),
        cost=cost,
    )


def result_of(asked: Prepared) -> SavedCause:
    """The result of a request; a model host computes what is not saved.

    Raises:
        CancelledError: The run was cancelled.
        EmoactError: The run failed; says why.
    """
    if asked.existing is not None:
        return asked.existing
    run_and_wait(asked.config)
    saved = read_cause(ResultsRoot(asked.config.results), asked.kind, asked.id)
    if saved is None:
        raise EmoactError(f"the result {asked.id} is gone")
    return saved


def time_of(n_tokens: float, model: ModelRequest) -> str:
    """`, about 3 min` for this many tokens; empty where the speed of the model is not known."""
    rate = _rate_of(model)
    if rate is None:
        return ""
    return f", about {numbers.duration(n_tokens / rate.tokens_per_s + rate.ready_s)}"


def time_of_passes(n_multiplied: float, model: ModelRequest) -> str:
    """`, about 9 min on 2 cores` for passes that write nothing; empty where a GPU is asked for.

    Rates of extractions say little about them: an extraction also writes what it computes.
    """
    if model.options.device not in ("auto", "cpu"):
        return ""
    rate = _rate_of(model)
    ready_s = _READY_S if rate is None else min(rate.ready_s, _READY_S)
    n_cores = cores()
    seconds = n_multiplied / (_EFFICIENCY * n_cores * _multiplied_per_s())
    return f", about {numbers.duration(seconds + ready_s)} on {numbers.plural(n_cores, 'core')}"


def _rate_of(model: ModelRequest) -> Rate | None:
    """Speed at which the model reads."""
    reading = dataclasses.replace(model.options, generation=None)
    return read_rates().models.get(rate_key(model.folder, reading))


def multiplied(unit: Unit, layer: int) -> float:
    """Multiplications for one token in the layers from one on and in the unembedding.

    The layers are assumed to have attention of the usual width and an MLP of four times d_model.
    """
    d_model, n_layers = unit.d_model, unit.n_layers
    n_vocabulary = int(unit.metadata.get("d_vocab") or 50_000)
    body, last = 12.0 * d_model**2 * (n_layers - layer), float(d_model * n_vocabulary)
    if n_vocabulary >= WIDER * (N_TOP + N_DRAWN):
        # The candidates' rows are copied first; about one state in eight needs all logits.
        last = 2.0 * d_model * (N_TOP + N_DRAWN) + last / 8
    return body + last


@functools.cache
def _multiplied_per_s() -> float:
    """Multiplications of matrix products in a second of one core, other work left out."""
    side = np.ones((_SIDE, _SIDE), np.float32)
    best = float("inf")
    for _ in range(5):
        began = time.thread_time()
        for _ in range(_PRODUCTS):
            side @ side
        best = min(best, time.thread_time() - began)
    return _PRODUCTS * _SIDE**3 / max(best, 1e-9)
