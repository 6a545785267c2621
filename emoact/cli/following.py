"""Run in the foreground: output, cancellation with Ctrl-C, exit code."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from emoact.cli.output import print_either, print_json, say
from emoact.errors import CancelledError, RequestError

if TYPE_CHECKING:
    from emoact.jobs.launch import Started
    from emoact.jobs.views import RunView


def start_and_follow(
    results: str,
    run_id: str,
    begin: Callable[[], Started],
    *,
    detach: bool,
    as_json: bool,
    finish: Callable[[RunView], None] | None = None,
) -> int:
    """Start a run, show it until it has ended, and return its exit code.

    Ctrl-C and SIGTERM cancel the run, from the moment on that it exists; a run that was at work
    before is left alone. `begin` starts the run, or finds the one that is doing the same already.
    `finish` prints what a finished run made, in place of the document; with `detach` only the id is
    printed.
    """
    from emoact.cli.terminal import follow
    from emoact.jobs.progress import read_run

    started = None
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        started = begin()
        _say_started(started)
        if detach:
            print_either(
                {"id": started.run_id, "existing": started.existing}, as_json, started.run_id
            )
            return 0
        view = follow(results, started.run_id)
    except KeyboardInterrupt:
        if started is not None and started.existing:
            say(f"run {started.run_id} continues; it was started before this command")
            return CancelledError.exit_code
        if not _cancel(results, run_id):
            return CancelledError.exit_code
        view = read_run(results, run_id)
        if view.state == "cancelled":
            say(f"cancelled; `emoact runs resume {view.id}` continues it")
    finally:
        signal.signal(signal.SIGTERM, previous)
    if finish is not None and view.state == "finished":
        finish(view)
    elif as_json:
        existing = started is not None and started.existing
        print_json(run_document(view, results=results, existing=existing))
    return exit_code(view)


def exit_code(view: RunView) -> int:
    """Exit code of an ended run: 0 when finished, 130 when cancelled, or that of its error."""
    if view.state == "finished":
        return 0
    if view.state == "cancelled":
        return CancelledError.exit_code
    if view.error is not None:
        say(f"error: {view.error.message}")
        if view.error.remedy:
            say(view.error.remedy)
        return view.error.exit_code
    return 1


def run_document(view: RunView, *, results: str, existing: bool) -> dict[str, Any]:
    """JSON document of a started run: the row of `runs list`, and its files."""
    error = None
    if view.error is not None:
        error = {"message": view.error.message, "remedy": view.error.remedy}
    return {
        **view.summary.to_json(),
        "results": results,
        "existing": existing,
        "error": error,
        "units": view.to_json()["units"],
    }


def _say_started(started: Started) -> None:
    if started.existing:
        say(f"run {started.run_id} is already doing this; following it")
    else:
        say(f"run {started.run_id} started; `emoact runs show {started.run_id}` shows it")


def _cancel(results: str, run_id: str) -> bool:
    """Cancel the run and wait for its end; returns False without such a run."""
    from emoact.jobs.control import cancel, find_run

    say("cancelling; Ctrl-C again returns without waiting")
    try:
        find_run(results, run_id)
    except RequestError:
        return False
    # It may have ended in the meantime.
    with suppress(RequestError):
        cancel(results, run_id, wait=True)
    return True


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
