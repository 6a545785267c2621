"""A run that somebody waits for: shown, cancelled with Ctrl-C, and turned into an exit code."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from emoact.cli.output import print_json, say
from emoact.errors import CancelledError

if TYPE_CHECKING:
    from emoact.runs.launch import Started
    from emoact.runs.views import RunView


def follow_to_end(results: str, started: Started, *, as_json: bool) -> int:
    """Show a run until it has ended; Ctrl-C and SIGTERM cancel a run that was started here."""
    from emoact.cli.terminal import follow
    from emoact.runs.progress import read_run

    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        view = follow(results, started.run_id, stream=sys.stderr)
    except KeyboardInterrupt:
        if started.existing:
            say(f"run {started.run_id} goes on; it was there before this command")
            return CancelledError.exit_code
        _cancel(results, started.run_id)
        view = read_run(results, started.run_id)
        if view.state == "cancelled":
            say(f"cancelled; `emoact runs resume {view.id}` continues it")
    finally:
        signal.signal(signal.SIGTERM, previous)
    if as_json:
        print_json(run_document(view, results=results, existing=started.existing))
    return exit_code(view)


def exit_code(view: RunView) -> int:
    """0 for a finished run, 130 for a cancelled one, else that of its error."""
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
    """What `--json` prints of a run that was started: the row of `runs list`, and its files."""
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


def _cancel(results: str, run_id: str) -> None:
    from emoact.errors import RequestError
    from emoact.runs.control import cancel

    say("cancelling; Ctrl-C again leaves it to itself")
    try:
        cancel(results, run_id, wait=True)
    except RequestError:
        # It ended by itself in the meantime.
        return


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
