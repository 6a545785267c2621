"""One call from models and a data set to files, for notebooks; the work happens in a worker."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from emoact.decode import decode, encode
from emoact.errors import CancelledError, EmoactError
from emoact.jobs.config import AnyConfig
from emoact.jobs.control import cancel
from emoact.jobs.launch import start
from emoact.jobs.progress import read_run
from emoact.jobs.request import ExtractRequest, prepare
from emoact.schema import ExtractionOptions
from emoact.store.layout import ResultsRoot

_POLL_S = 0.2


def extract(
    models: str | Sequence[str] = ("smollm2-135m",),
    dataset: str | os.PathLike[str] = "data/prompts.jsonl",
    results: str | os.PathLike[str] = "results",
    *,
    emotions: Sequence[str] | None = None,
    overwrite: bool = False,
    allow_pickle_weights: bool = False,
    assume_yes: bool = False,
    **options: Any,
) -> list[Path]:
    """Extract in a worker process and wait for it; returns the paths of the units asked for.

    The run shows in the dashboard as any other, and units that are on disk are not computed again.

    Args:
        models: Short names, hub ids, directories or `.gguf` files.
        dataset: A file of labelled prompts.
        results: Results root.
        emotions: Labels to extract; all of them by default.
        overwrite: Replace files of another configuration.
        allow_pickle_weights: Load weights that are stored as pickles.
        assume_yes: Download more than 200 MB, and accept terms of use, without asking.
        options: Fields of `ExtractionOptions`, such as `bos="none"`.

    Raises:
        RequestError: The request is wrong; nothing was started.
        CancelledError: The run was cancelled.
        EmoactError: The run failed; says why.
    """
    config = prepare(
        ExtractRequest(
            models=(models,) if isinstance(models, str) else tuple(models),
            dataset=dataset,
            results=results,
            emotions=None if emotions is None else tuple(emotions),
            options=decode(ExtractionOptions, encode(options)),
            overwrite=overwrite,
            allow_pickle_weights=allow_pickle_weights,
            assume_yes=assume_yes,
        )
    )
    run_and_wait(config)
    root = ResultsRoot(results)
    return [root.unit_path(model.folder, part.label) for model, part in config.units]


def run_and_wait(config: AnyConfig) -> None:
    """Start a run and wait for its end; Ctrl-C cancels it.

    Raises:
        RequestError: It cannot be started.
        CancelledError: It was cancelled.
        EmoactError: It failed; says why.
    """
    run_id = start(config).run_id
    try:
        _wait(config.results, run_id)
    except KeyboardInterrupt:
        cancel(config.results, run_id, wait=True)
        raise


def _wait(results: str, run_id: str) -> None:
    while True:
        view = read_run(results, run_id)
        if view.state == "finished":
            return
        if view.state == "cancelled":
            raise CancelledError(f"run {run_id} was cancelled")
        if view.state in ("failed", "crashed"):
            why = view.error.message if view.error is not None else "its log says more"
            remedy = view.error.remedy if view.error is not None else None
            raise EmoactError(f"run {run_id} {view.state}: {why}", remedy=remedy)
        time.sleep(_POLL_S)
