"""Table of commands for the documentation, from the parser."""

from __future__ import annotations

import argparse

from emoact.cli.entry import build_parser


def commands_markdown() -> str:
    """Markdown table of commands: name and description."""
    parser = build_parser()
    (commands,) = (
        action
        for action in parser._actions  # noqa: SLF001 (argparse has no public list of commands)
        if isinstance(action, argparse._SubParsersAction)  # noqa: SLF001
    )
    about = {choice.dest: choice.help or "" for choice in commands._choices_actions}  # noqa: SLF001
    rows = [f"| `emoact {name}` | {about[name]} |" for name in commands.choices]
    return "\n".join(["| command | what it does |", "|---|---|", *rows])
