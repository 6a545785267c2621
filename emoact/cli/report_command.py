"""`emoact report`: all results of a folder in one document."""

from __future__ import annotations

import argparse
from typing import Any

from emoact.cli.output import print_json, print_line, say
from emoact.cli.parsing import add_command, add_options
from emoact.numbers import size


def add(commands: Any) -> None:
    """Add `emoact report`."""
    parser = add_command(
        commands,
        "report",
        about="Write models, files, norms, findings, audit and directions of a results folder into "
        "one document.",
        example="emoact report --lang ja --out report.html",
        run=_report,
    )
    add_options(parser, "--results")
    about = "language; Japanese follows the sections of the phase-2 report"
    parser.add_argument("--lang", choices=("en", "ja"), default="en", help=about)
    about = "html is one file that needs nothing else; md has its figures beside it"
    parser.add_argument("--format", choices=("html", "md"), default="html", help=about)
    about = "path of the report (default: RESULTS/reports/report-TIME-LANG.html)"
    parser.add_argument("--out", metavar="FILE", help=about)
    add_options(parser, "--json")


def _report(arguments: argparse.Namespace) -> int:
    from emoact.report.making import make_report

    made = make_report(
        arguments.results,
        lang=arguments.lang,
        form=arguments.format,
        out=arguments.out,
        on_step=lambda step: say(f"gathering {step}" if step != "write" else "writing"),
    )
    if arguments.json:
        print_json({"ok": True, **made.to_json()})
    else:
        say(f"{made.n_files} activation files, {size(made.size)}")
        print_line(str(made.path))
    return 0
