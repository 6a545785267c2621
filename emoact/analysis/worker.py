"""Worker process of one analysis.

Started by `emoact.jobs.launch` as `python -m emoact.analysis.worker RUN_DIR --lock-fd N`.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from emoact.analysis.save import save_analysis
from emoact.analysis.saved import SavedAnalysis
from emoact.analysis.work import WRITING_SHARE, AnalysisWork, Computed, compute_analysis
from emoact.errors import CancelledError, RequestError
from emoact.jobs.attempt import leave, run_worker
from emoact.jobs.config import AnyConfig, JobConfig
from emoact.jobs.directory import RunDirectory
from emoact.jobs.reporter import RunReporter
from emoact.jobs.snapshot import Step
from emoact.store.layout import ResultsRoot

_POLL_S = 0.1


def main(argv: Sequence[str] | None = None) -> int:
    """Run one analysis; returns an exit code of the command line.

    Args:
        argv: Run directory and lock; those of the process when None.
    """
    return run_worker(argv, analyze, module="emoact.analysis.worker")


def analyze(directory: RunDirectory, config: AnyConfig, reporter: RunReporter) -> None:
    """Compute what the config asks for, and save it."""
    if not isinstance(config, JobConfig) or config.kind != "analyze":
        raise RequestError(f"run {config.run_id!r} is no analysis but {config.kind!r}")
    root = ResultsRoot(config.results)
    work = AnalysisWork.from_json(config.request)
    found = _Computation(root, work).wait(reporter)
    existing = isinstance(found, SavedAnalysis)
    if isinstance(found, Computed):
        reporter.step("write", model="", share=WRITING_SHARE)
        for finding in found.result.findings:
            if finding.severity != "note":
                reporter.note(f"{finding.where}: {finding.message}")
        found = save_analysis(root, found.result, found.inputs, run_id=directory.run_id)
    size = sum(state.size for state in found.files.values())
    reporter.made(path=str(found.path), size=size, existing=existing)


class _Computation:
    """Computation on a thread of its own, so that a cancelled run ends at once.

    A step of an analysis can take seconds. Nothing is written before the computation has ended, so
    that the process may leave while the thread is still at work.
    """

    def __init__(self, root: ResultsRoot, work: AnalysisWork) -> None:
        self._root = root
        self._work = work
        self._latest: dict[str, Any] | None = None
        self._found: Computed | SavedAnalysis | None = None
        self._error: BaseException | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="analysis")

    def wait(self, reporter: RunReporter) -> Computed | SavedAnalysis:
        """The result; reports progress until it is there.

        Raises:
            CancelledError: The run was cancelled.
        """
        self._thread.start()
        try:
            while self._thread.is_alive():
                self._thread.join(_POLL_S)
                told, self._latest = self._latest, None
                reporter.check_cancelled()
                if told is not None:
                    reporter.step(model="", **told)
        finally:
            self._stopped.set()
        if self._error is not None:
            raise self._error
        if self._found is None:
            raise RuntimeError("the analysis ended without a result")
        return self._found

    def _tell(
        self, step: Step, *, detail: str, done: int | None, total: int | None, share: float
    ) -> None:
        if self._stopped.is_set():
            raise CancelledError("the run was cancelled")
        self._latest = {
            "step": step,
            "detail": detail,
            "done": done,
            "total": total,
            "share": share,
        }

    def _run(self) -> None:
        try:
            self._found = compute_analysis(self._root, self._work, self._tell)
        # The waiting thread raises it.
        except BaseException as error:  # noqa: BLE001
            self._error = error


if __name__ == "__main__":
    leave(main())
