"""Work of a run about causes, in the process that has its model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from emoact.causes.ablate import ABLATE
from emoact.causes.ablate_run import found_ablations
from emoact.causes.direction_run import found_heads, found_lens, found_projections
from emoact.causes.heads import HEADS
from emoact.causes.lens import LENS
from emoact.causes.loaded import Loaded, saved_model
from emoact.causes.patterns import PATTERNS
from emoact.causes.patterns_run import found_patterns
from emoact.causes.prepared import Kind
from emoact.causes.project import PROJECT
from emoact.causes.saved import save_once
from emoact.causes.steer import STEER
from emoact.causes.steer_run import found_effects
from emoact.decode import decode
from emoact.errors import EmoactError, RequestError
from emoact.extraction.engine import EngineFor
from emoact.jobs.causes import CausesRequest, causes_of
from emoact.jobs.config import AnyConfig
from emoact.jobs.reporter import RunReporter
from emoact.store.layout import ResultsRoot
from emoact.store.reading import read_named

_WORK: tuple[tuple[Kind[Any], Callable[[Loaded], dict[str, Any]]], ...] = (
    (HEADS, found_heads),
    (LENS, found_lens),
    (PROJECT, found_projections),
    (PATTERNS, found_patterns),
    (ABLATE, found_ablations),
    (STEER, found_effects),
)
"""Every kind of question, and the function that answers it."""


@dataclass(frozen=True, kw_only=True)
class _Files:
    """Files of a run: the folder under `activations`, and their names."""

    folder: str
    units: tuple[str, ...]


def work_causes(config: AnyConfig, reporter: RunReporter, engine_for: EngineFor) -> None:
    """Compute and save what a run about causes asks for, unless it is on disk.

    Raises:
        CancelledError: The reporter was asked to stop.
        EmoactError: The model or the disk failed, or the files are not what they were.
    """
    request = causes_of(config)
    if request.what not in {kind.name for kind, _ in _WORK}:
        raise RequestError(f"run {config.run_id!r} asks for {request.what!r:.40}, unknown here")
    try:
        _work(ResultsRoot(config.results), request, reporter, engine_for)
    except RequestError as error:
        # A fault that only the model or the content of a file shows is no wrong request.
        raise EmoactError(error.message, remedy=error.remedy) from error


def _work(
    root: ResultsRoot, request: CausesRequest, reporter: RunReporter, engine_for: EngineFor
) -> None:
    kind, find = next(each for each in _WORK if each[0].name == request.what)
    where = f"the request for {request.what}"
    files = decode(_Files, request.asked, where=where, ignore_unknown=True)
    own = {name: each for name, each in request.asked.items() if name not in ("folder", "units")}
    own |= {"results": str(root.path), "model": files.folder}
    asked: Any = decode(kind.request, own, where=where)
    units = [read_named(root, files.folder, name) for name in files.units]

    def found() -> dict[str, Any]:
        engine = saved_model(units, request, reporter, engine_for)
        dtype = request.model.options.dtype
        loaded = Loaded(
            root=root, units=units, request=asked, dtype=dtype, reporter=reporter, engine=engine
        )
        known = {"model": files.folder, "random_weights": engine.facts.random_weights}
        return {**known, **find(loaded)}

    save_once(root, request.what, kind.basis(asked, units), reporter, found)
