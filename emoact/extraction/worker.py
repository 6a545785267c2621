"""One extraction run in this process.

Torch is imported below `run_units`, when the run's turn has come.
"""

from __future__ import annotations

from collections.abc import Sequence

from emoact.errors import RequestError
from emoact.extraction.pipeline import EngineFor, bridge_engine, run_units
from emoact.jobs.attempt import run_worker
from emoact.jobs.config import AnyConfig, RunConfig
from emoact.jobs.directory import FrozenChoices, RunDirectory
from emoact.jobs.rates import learn
from emoact.jobs.reporter import RunReporter


def main(
    argv: Sequence[str] | None = None,
    *,
    engine_for: EngineFor = bridge_engine,
    module: str = "emoact.host.worker",
) -> int:
    """Run an extraction; returns the exit code of the command line's conventions.

    Args:
        argv: Run directory and lock; those of the process when None.
        engine_for: Loads a model, or has one.
        module: Name of the module that is run, for its usage message.
    """

    def work(directory: RunDirectory, config: AnyConfig, reporter: RunReporter) -> None:
        extract(directory, config, reporter, engine_for=engine_for)

    return run_worker(argv, work, module=module)


def extract(
    directory: RunDirectory, config: AnyConfig, reporter: RunReporter, *, engine_for: EngineFor
) -> None:
    """Compute and save what the config asks for."""
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
