"""Words to arguments, with errors in the manner of the rest of emoact."""

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
    """An argument parser that raises `RequestError` and says what was probably meant."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        kwargs.setdefault("allow_abbrev", False)
        super().__init__(*args, **kwargs)

    def parse_words(self, words: Sequence[str]) -> argparse.Namespace:
        """The arguments.

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
        """Every long option of this command."""
        return [name for name in self._option_string_actions if name.startswith("--")]

    def error(self, message: str) -> NoReturn:
        """Called by argparse for whatever it does not like."""
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
        """Refuse the words."""
        hint = f"Did you mean {probably}? " if probably else ""
        raise RequestError(
            f"{self.prog}: {message}", remedy=f"{hint}`{self.prog} --help` shows what there is."
        )


def one_of(allowed: Sequence[str]) -> Callable[[str], str]:
    """An argument type that takes one of these words."""

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
    """A command with its help and an example.

    Args:
        commands: What `add_subparsers` gave.
        name: The command.
        about: One sentence that says what it does.
        example: One or more lines that work as they stand.
        run: Takes the arguments and returns the exit code; None where a default is set later.
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
    """`--json`."""
    parser.add_argument(
        "--json", action="store_true", help="print one JSON document to standard output"
    )


def add_results(parser: argparse._ActionsContainer) -> None:
    """`--results`."""
    parser.add_argument(
        "--results",
        metavar="DIR",
        default=default_results(),
        help="results folder (default: %(default)s, or the first of EMOACT_RESULTS)",
    )


def default_results() -> str:
    """The first folder of `EMOACT_RESULTS`, else `results`."""
    named = [part for part in os.environ.get("EMOACT_RESULTS", "").split(os.pathsep) if part]
    return named[0] if named else "results"
