"""Entry point of the command line, and exit codes of errors."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from emoact.cli.output import print_error
from emoact.cli.parsing import Parser
from emoact.decode import is_text
from emoact.errors import CancelledError, EmoactError, RequestError
from emoact.version import __version__

_LOCAL = ("emoact.cli.extract_command", "emoact.cli.run_commands")
"""Commands that read no unit of object storage; an extraction brings its own ones."""

_COMMANDS = (
    "model_commands",
    "demo_command",
    "extract_command",
    "run_commands",
    "file_commands",
    "sentence_command",
    "check_commands",
    "analyze_command",
    "view_command",
    "direction_commands",
    "cause_commands",
    "report_command",
    "bench_command",
)
"""Modules of the commands, in the order of the help."""

_EPILOG = """\
exit codes:
  0  done
  1  failure, or a check found a problem
  2  wrong request, found before the work starts
  130  cancelled

example:
  emoact extract --model smollm2-135m
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command, by default the words of the process, and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in words
    try:
        for word in words:
            if not is_text(word):
                raise RequestError(
                    f"{word!a} is not UTF-8", remedy="Rename the file, or set another locale."
                )
        arguments = build_parser().parse_words(words)
        _bring(arguments)
        code = int(arguments.run(arguments))
        sys.stdout.flush()
    except EmoactError as error:
        print_error(error, as_json=as_json)
        return error.exit_code
    except KeyboardInterrupt:
        return CancelledError.exit_code
    except BrokenPipeError:
        # The reader of the pipe has closed it; without this Python reports it again at exit.
        _close_output()
        return os.EX_OK
    except OSError as error:
        # What is read costs its own row; this is a folder without which there is nothing.
        where = "standard output" if error.filename is None else str(error.filename)
        print_error(EmoactError(f"{where}: {error.strerror or error}"), as_json=as_json)
        _close_output()
        return EmoactError.exit_code
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else os.EX_OK
    return code


def _close_output() -> None:
    """Let what is still to be printed go nowhere."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _bring(arguments: argparse.Namespace) -> None:
    """Bring what a command reads from object storage into its local copy."""
    results = getattr(arguments, "results", None)
    if not isinstance(results, str) or not os.path.exists(f"{results}/remote.json"):  # noqa: PTH110
        return
    if arguments.run.__module__ not in _LOCAL:
        from emoact.store.layout import ResultsRoot
        from emoact.store.remote import remote_of

        remote = remote_of(ResultsRoot(results))
        for error in remote.pull() if remote is not None else ():
            print_error(error, lead="not brought")


def build_parser() -> Parser:
    """Parser of all commands."""
    parser = Parser(
        prog="emoact",
        description="Extract, inspect and compare representations of emotions in language models.",
        epilog=_EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"emoact {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in _COMMANDS:
        importlib.import_module(f"emoact.cli.{module}").add(commands)
    return parser


def commands_markdown() -> str:
    """Markdown table of commands: name and description."""
    (commands,) = (
        action
        for action in build_parser()._actions  # noqa: SLF001 (argparse lists commands nowhere else)
        if isinstance(action, argparse._SubParsersAction)  # noqa: SLF001
    )
    about = {choice.dest: choice.help or "" for choice in commands._choices_actions}  # noqa: SLF001
    rows = [f"| `emoact {name}` | {about[name]} |" for name in commands.choices]
    return "\n".join(["| command | what it does |", "|---|---|", *rows])
