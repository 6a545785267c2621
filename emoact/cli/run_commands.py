"""`emoact runs`: list, output, cancellation, resumption and deletion of runs."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from emoact import numbers
from emoact.cli.following import start_and_follow
from emoact.cli.output import confirmed, print_json, print_line, print_table, say
from emoact.cli.parsing import add_command, add_list, add_number, add_options, values_of
from emoact.errors import RequestError

if TYPE_CHECKING:
    from emoact.jobs.views import RunView


_NOT_OURS = "(none of emoact; see config.json)"


def add(commands: Any) -> None:
    """Add `emoact runs`."""
    runs = add_command(
        commands,
        "runs",
        about="List, show, cancel, resume and delete runs.",
        example="emoact runs list",
        run=_list,
    )
    add_options(runs, "--results", "--json")
    actions = runs.add_subparsers(title="actions", metavar="ACTION")
    about = "List all runs of a results folder, newest first."
    add_list(actions, "runs", "--results", about=about, run=_list)
    of_one = {}
    for name, about, run in (
        ("show", "Where a run stands, unit by unit.", _show),
        ("cancel", "Stop a run; what it saved stays.", _cancel),
        ("resume", "Continue a run that failed, crashed or was cancelled.", _resume),
        ("logs", "The last lines that a run's worker printed.", _logs),
        ("delete", "Remove a run's directory; the activations it wrote stay.", _delete),
    ):
        example = f"emoact runs {name} 20260131-120000-a1b2"
        parser = of_one[name] = add_command(actions, name, about=about, example=example, run=run)
        parser.add_argument("run_id", metavar="ID", help="name of the run, as `runs list` shows it")
        add_options(parser, "--results", "--json")
    add_options(of_one["resume"], "--detach", "--allow-pickle-weights")
    about = "of a run on Ray: the cluster that it may join again"
    of_one["resume"].add_argument("--ray-address", metavar="ADDRESS", help=about)
    add_number(of_one["logs"], "--lines", 40, help="number of lines")
    add_options(of_one["delete"], "--yes", help="delete without a question")


def _list(arguments: argparse.Namespace) -> int:
    from emoact.jobs.progress import list_runs

    rows = list_runs(arguments.results)
    if arguments.json:
        print_json({"runs": [row.to_json() for row in rows]})
        return 0
    if not rows:
        say(f"no runs in {arguments.results}; `emoact extract --model smollm2-135m` makes one")
        return 0
    table = [
        [
            row.id,
            row.kind,
            row.executor,
            row.state if row.place is None else f"{row.state} ({row.place})",
            ", ".join(row.models),
            f"{row.samples_done:,} of {row.n_samples:,}" if row.n_samples else "",
            "" if row.elapsed_s is None else numbers.duration(row.elapsed_s),
            "" if row.samples_per_s is None else numbers.significant(row.samples_per_s),
            row.problem or "",
        ]
        for row in rows
    ]
    print_table(
        ["RUN", "KIND", "EXECUTOR", "STATE", "MODELS", "PROMPTS", "TIME", "PROMPTS/S", "PROBLEM"],
        table,
    )
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from emoact.jobs.progress import read_run

    view = read_run(arguments.results, arguments.run_id)
    if arguments.json:
        print_json(view.to_json())
    else:
        _print_view(view)
    return 0


def _print_view(view: RunView) -> None:
    summary = view.summary
    place = "" if summary.place is None else f", place {summary.place} in the queue"
    kind = "" if summary.kind == "extract" else f" ({summary.kind})"
    print_line(f"run {view.id}{kind}: {view.state}{place}")
    if view.config is not None:
        print_line(f"command: {view.config.shell_command or _NOT_OURS}")
        print_line(f"executor: {view.config.executor}")
    if view.step is not None:
        print_line(f"step: {view.step.name} {view.step.model} {view.step.detail}".rstrip())
    if summary.elapsed_s is not None:
        print_line(f"elapsed: {numbers.duration(summary.elapsed_s)}")
    if view.remaining_s is not None:
        print_line(f"remaining: {numbers.duration(view.remaining_s)}")
    for problem in view.problems:
        print_line(f"problem: {problem}")
    if view.error is not None:
        print_line(f"error: {view.error.message}")
        print_line(view.error.remedy or "")
    for made in view.made:
        print_line(f"{'found' if made.existing else 'saved'}: {made.path}")
    if summary.kind != "extract":
        return
    rows = [
        [
            unit.model,
            unit.emotion,
            unit.state if unit.worker is None else f"{unit.state} ({unit.worker})",
            f"{unit.samples_done:,} of {unit.n_samples:,}",
            "" if unit.samples_per_s is None else numbers.significant(unit.samples_per_s),
            "" if unit.tokens_per_s is None else numbers.significant(unit.tokens_per_s),
            unit.path or "",
        ]
        for unit in view.units
    ]
    print_table(["MODEL", "EMOTION", "STATE", "PROMPTS", "PROMPTS/S", "TOKENS/S", "FILE"], rows)


def _cancel(arguments: argparse.Namespace) -> int:
    from emoact.jobs.control import cancel
    from emoact.jobs.progress import read_run

    cancel(arguments.results, arguments.run_id, wait=True)
    state = read_run(arguments.results, arguments.run_id).state
    say(f"run {arguments.run_id} is {state}")
    if arguments.json:
        print_json({"id": arguments.run_id, "state": state})
    return 0


def _resume(arguments: argparse.Namespace) -> int:
    from emoact.jobs.control import resume

    return start_and_follow(
        arguments,
        arguments.run_id,
        lambda: resume(
            arguments.results,
            arguments.run_id,
            **values_of(arguments, "allow_pickle_weights", "ray_address"),
        ),
    )


def _logs(arguments: argparse.Namespace) -> int:
    from emoact.jobs.control import find_run
    from emoact.jobs.queue import shards_of
    from emoact.store.layout import ResultsRoot

    if arguments.lines < 1:
        raise RequestError(f"--lines is {arguments.lines}; it must be at least 1")
    shards = shards_of(ResultsRoot(arguments.results).runs, arguments.run_id)
    lines = [
        line
        for each in shards or [find_run(arguments.results, arguments.run_id)]
        for line in each.log_tail(arguments.lines)
    ]
    if arguments.json:
        print_json({"id": arguments.run_id, "lines": list(lines)})
        return 0
    for line in lines:
        print_line(line)
    if not lines:
        say(f"the worker of run {arguments.run_id} has printed nothing")
    return 0


def _delete(arguments: argparse.Namespace) -> int:
    from emoact.jobs.control import delete
    from emoact.jobs.progress import read_run

    read_run(arguments.results, arguments.run_id)
    question = f"Delete run {arguments.run_id} with its log and events?"
    if not arguments.yes and not confirmed(question):
        raise RequestError(
            f"run {arguments.run_id!r} was not deleted: it was not confirmed",
            remedy="Pass --yes to delete it without a question.",
        )
    delete(arguments.results, arguments.run_id)
    say(f"deleted run {arguments.run_id}; the activations it wrote stay")
    if arguments.json:
        print_json({"id": arguments.run_id, "deleted": True})
    return 0
