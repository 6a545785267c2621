"""The process of one extraction.

Started by `emoact.jobs.launch` as `python -m emoact.extraction.worker RUN_DIR --lock-fd N`.
Torch is imported below `run_units`, once the run's turn has come.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from emoact.errors import RequestError
from emoact.extraction.pipeline import EngineFor, bridge_engine, run_units
from emoact.jobs.attempt import leave, run_worker
from emoact.jobs.config import RunConfig
from emoact.jobs.directory import RunDirectory
from emoact.jobs.frozen import FrozenChoices
from emoact.jobs.kinds import AnyConfig
from emoact.jobs.rates import learn
from emoact.jobs.reporter import RunReporter

SUMMARISER = "emoact.store.summaries.writing"
"""What measures the files of a results folder; run by name, since it stands above the runs."""


def main(argv: Sequence[str] | None = None, *, engine_for: EngineFor = bridge_engine) -> int:
    """Work an extraction off; returns the exit code of the command line's conventions.

    Args:
        argv: Run directory and lock; those of the process when None.
        engine_for: Loads a model; tests give a stand-in.
    """

    def extract(directory: RunDirectory, config: AnyConfig, reporter: RunReporter) -> None:
        if not isinstance(config, RunConfig):
            raise RequestError(f"run {config.run_id!r} is no extraction but {config.kind!r}")
        try:
            run_units(
                config,
                reporter=reporter,
                plans=FrozenChoices(directory.plan_path),
                engine_for=engine_for,
            )
        finally:
            learn(config, reporter.snapshot)

    return run_worker(argv, extract, module="emoact.extraction.worker")


def become_summariser(run_directory: str) -> None:
    """Measure what was saved for the pages, as another process with this one's number.

    The run has ended by then: the next one begins, torch's memory is given back, and if this fails,
    the first page that needs the measures makes them.
    """
    results = Path(run_directory).absolute().parent.parent
    with contextlib.suppress(OSError):
        command = [sys.executable, "-P", "-m", SUMMARISER, os.fspath(results)]
        os.execv(sys.executable, command)  # noqa: S606 - our own module, no shell wanted


if __name__ == "__main__":
    ended = main()
    if ended == os.EX_OK:
        become_summariser(sys.argv[1])
    leave(ended)
