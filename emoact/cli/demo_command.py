"""`emoact demo`: a small results folder, extracted and analysed, for a first look."""

from __future__ import annotations

import argparse
import contextlib
import shlex
import sys
from pathlib import Path
from typing import Any

from emoact.cli.output import say
from emoact.cli.parsing import add_command, add_options


def add(commands: Any) -> None:
    """Add `emoact demo`."""
    parser = add_command(
        commands,
        "demo",
        about="Make a small results folder for a first look: 48 prompts, extracted and analysed.",
        example="emoact demo --results results-demo",
        run=_demo,
    )
    add_options(parser, "--results", "--dataset", "--yes", "--json")


def _demo(arguments: argparse.Namespace) -> int:
    from emoact.cli.entry import main
    from emoact.jobs.demo import demo_prompts
    from emoact.models.registry import DEFAULT_MODEL

    path = demo_prompts(arguments.dataset, arguments.results)
    where = ["--results", arguments.results]
    agreed = ["--yes"] if arguments.yes else []
    asked = ["extract", "--model", DEFAULT_MODEL, "--dataset", str(path), *where, *agreed]
    as_json = ["--json"] if arguments.json else []
    # Standard output has one document, that of the analysis.
    with contextlib.redirect_stdout(sys.stderr):
        code = main(asked)
    code = code or main(["analyze", *where, *as_json])
    if code == 0:
        checkout = Path(__file__).parents[2]
        there = "" if Path("app.py").exists() else f"cd {shlex.quote(str(checkout))} && "
        results = shlex.quote(
            str(Path(arguments.results).absolute()) if there else arguments.results
        )
        say(f"look at it with: {there}EMOACT_RESULTS={results} streamlit run app.py")
    return code
