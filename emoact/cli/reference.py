"""The command line as a table of a document, taken from the parser itself."""

from __future__ import annotations

import argparse

from emoact.cli.entry import build_parser


def commands_markdown() -> str:
    """One row for each command: its name, the options that matter most, and what it does."""
    parser = build_parser()
    (commands,) = (
        action
        for action in parser._actions  # noqa: SLF001 (argparse has no public list of commands)
        if isinstance(action, argparse._SubParsersAction)  # noqa: SLF001
    )
    about = {choice.dest: choice.help or "" for choice in commands._choices_actions}  # noqa: SLF001
    rows = [f"| `emoact {name}` | {about[name]} |" for name in commands.choices]
    return "\n".join(["| command | what it does |", "|---|---|", *rows])
