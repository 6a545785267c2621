"""Run in the foreground: a line for each unit and a progress bar, Ctrl-C, exit code."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from emoact import numbers
from emoact.cli.output import print_either, print_json, say, visible
from emoact.errors import CancelledError, RequestError

if TYPE_CHECKING:
    from emoact.jobs.launch import Started
    from emoact.jobs.views import RunView, UnitView

_POLL_S = 0.2
_BAR = 24
_STEPS = {
    "install": "installing",
    "download": "downloading",
    "load": "loading",
    "self_check": "checking",
    "extract": "extracting",
    "save": "saving",
    "read": "reading",
    "analyze": "analysing",
    "write": "writing",
}


def start_and_follow(
    arguments: argparse.Namespace,
    run_id: str,
    begin: Callable[[], Started],
    *,
    finish: Callable[[RunView], None] | None = None,
) -> int:
    """Start a run, show it until it has ended, and return its exit code.

    Ctrl-C and SIGTERM cancel the run, from the moment on that it exists; a run that was at work
    before is left alone. `begin` starts the run, or finds the one that is doing the same already.
    `finish` prints what a finished run made, in place of the document; with `--detach` only the id
    is printed.
    """
    from emoact.jobs.progress import read_run

    results, started = arguments.results, None
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        started = begin()
        if started.existing:
            say(f"run {started.run_id} is already doing this; following it")
        else:
            say(f"run {started.run_id} started; `emoact runs show {started.run_id}` shows it")
        if arguments.detach:
            document = {"id": started.run_id, "existing": started.existing}
            print_either(document, arguments.json, started.run_id)
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
    elif arguments.json:
        error = view.error and {"message": view.error.message, "remedy": view.error.remedy}
        print_json(
            {
                **view.summary.to_json(),
                "results": results,
                "existing": started is not None and started.existing,
                "error": error,
                "units": view.to_json()["units"],
            }
        )
    return exit_code(view)


def exit_code(view: RunView) -> int:
    """Exit code of an ended run: 0 when finished, 130 when cancelled, or that of its error."""
    if view.state == "finished":
        return 0
    if view.state == "cancelled":
        return CancelledError.exit_code
    if view.error is not None:
        say(f"error: {view.error.message}", *filter(None, [view.error.remedy]))
        return view.error.exit_code
    return 1


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


def follow(results: str | os.PathLike[str], run_id: str) -> RunView:
    """Show a run on standard error until it has ended, and return its final state."""
    from emoact.jobs.progress import read_run

    printer = Printer(sys.stderr.write, moving=sys.stderr.isatty())
    while True:
        view = read_run(results, run_id)
        printer.show(view)
        sys.stderr.flush()
        if not view.summary.active:
            return view
        time.sleep(_POLL_S)


class Printer:
    """Printer of the changes of a run; a `moving` line may be drawn over."""

    def __init__(self, write: Callable[[str], object], *, moving: bool) -> None:
        self._write = write
        self._moving = moving
        self._told: set[str] = set()

    def show(self, view: RunView) -> None:
        """Print new lines, and draw the bar again."""
        if self._moving:
            self._write("\r\x1b[2K")
        if view.state == "pending" and view.summary.place:
            self._once(f"waiting in the queue, place {view.summary.place}")
        if view.step is not None and view.summary.kind != "extract":
            self._once(_STEPS[view.step.name])
        elif view.step is not None and view.step.name not in ("extract", "save"):
            detail = f" ({view.step.detail})" if view.step.detail else ""
            self._once(f"{view.step.model}: {_STEPS[view.step.name]}{detail}")
        for note in view.notes:
            self._once(f"note: {note}")
        for unit in view.units:
            if unit.done:
                self._once(_unit_line(unit))
        if not view.summary.active:
            self._once(_end_line(view))
        elif self._moving:
            width = shutil.get_terminal_size().columns - 1
            self._write(visible(_bar_line(view))[:width])

    def _once(self, line: str) -> None:
        if line not in self._told:
            self._told.add(line)
            self._write(visible(line) + "\n")


def _unit_line(unit: UnitView) -> str:
    name = f"{unit.model} {unit.emotion}"
    if unit.state == "skipped":
        return f"{name}: {unit.reason}, {unit.path}"
    rates = ""
    if unit.samples_per_s is not None and unit.tokens_per_s is not None:
        rates = (
            f" ({numbers.significant(unit.samples_per_s)} prompts/s, "
            f"{numbers.significant(unit.tokens_per_s)} tokens/s)"
        )
    return (
        f"{name}: {numbers.plural(unit.n_samples, 'prompt')}, "
        f"{numbers.plural(unit.n_tokens or 0, 'token')} in "
        f"{numbers.duration(unit.seconds or 0.0)}{rates}, "
        f"{unit.path} ({numbers.size(unit.size or 0)})"
    )


def _end_line(view: RunView) -> str:
    elapsed = numbers.duration(view.summary.elapsed_s or 0.0)
    if view.summary.kind != "extract":
        made = "".join(f", {made.path} ({numbers.size(made.size)})" for made in view.made)
        return f"run {view.id} {view.state}: {elapsed}{made}"
    done = sum(unit.done for unit in view.units)
    return f"run {view.id} {view.state}: {done} of {len(view.units)} files, {elapsed}"


def _bar_line(view: RunView) -> str:
    step, summary = view.step, view.summary
    work = view.state if step is None else f"{_STEPS[step.name]} {step.model}".rstrip()
    done, total = (step.done, step.total) if step is not None else (None, None)
    if summary.kind == "extract" and done is not None and total:
        return f"{_bar(done / total)} {work} {numbers.size(done)} of {numbers.size(total)}"
    now = next((unit for unit in view.units if unit.state in ("running", "saving")), None)
    if now is not None:
        work = f"{now.model} {now.emotion} {now.samples_done} of {now.n_samples}"
    elif done and total:
        work += f" {done:,.0f} of {total:,.0f}"
    parts = [_bar(summary.share or 0.0), work]
    if now is not None and now.samples_per_s is not None:
        parts.append(f"{numbers.significant(now.samples_per_s)} prompts/s")
    if view.remaining_s is not None:
        parts.append(f"{numbers.duration(view.remaining_s)} left")
    if summary.kind != "extract" and step is not None and step.detail:
        parts.append(step.detail)
    return "  ".join(parts)


def _bar(share: float) -> str:
    share = min(max(share, 0.0), 1.0)
    full = round(share * _BAR)
    return f"[{'#' * full}{'.' * (_BAR - full)}] {share:4.0%}"
