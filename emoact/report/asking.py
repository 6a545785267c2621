"""What a report is asked for, as a run that a worker works off."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass

from emoact.errors import RequestError
from emoact.jobs.config import JobConfig, new_run_id, now
from emoact.jobs.queue import worker_slots
from emoact.report.making import Format, chosen_format
from emoact.report.words import Language, words_of
from emoact.store.layout import ResultsRoot


@dataclass(frozen=True, kw_only=True)
class ReportRequest:
    """A request for a report, as clicked.

    Attributes:
        results: The results folder.
        lang: `en` or `ja`.
        form: `html` or `md`.
    """

    results: str
    lang: Language = "en"
    form: Format = "html"

    @property
    def command(self) -> str:
        """The shell command that makes the same."""
        words = ["python", "-m", "emoact", "report", "--results", self.results]
        return shlex.join([*words, "--lang", self.lang, "--format", self.form])


def prepare_report(request: ReportRequest) -> JobConfig:
    """What `launch.start` takes; writes nothing.

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


def asked_for(config: JobConfig) -> ReportRequest:
    """The request of a run.

    Raises:
        RequestError: It is no request for a report.
    """
    lang, form = config.request.get("lang"), config.request.get("form")
    if config.kind != "report" or not isinstance(lang, str) or not isinstance(form, str):
        raise RequestError(f"run {config.run_id!r} is no request for a report")
    return ReportRequest(results=config.results, lang=words_of(lang).lang, form=chosen_format(form))
