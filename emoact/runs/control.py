"""What a user does to a run that exists: cancel, resume, delete."""

from __future__ import annotations

import os

from emoact.runs.launch import Started


def cancel(results: str | os.PathLike[str], run_id: str, *, wait: bool = False) -> None:
    """Ask the worker to stop, by flag, then SIGTERM, then SIGKILL after a grace period.

    Returns at once and leaves the waiting to a thread, unless `wait` is set.

    Raises:
        RequestError: There is no such run, or it has ended.
    """
    raise NotImplementedError


def resume(results: str | os.PathLike[str], run_id: str) -> Started:
    """Start a new worker for a run that failed, crashed or was cancelled.

    Raises:
        RequestError: There is no such run, it is active or finished, or its data set has changed.
    """
    raise NotImplementedError


def delete(results: str | os.PathLike[str], run_id: str) -> None:
    """Remove a run's directory; the activations it wrote stay.

    Raises:
        RequestError: There is no such run, or a worker lives.
    """
    raise NotImplementedError
