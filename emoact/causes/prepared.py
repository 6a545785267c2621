"""A checked question about causes: the run that answers it, its cost, and its saved result."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from emoact import numbers
from emoact.causes.saved import SavedCause, cause_id, read_cause
from emoact.decode import encode
from emoact.errors import EmoactError
from emoact.jobs.causes import CausesRequest
from emoact.jobs.config import JobConfig, new_run_id, now
from emoact.jobs.extract import run_and_wait
from emoact.jobs.queue import worker_slots
from emoact.jobs.rates import rate_key, read_rates
from emoact.models.alike import ModelRequest
from emoact.store.layout import ResultsRoot, check_id


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A checked request.

    Attributes:
        kind: Of the result, as in `SavedCause`.
        config: What `launch.start` takes.
        id: Name of the result.
        existing: The result that is on disk already, or None.
        cost: The cost in words.
    """

    kind: str
    config: JobConfig
    id: str
    existing: SavedCause | None
    cost: str


def run_name(run_id: str | None) -> str:
    """The name of a run that is asked for, or a new one.

    Raises:
        RequestError: The name is not allowed, or the limit on workers is no number.
    """
    worker_slots()
    return new_run_id() if run_id is None else check_id(run_id)


def prepared(
    root: ResultsRoot,
    kind: str,
    *,
    run_id: str,
    folder: str,
    emotions: Sequence[str],
    model: ModelRequest,
    work: Any,
    rests_on: dict[str, Any],
    command: str,
    cost: str,
) -> Prepared:
    """The run of a checked request, and the result where it is on disk already.

    Args:
        root: The results folder.
        kind: Of the result.
        run_id: Name of the run.
        folder: Folder of the model.
        emotions: Classes that it is about.
        model: The model.
        work: What the worker of this kind decodes.
        rests_on: What names the result.
        command: The shell command of the request.
        cost: The cost in words.
    """
    name = cause_id(kind, rests_on)
    return Prepared(
        kind=kind,
        config=JobConfig(
            kind="causes",
            run_id=run_id,
            created_at=now(),
            models=(folder,),
            emotions=tuple(emotions),
            results=os.path.realpath(root.path),
            request=encode(CausesRequest(what=kind, model=model, asked=encode(work))),
            command=command,
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
    reading = dataclasses.replace(model.options, generation=None)
    rate = read_rates().models.get(rate_key(model.folder, reading))
    if rate is None:
        return ""
    return f", about {numbers.duration(n_tokens / rate.tokens_per_s + rate.ready_s)}"
