"""Starting the worker process of a run."""

from __future__ import annotations

from dataclasses import dataclass

from emoact.runs.config import RunConfig


@dataclass(frozen=True, kw_only=True)
class Started:
    """A run that has a worker.

    Attributes:
        run_id: Its name.
        existing: True when a run with the same request was active already; no other was started.
    """

    run_id: str
    existing: bool


def start(config: RunConfig) -> Started:
    """Make the run directory and start its worker; returns once the worker process exists.

    A second start of a request that is pending or at work returns that run.

    Raises:
        RequestError: The run id is taken, or the run directory cannot be written; nothing is left.
    """
    raise NotImplementedError
