"""Reading runs: one view of a run, one table of all runs. Never writes, never raises for a file."""

from __future__ import annotations

import os

from emoact.runs.views import RunSummary, RunView


def read_run(results: str | os.PathLike[str], run_id: str) -> RunView:
    """Everything there is to show of a run; cheap enough to call every second.

    Missing, torn, foreign or newer files become `problems` of the view.

    Raises:
        RequestError: There is no such run.
    """
    raise NotImplementedError


def list_runs(results: str | os.PathLike[str]) -> list[RunSummary]:
    """All runs of a results folder, newest first; empty when there is no such folder."""
    raise NotImplementedError
