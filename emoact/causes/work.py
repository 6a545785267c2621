"""Work of a run about causes, in the process that has its model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from emoact.causes import ablate, heads, lens, patterns, project, steer
from emoact.causes.ablate_run import found_ablations
from emoact.causes.direction_run import found_heads, found_lens, found_projections
from emoact.causes.loaded import Loaded, saved_model
from emoact.causes.patterns_run import found_patterns
from emoact.causes.saved import save_once
from emoact.causes.steer_run import found_effects
from emoact.decode import decode
from emoact.errors import EmoactError, RequestError
from emoact.extraction.engine import EngineFor
from emoact.jobs.causes import CausesRequest, causes_of
from emoact.jobs.config import AnyConfig
from emoact.jobs.reporter import RunReporter
from emoact.store.layout import ResultsRoot
from emoact.store.reading import read_named

KINDS: Mapping[str, tuple[type, Callable[[Loaded], dict[str, Any]]]] = {
    heads.KIND: (heads.HeadsWork, found_heads),
    lens.KIND: (lens.LensWork, found_lens),
    project.KIND: (project.ProjectWork, found_projections),
    patterns.KIND: (patterns.PatternsWork, found_patterns),
    ablate.KIND: (ablate.AblateWork, found_ablations),
    steer.KIND: (steer.SteerWork, found_effects),
}
"""The task and the function that does it, by `what` of a request."""


def work_causes(config: AnyConfig, reporter: RunReporter, engine_for: EngineFor) -> None:
    """Compute and save what a run about causes asks for, unless it is on disk.

    Raises:
        CancelledError: The reporter was asked to stop.
        EmoactError: The model or the disk failed, or the files are not what they were.
    """
    request = causes_of(config)
    if request.what not in KINDS:
        raise RequestError(f"run {config.run_id!r} asks for {request.what!r:.40}, unknown here")
    try:
        _work(ResultsRoot(config.results), request, reporter, engine_for)
    except RequestError as error:
        # A fault that only the model or the content of a file shows is no wrong request.
        raise EmoactError(error.message, remedy=error.remedy) from error


def _work(
    root: ResultsRoot, request: CausesRequest, reporter: RunReporter, engine_for: EngineFor
) -> None:
    task, find = KINDS[request.what]
    work: Any = decode(task, request.asked, where=f"the request for {request.what}")
    units = [read_named(root, work.folder, name) for name in work.units]

    def found() -> dict[str, Any]:
        engine = saved_model(units, request, reporter, engine_for)
        dtype = request.model.options.dtype
        asked = Loaded(
            root=root, units=units, work=work, dtype=dtype, reporter=reporter, engine=engine
        )
        known = {"model": work.folder, "random_weights": engine.facts.random_weights}
        return {**known, **find(asked)}

    save_once(root, request.what, work.rests_on(units), reporter, found)
