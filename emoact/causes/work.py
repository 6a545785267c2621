"""Work of a run about causes, in the process that has its model."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from emoact.causes.ablate_run import run_ablate
from emoact.causes.heads_run import run_heads
from emoact.causes.lens_run import run_lens
from emoact.causes.patterns_run import run_patterns
from emoact.causes.project_run import run_project
from emoact.causes.steer_run import run_steer
from emoact.errors import EmoactError, RequestError
from emoact.extraction.engine import EngineFor
from emoact.jobs.causes import CausesRequest, causes_of
from emoact.jobs.config import AnyConfig
from emoact.jobs.reporter import RunReporter
from emoact.store.layout import ResultsRoot

Work = Callable[[ResultsRoot, CausesRequest, RunReporter, EngineFor], None]
"""Computes what is asked for, saves it and tells the reporter what was made."""

WORKS: Mapping[str, Work] = {
    "heads": run_heads,
    "lens": run_lens,
    "project": run_project,
    "attention": run_patterns,
    "ablate": run_ablate,
    "steer": run_steer,
}
"""The work of every `what` of a request."""


def work_causes(config: AnyConfig, reporter: RunReporter, engine_for: EngineFor) -> None:
    """Do what a run about causes asks for.

    Raises:
        CancelledError: The reporter was asked to stop.
        EmoactError: The model or the disk failed, or the files are not what they were.
    """
    request = causes_of(config)
    if request.what not in WORKS:
        raise RequestError(f"run {config.run_id!r} asks for {request.what!r:.40}, unknown here")
    try:
        WORKS[request.what](ResultsRoot(config.results), request, reporter, engine_for)
    except RequestError as error:
        # A fault that only the model or the content of a file shows is no wrong request.
        raise EmoactError(error.message, remedy=error.remedy) from error
