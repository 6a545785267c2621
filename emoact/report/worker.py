"""A request for a report, and the process that makes it.

Started by `emoact.jobs.launch` as `python -m emoact.report.worker RUN_DIR --lock-fd N`.
"""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from emoact.errors import EmoactError, RequestError
from emoact.jobs.attempt import leave, run_worker
from emoact.jobs.config import AnyConfig, JobConfig, new_run_id, now
from emoact.jobs.directory import RunDirectory
from emoact.jobs.queue import worker_slots
from emoact.jobs.reporter import RunReporter
from emoact.report.words import Format, Language
from emoact.store.layout import ResultsRoot


@dataclass(frozen=True, kw_only=True)
class ReportRequest:
    """A request for a report, as clicked."""

    results: str
    lang: Language = "en"
    form: Format = "html"

    @property
    def command(self) -> str:
        """The shell command that makes the same."""
        words = ["python", "-m", "emoact", "report", "--results", self.results]
        return shlex.join([*words, "--lang", self.lang, "--format", self.form])


def prepare_report(request: ReportRequest) -> JobConfig:
    """The configuration that `launch.start` takes; writes nothing.

    Raises:
        RequestError: There is nothing to report on.
    """
    worker_slots()
    root = ResultsRoot(request.results)
    units = list(root.units())
    if not units:
        raise RequestError(
            f"there are no activations in {request.results} to report on",
            remedy="Extract some first.",
        )
    return JobConfig(
        kind="report",
        run_id=new_run_id(),
        created_at=now(),
        models=tuple(dict.fromkeys(folder for folder, _, _ in units)),
        emotions=tuple(dict.fromkeys(emotion for _, emotion, _ in units)),
        results=os.path.realpath(root.path),
        request={"lang": request.lang, "form": request.form},
        command=request.command,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Make a report; returns the exit code of the command line's conventions."""
    return run_worker(argv, report, module="emoact.report.worker")


def report(directory: RunDirectory, config: AnyConfig, reporter: RunReporter) -> None:
    """Write what the config asks for into the results folder."""
    if not isinstance(config, JobConfig) or config.kind != "report":
        raise RequestError(f"run {directory.run_id!r} is no report but {config.kind!r}")
    # The page that asks for a report starts without what writes it.
    from emoact.report.making import STEPS, make_report

    lang, form = (str(config.request.get(name)) for name in ("lang", "form"))

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
        made = make_report(config.results, lang=lang, form=form, on_step=on_step)
    except RequestError as error:
        # What shows only in the files themselves is a failure and not a wrong request.
        raise EmoactError(error.message, remedy=error.remedy) from error
    # The first is the report itself; the others are its figures.
    sha256 = hashlib.sha256(made.path.read_bytes()).hexdigest()
    reporter.made(path=str(made.path), size=made.size, sha256=sha256)


if __name__ == "__main__":
    leave(main())
