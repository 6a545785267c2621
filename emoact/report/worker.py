"""The process of one report.

Started by `emoact.jobs.launch` as `python -m emoact.report.worker RUN_DIR --lock-fd N`.
"""

from __future__ import annotations

from collections.abc import Sequence

from emoact.errors import EmoactError, RequestError
from emoact.jobs.attempt import leave, run_worker
from emoact.jobs.config import AnyConfig, JobConfig
from emoact.jobs.directory import RunDirectory
from emoact.jobs.reporter import RunReporter
from emoact.report.asking import asked_for
from emoact.report.making import STEPS, make_report


def main(argv: Sequence[str] | None = None) -> int:
    """Make a report; returns the exit code of the command line's conventions.

    Args:
        argv: Run directory and lock; those of the process when None.
    """
    return run_worker(argv, report, module="emoact.report.worker")


def report(directory: RunDirectory, config: AnyConfig, reporter: RunReporter) -> None:
    """Write what the config asks for into the results folder."""
    if not isinstance(config, JobConfig):
        raise RequestError(f"run {directory.run_id!r} is no report but {config.kind!r}")
    asked = asked_for(config)

    def on_step(step: str) -> None:
        done = STEPS.index(step)
        reporter.step(
            "write" if step == "write" else "read",
            model="",
            detail=step,
            done=done,
            total=len(STEPS),
            share=done / len(STEPS),
        )

    try:
        made = make_report(asked.results, lang=asked.lang, form=asked.form, on_step=on_step)
    except RequestError as error:
        # What shows only in the files themselves is a failure and not a wrong request.
        raise EmoactError(error.message, remedy=error.remedy) from error
    reporter.made(path=str(made.path), size=made.size)


if __name__ == "__main__":
    leave(main())
