"""Parser of the command line, with shared options and errors that suggest the next step."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from emoact.errors import RequestError
from emoact.store.layout import results_folder, results_folders

_CHOICE = re.compile(
    r"(argument (?P<option>--\S+): )?.*invalid choice: '(?P<found>.*?)' "
    r"\(choose from (?P<allowed>.*)\)"
)


class _Help(argparse.RawDescriptionHelpFormatter):
    """Help of a command; an option that takes a value names its default."""

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ""
        silent = action.default in (None, False, argparse.SUPPRESS) or action.default == []
        return text if silent or "default" in text else f"{text} (default: %(default)s)"


class _Actions(argparse._SubParsersAction):  # type: ignore[type-arg]  # noqa: SLF001
    """Actions of a command; an option that was given before the action is kept."""

    def __call__(
        self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: Any = None
    ) -> None:
        chosen = self.choices.get(values[0])
        given = {n for n, value in vars(namespace).items() if value != parser.get_default(n)}
        for action in chosen._actions if chosen is not None else ():  # noqa: SLF001
            if action.dest in given:
                action.default = argparse.SUPPRESS
        super().__call__(parser, namespace, values, option_string)


class Parser(argparse.ArgumentParser):
    """Argument parser that raises `RequestError` and suggests a similar word."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("formatter_class", _Help)
        kwargs.setdefault("allow_abbrev", False)
        super().__init__(*args, **kwargs)
        self.register("action", "parsers", _Actions)

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
        where = f"{match['option']}: " if match["option"] else ""
        self.fail(
            f"{where}{match['found']!r} is unknown here; allowed are {', '.join(allowed)}",
            close[0] if close else None,
        )

    def fail(self, message: str, probably: str | None) -> NoReturn:
        """Raise a `RequestError` that names the command and its help."""
        hint = f"Did you mean {probably}? " if probably else ""
        raise RequestError(
            f"{self.prog}: {message}", remedy=f"{hint}`{self.prog} --help` shows what there is."
        )


def add_command(
    commands: Any, name: str, *, about: str, example: str, run: Callable[..., int]
) -> Parser:
    """Add a command with its help and an example."""
    shown = "\n".join(f"  {line}" for line in example.splitlines())
    parser: Parser = commands.add_parser(
        name, help=about, description=about, epilog=f"example:\n{shown}\n"
    )
    parser.set_defaults(parser=parser, run=run)
    return parser


def add_folder(parser: argparse._ActionsContainer, *, required: bool = True) -> None:
    """Add `--model` of a command about saved prompts."""
    parser.add_argument(
        "--model",
        metavar="NAME",
        required=required,
        help="a folder under activations, or the name it was extracted by"
        + ("" if required else "; not needed where there is one model"),
    )


def add_class(
    parser: argparse._ActionsContainer, about: str, *, model_required: bool = True
) -> None:
    """Add the options that name a class of saved prompts."""
    add_options(parser, "--results")
    add_folder(parser, required=model_required)
    parser.add_argument("--emotion", metavar="LABEL", required=True, help=about)


def _seed(text: str) -> int:
    seed = int(text)
    if not 0 <= seed < 1 << 63:
        raise argparse.ArgumentTypeError(f"{seed!s:.40} is no seed; 0 to 2^63 - 1 are allowed")
    return seed


RUN = ("--allow-pickle-weights", "--run-id", "--detach", "--csv", "--json")
"""Shared options of a command whose run gives a table."""

OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "--json": {"action": "store_true", "help": "print one JSON document to standard output"},
    "--results": {
        "metavar": "DIR",
        "type": results_folder,
        "help": "results folder, or s3://BUCKET/FOLDER (default: %(default)s, or the first of "
        "EMOACT_RESULTS)",
    },
    "--dataset": {
        "metavar": "FILE",
        "default": "data/prompts.jsonl",
        "help": "prompts as .jsonl, .json, .csv, .tsv or .parquet",
    },
    "--model": {"action": "append", "default": [], "metavar": "NAME"},
    "--emotion": {"action": "append", "metavar": "NAME"},
    "--neutral": {
        "metavar": "LABEL",
        "default": "neutral",
        "help": "class that directions are measured from",
    },
    "--pooling": {
        "choices": (
            "mean_content",
            "mean_typical",
            "last",
            "mean_all",
            "last_template",
            "mean_response",
        ),
        "default": "mean_content",
        "help": "positions that make one vector of a prompt: those of its text, the same without "
        "those whose norm is massive at any layer, the last of them, "
        "all, with a chat template the last before the response, or those of the response",
    },
    "--seed": {"type": _seed, "default": 0, "help": "seed of all draws"},
    "--run-id": {"metavar": "ID", "help": "name of the run (default: made from the time)"},
    "--detach": {"action": "store_true", "help": "print the run's id and return without waiting"},
    "--allow-pickle-weights": {
        "action": "store_true",
        "help": "load weights stored as pickles, which can run code; only if you trust them",
    },
    "--yes": {
        "action": "store_true",
        "help": "download more than 200 MB, and accept a model's terms of use, without a question",
    },
    "--norm": {"choices": ("l2", "l1", "rms"), "default": "l2", "help": "kind of norm"},
    "--csv": {"metavar": "FILE", "help": "write the rows here; - is standard output"},
    "--analysis": {"metavar": "ID", "default": "newest", "help": "id of the analysis"},
}
"""Options that several commands have."""


def add_options(container: argparse._ActionsContainer, *names: str, **changes: Any) -> None:
    """Add shared options to a command or a group; `changes` are fields that differ in it."""
    for name in names:
        fields = {**OPTIONS[name], **changes}
        if name == "--results":
            fields["default"] = results_folders()[0]
        elif name == "--dataset" and "default" in fields:
            fields["default"] = _shipped(str(fields["default"]))
        container.add_argument(name, **fields)


def add_number(
    container: argparse._ActionsContainer, name: str, default: Any = None, **fields: Any
) -> None:
    """Add an option that takes a number: a whole one, unless its default or `type` is a float."""
    kind = float if isinstance(default, float) else int
    container.add_argument(name, **{"type": kind, "default": default, "metavar": "N", **fields})


def values_of(arguments: argparse.Namespace, *names: str) -> dict[str, Any]:
    """Values of options, for the fields of a request that have their names."""
    return {name: getattr(arguments, name) for name in names}


def _shipped(name: str) -> str:
    """A shipped file below the working directory, else the one beside the package."""
    beside = Path(__file__).parents[2] / name
    return str(beside) if beside.exists() and not Path(name).exists() else name


def add_sites(
    container: argparse._ActionsContainer, allowed: Sequence[str], about: str, **changes: Any
) -> None:
    """Add `--site`, which may be given several times, with the end of its help text."""
    fields = {"action": "append", "choices": allowed, "metavar": "SITE", **changes}
    container.add_argument("--site", help=f"one of {', '.join(allowed)}{about}", **fields)


def add_list(
    actions: Any, command: str, *options: str, about: str, run: Callable[..., int]
) -> None:
    """Add the action `list`, which is what the command does without an action, too."""
    listing = add_command(
        actions, "list", about=about, example=f"emoact {command} list --json", run=run
    )
    add_options(listing, *options, "--json")
