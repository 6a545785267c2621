"""Worker process of one analysis.

Started by `emoact.jobs.launch` as `python -m emoact.analysis.worker RUN_DIR --lock-fd N`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

from emoact.analysis.save import save_analysis
from emoact.analysis.saved import DESCRIPTION, SavedAnalysis
from emoact.analysis.work import WRITING_SHARE, AnalysisWork, Computed, compute_analysis
from emoact.decode import decode
from emoact.errors import CancelledError, RequestError
from emoact.jobs.attempt import leave, run_worker
from emoact.jobs.config import AnyConfig, JobConfig
from emoact.jobs.directory import RunDirectory
from emoact.jobs.reporter import RunReporter
from emoact.jobs.snapshot import Step
from emoact.store.layout import ResultsRoot
from emoact.store.remote import remote_of

_POLL_S = 0.1


def main(argv: Sequence[str] | None = None) -> int:
    """Run one analysis; returns an exit code of the command line."""
    return run_worker(argv, analyze, module="emoact.analysis.worker")


def analyze(
    directory: RunDirectory, config: AnyConfig, reporter: RunReporter, *, done: float = 0.0
) -> None:
    """Compute what the config asks for, and save it; a share `done` of the run lies behind."""
    if not isinstance(config, JobConfig) or config.kind != "analyze":
        raise RequestError(f"run {config.run_id!r} is no analysis but {config.kind!r}")
    root = ResultsRoot(config.results)
    work = decode(AnalysisWork, config.request, where="the request of an analysis")
    found = _computed(root, work, reporter, behind=done)
    existing = isinstance(found, SavedAnalysis)
    if isinstance(found, Computed):
        reporter.step("write", model="", share=done + (1 - done) * WRITING_SHARE)
        controls = found.controls
        found = save_analysis(
            root, found.result, found.inputs, run_id=directory.run_id, controls=controls
        )
    remote = remote_of(root)
    if remote is not None:
        remote.push_folder(found.path, last=DESCRIPTION)
    size = sum(state.size for state in found.files.values())
    reporter.made(path=str(found.path), size=size, existing=existing)


def _computed(
    root: ResultsRoot, work: AnalysisWork, reporter: RunReporter, *, behind: float
) -> Computed | SavedAnalysis:
    """Compute on a thread of its own, so that a cancelled run ends at once.

    A step of an analysis can take seconds. Nothing is written before the computation has ended, so
    that the process may leave while the thread is still at work.
    """
    told: deque[dict[str, Any]] = deque(maxlen=1)
    stopped = threading.Event()

    def tell(step: Step, *, detail: str, done: int | None, total: int | None, share: float) -> None:
        if stopped.is_set():
            raise CancelledError("the run was cancelled")
        overall = behind + (1 - behind) * share
        told.append(
            {"step": step, "detail": detail, "done": done, "total": total, "share": overall}
        )

    thread = ThreadPoolExecutor(1, thread_name_prefix="analysis")
    computing = thread.submit(compute_analysis, root, work, tell)
    try:
        while not computing.done():
            wait([computing], timeout=_POLL_S)
            reporter.check_cancelled()
            while told:
                reporter.step(model="", **told.pop())
        return computing.result()
    finally:
        stopped.set()
        thread.shutdown(wait=False)


if __name__ == "__main__":
    leave(main())
