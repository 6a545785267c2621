"""The process that loads models: it extracts, then keeps its model for further requests.

Started as `python -m emoact.host.worker RUN_DIR --lock-fd N` for an extraction, and with
`--folder FOLDER --loading JSON` for a typed sentence. The main thread computes one request at a
time; threads talk to those who ask. It shuts down after ten idle minutes (`EMOACT_HOST_IDLE_S`).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from emoact.decode import decode
from emoact.errors import EmoactError, RequestError
from emoact.extraction.controls import make_controls
from emoact.extraction.engine import EngineFor
from emoact.extraction.pipeline import bridge_engine, run_units
from emoact.files import APPENDING, sole
from emoact.host.server import Server
from emoact.host.warm import WarmModel
from emoact.jobs.attempt import attempt, leave
from emoact.jobs.config import AnyConfig, RunConfig
from emoact.jobs.controls import controls_of
from emoact.jobs.directory import FrozenChoices, RunDirectory
from emoact.jobs.executor import RAY
from emoact.jobs.machine import start_apart
from emoact.jobs.rates import learn
from emoact.jobs.reporter import RunReporter
from emoact.models import hosts
from emoact.models.alike import Loading
from emoact.models.effort import let_threads_sleep
from emoact.store.layout import ResultsRoot

PROGRAM = "emoact.host.worker"
_SUMMARISER = "emoact.store.summaries.grid"
_USABLE = (os.EX_OK, 2, 130)
"""Exit codes of runs after which the model can be used again: finished, refused, cancelled."""


def main(
    argv: Sequence[str] | None = None,
    *,
    engine_for: EngineFor = bridge_engine,
    program: str = PROGRAM,
    summarise: bool = True,
) -> int:
    """Work the first request off, then serve; returns the exit code of the first run.

    `program` is the module of this process: only a launcher of the same program uses the host. With
    `summarise`, what a run has saved is measured for the pages. Tests give another `engine_for`.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m {program}", description="Load a model and use it; started by emoact."
    )
    parser.add_argument("run_directory", type=Path, nargs="?", help="results/runs/RUN_ID")
    parser.add_argument("--lock-fd", type=int, help="open file of the run's lock, already taken")
    parser.add_argument("--folder", type=Path, help="folder of this host, for a sentence")
    parser.add_argument("--loading", help="what it is going to load, for a sentence")
    arguments = parser.parse_args(argv)
    folder = arguments.folder
    expected = decode(Loading, json.loads(arguments.loading)) if arguments.loading else None
    idle_s = hosts.idle_s()
    if folder is None and idle_s > 0:
        # Without a folder for its socket the process works its run off all the same.
        with contextlib.suppress(EmoactError):
            folder = hosts.new_folder()
    stamp = "" if folder is None else hosts.stamp(program, os.environ)
    let_threads_sleep()
    warm = WarmModel(
        engine_for, before_loading=lambda: hosts.leave_others(folder), expected=expected
    )
    log = folder and folder / "log"
    runs = _Runs(warm=warm, engine_for=engine_for, summarise=summarise, host_log=log)
    first = None
    if arguments.run_directory is not None:
        first = runs.task(arguments.run_directory, arguments.lock_fd)
    if folder is None:
        return 0 if first is None else first()
    server = Server(folder, warm, stamp=stamp, idle_s=idle_s, run=runs.task)
    return server.serve(first)


@dataclass(frozen=True, kw_only=True)
class _Runs:
    """Works off the runs that need a model with that of this host."""

    warm: WarmModel
    engine_for: EngineFor
    summarise: bool
    host_log: Path | None

    def task(self, directory: Path, descriptor: int | None) -> Callable[[], int]:
        """A function for the main thread that works a run off."""

        def work() -> int:
            _print_to(RunDirectory(directory).log_path)
            code = attempt(directory, descriptor, self._work)
            if self.host_log is not None:
                _print_to(self.host_log)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            if code not in _USABLE:
                # The reason may be the model, or the memory that it takes.
                self.warm.drop()
            if code == os.EX_OK and self.summarise:
                self._summarise_results(directory)
            return code

        return work

    def _summarise_results(self, directory: Path) -> None:
        """Measure what was saved in a process of low priority; the first page does the rest."""
        with contextlib.suppress(EmoactError, OSError):
            results = os.fspath(directory.absolute().parent.parent)
            config = RunDirectory(directory).config()
            # Other shards are at work; the first page measures what they write.
            if not isinstance(config, RunConfig) or config.shard is None:
                start_apart([sys.executable, "-P", "-m", _SUMMARISER, results])

    def _work(self, directory: RunDirectory, config: AnyConfig, reporter: RunReporter) -> None:
        """Extract, look for causes, or extract the controls of an analysis and compute it."""
        if isinstance(config, RunConfig):
            plans = FrozenChoices(directory.plan_path)
            try:
                if config.executor == RAY.name:
                    from emoact.host.ray_run import run_on_ray

                    run_on_ray(config, reporter=reporter, plans=plans, engine_for=self.engine_for)
                else:
                    run_units(config, reporter=reporter, plans=plans, engine_for=self.warm)
            finally:
                learn(config, reporter.snapshot)
            return
        if config.kind == "causes":
            from emoact.causes.work import work_causes

            work_causes(config, reporter, self.warm)
            return
        # An extraction starts sooner without the libraries of the statistics.
        from emoact.analysis.worker import analyze

        root, request = ResultsRoot(config.results), controls_of(config)
        done = make_controls(root, request, reporter=reporter, engine_for=self.warm)
        analyze(directory, config, reporter, done=done)


def _print_to(log: Path) -> None:
    with contextlib.suppress(OSError, RequestError):
        descriptor = sole(os.open(log, APPENDING, 0o666), log)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        os.close(descriptor)


if __name__ == "__main__":
    leave(main())
