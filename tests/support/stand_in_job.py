"""A worker of the kinds of run that extract nothing: it works until its gate is there."""

import sys
import time
from pathlib import Path

from emoact.jobs.attempt import leave, run_worker
from emoact.jobs.config import AnyConfig, JobConfig
from emoact.jobs.directory import RunDirectory
from emoact.jobs.reporter import RunReporter

WORKER = (sys.executable, "-P", "-m", "tests.support.stand_in_job")
_POLL_S = 0.01


def work(_directory: RunDirectory, config: AnyConfig, reporter: RunReporter) -> None:
    """Wait for the file that the request names, looking out for a cancellation."""
    assert isinstance(config, JobConfig)
    gate = Path(config.request["gate"])
    reporter.step("read", model="", share=0.5)
    while not gate.exists():
        reporter.check_cancelled()
        time.sleep(_POLL_S)
    reporter.made(path=str(gate), size=0)


if __name__ == "__main__":
    leave(run_worker(None, work, module="tests.support.stand_in_job"))
