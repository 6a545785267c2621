"""A checked question about causes: the run that answers it, its cost, and its saved result."""

from __future__ import annotations

import dataclasses
import functools
import os
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from emoact import numbers
from emoact.causes.asked import asked_by, words_of
from emoact.causes.chosen import CauseRequest, named_by
from emoact.causes.saved import SavedCause, cause_id, read_cause, saved_causes
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

if TYPE_CHECKING:
    import pandas as pd

Request = TypeVar("Request", bound=CauseRequest)

_EFFICIENCY = 0.75
"""Share of the speed of a matrix product in sweeps: .93 (SmolLM2) and .59 (Gemma 3)."""
_READY_S = 10.0
_SIDE, _PRODUCTS = 64, 100
"""Of the products by which the speed is measured: small enough for one thread of their library."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A checked request."""

    kind: str
    config: JobConfig
    id: str
    existing: SavedCause | None
    cost: str


@dataclass(frozen=True, kw_only=True)
class Kind(Generic[Request]):
    """One kind of question about causes.

    Attributes:
        name: Name of its command and of its files.
        version: Raised when a figure changes.
        request: What is asked.
        check: From a request and its units: the request with every default filled in, the model,
            and the cost in words. Raises `RequestError` for what cannot be answered.
        table: The rows of a result.
        sentences: The answer of a result, each sentence with its figures.
        rests_on: What its results rest on beside the question.
    """

    name: str
    version: int
    request: type[Request]
    check: Callable[[Request, Sequence[Unit]], tuple[Request, ModelRequest, str]]
    table: Callable[[SavedCause], pd.DataFrame]
    sentences: Callable[[SavedCause], list[str]]
    rests_on: Mapping[str, Any] = field(default_factory=dict)

    def basis(self, request: Request, units: Sequence[Unit]) -> dict[str, Any]:
        """Basis of the result of a checked request, which names it."""
        return {**named_by(self.version, units, request), **self.rests_on}

    def prepare(self, request: Request) -> Prepared:
        """The run of a request, and the result where it is on disk; writes nothing.

        Raises:
            RequestError: A name is unknown, a layer is out of range, the files do not hold what is
                asked of them or do not say how they were made, their model is not installed, or
                the name of the run is not allowed.
        """
        units = request.units()
        request, model, cost = self.check(request, units)
        worker_slots()
        root, name = request.root, cause_id(self.name, self.basis(request, units))
        folder, files = units[0].folder, [unit.path.name for unit in units]
        work = {"folder": folder, "units": files, **request.own}
        words = [self.name, *words_of(dataclasses.replace(request, model=request.model or folder))]
        words += ["--allow-pickle-weights"] if model.allow_pickle_weights else []
        return Prepared(
            kind=self.name,
            config=JobConfig(
                kind="causes",
                run_id=new_run_id() if request.run_id is None else check_id(request.run_id),
                created_at=now(),
                models=(folder,),
                emotions=request.about or tuple(unit.emotion for unit in units),
                results=os.path.realpath(root.path),
                request=encode(CausesRequest(what=self.name, model=model, asked=work)),
                command=shlex.join(["python", "-m", "emoact", *words]),
                needs_model=True,
            ),
            id=name,
            existing=read_cause(root, self.name, name),
            cost=cost,
        )

    def words(self, saved: SavedCause) -> list[str]:
        """Words of the shell command of a result; after `python -m emoact`."""
        held = {**saved.rests_on, **saved.found, "results": str(saved.results)}
        return [self.name, *words_of(asked_by(self.request, held))]

    def saved(self, root: ResultsRoot) -> tuple[SavedCause, ...]:
        """Results with the figures of this version, newest first."""
        return saved_causes(root, self.name, version=self.version)


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
