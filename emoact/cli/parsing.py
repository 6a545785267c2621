"""Parser of the command line, with shared options and errors that suggest the next step."""

from __future__ import annotations

import argparse
import difflib
import os
import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from emoact.errors import RequestError

_CHOICE = re.compile(r"invalid choice: '(?P<found>.*?)' \(choose from (?P<allowed>.*)\)")


class Parser(argparse.ArgumentParser):
    """Argument parser that raises `RequestError` and suggests a similar word."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        kwargs.setdefault("allow_abbrev", False)
        super().__init__(*args, **kwargs)

    def parse_words(self, words: Sequence[str]) -> argparse.Namespace:
        """Parse the words of a command line.

        Raises:
            RequestError: A word is unknown, missing or not allowed.
        """
        arguments, unknown = self.parse_known_args(words)
        if unknown:
            chosen: Parser = getattr(arguments, "parser", self)
            option = unknown[0].partition("=")[0]
            close = difflib.get_close_matches(option, chosen.option_names(), n=1)
            chosen.fail(f"{option!r} is unknown here", close[0] if close else None)
        return arguments

    def option_names(self) -> list[str]:
        """Long options of this command."""
        return [name for name in self._option_string_actions if name.startswith("--")]

    def error(self, message: str) -> NoReturn:
        """Raise an error of argparse as a `RequestError`."""
        match = _CHOICE.search(message)
        if match is None:
            self.fail(message, None)
        allowed = re.findall(r"[\w-]+", match["allowed"])
        close = difflib.get_close_matches(match["found"], allowed, n=1)
        self.fail(
            f"{match['found']!r} is unknown here; allowed are {', '.join(allowed)}",
            close[0] if close else None,
        )

    def fail(self, message: str, probably: str | None) -> NoReturn:
        """Raise a `RequestError` that names the command and its help."""
        hint = f"Did you mean {probably}? " if probably else ""
        raise RequestError(
            f"{self.prog}: {message}", remedy=f"{hint}`{self.prog} --help` shows what there is."
        )


def one_of(allowed: Sequence[str]) -> Callable[[str], str]:
    """Argument type that accepts only these words."""

    def check(word: str) -> str:
        if word in allowed:
            return word
        close = difflib.get_close_matches(word, allowed, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise argparse.ArgumentTypeError(
            f"{word!r} is unknown; allowed are {', '.join(allowed)}{hint}"
        )

    return check


def add_command(
    commands: Any, name: str, *, about: str, example: str, run: Callable[..., int] | None
) -> Parser:
    """Add a command with its help and an example.

    Args:
        commands: Result of `add_subparsers`.
        name: Name of the command.
        about: Description in one sentence.
        example: One or more lines that run as they are.
        run: Function of the arguments that returns the exit code; None when set later.
    """
    shown = "\n".join(f"  {line}" for line in example.splitlines())
    parser: Parser = commands.add_parser(
        name, help=about, description=about, epilog=f"example:\n{shown}\n"
    )
    parser.set_defaults(parser=parser)
    if run is not None:
        parser.set_defaults(run=run)
    return parser


def add_json(parser: argparse._ActionsContainer) -> None:
    """Add `--json`."""
    parser.add_argument(
        "--json", action="store_true", help="print one JSON document to standard output"
    )


def add_results(parser: argparse._ActionsContainer) -> None:
    """Add `--results`."""
    parser.add_argument(
        "--results",
        metavar="DIR",
        default=default_results(),
        help="results folder (default: %(default)s, or the first of EMOACT_RESULTS)",
    )


def add_dataset(
    parser: argparse._ActionsContainer,
    *,
    about: str = "prompts as .jsonl, .json, .csv, .tsv or .parquet",
) -> None:
    """Add `--dataset`."""
    parser.add_argument(
        "--dataset",
        metavar="FILE",
        default="data/prompts.jsonl",
        help=f"{about} (default: %(default)s)",
    )


def add_seed(parser: argparse._ActionsContainer, *, about: str) -> None:
    """Add `--seed`."""
    parser.add_argument("--seed", type=int, default=0, help=f"{about} (default: %(default)s)")


def add_start(parser: argparse._ActionsContainer) -> None:
    """Add `--run-id` and `--detach`."""
    parser.add_argument(
        "--run-id", metavar="ID", help="name of the run (default: made from the time)"
    )
    parser.add_argument(
        "--detach", action="store_true", help="print the run's id and return without waiting"
    )


def add_yes(parser: argparse._ActionsContainer) -> None:
    """Add `--yes`."""
    parser.add_argument(
        "--yes", action="store_true", help="download more than 200 MB without a question"
    )


def default_results() -> str:
    """First folder of `EMOACT_RESULTS`, or `results`."""
    named = [part for part in os.environ.get("EMOACT_RESULTS", "").split(os.pathsep) if part]
    return named[0] if named else "results"
