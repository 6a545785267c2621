"""Output of commands: documents and tables to standard output, messages to standard error."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emoact.decode import finite
from emoact.errors import EmoactError, RequestError
from emoact.files import is_there

if TYPE_CHECKING:
    import pandas as pd

    from emoact.jobs.request import AgreementError


_ACTS = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Characters that move a terminal's cursor, change its state, break a line or turn its direction,
and halves of characters, which no terminal can be sent."""


def visible(text: str) -> str:
    """A text of one line for a terminal; characters that would act on it become escapes."""
    return _ACTS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def print_json(document: Mapping[str, Any]) -> None:
    """Print one JSON document; NaN and infinities, which JSON does not have, become null."""
    text = json.dumps(finite(document), indent=1, ensure_ascii=False, allow_nan=False)
    lines = (_ACTS.sub(lambda found: f"\\u{ord(found[0]):04x}", line) for line in text.split("\n"))
    print("\n".join(lines))


def print_line(*lines: str) -> None:
    """Print a result; line breaks within a text are shown as escapes."""
    print("\n".join(map(visible, lines)))


def print_either(document: Mapping[str, Any], as_json: bool, *lines: str) -> None:
    """Print a document, or the lines that stand for it in a shell."""
    print_json(document) if as_json else print_line(*lines)


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table with aligned columns."""
    table = [list(header), *([visible(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(header))]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


def write_table(table: pd.DataFrame, path: str | None, *, badges: Sequence[str] = ()) -> None:
    """Write a table as CSV into a file, atomically; without one, or for `-`, print it.

    What is printed has escapes in place of what would act on a terminal: a pipe may end in one.
    """
    from emoact.analysis.table_files import csv_of
    from emoact.store.atomic import replace_atomically

    if path in (None, "-"):
        sys.stdout.write(csv_of(table, badges, visible))
        return
    target = Path(os.path.realpath(str(path)))
    if is_there(target) and not target.is_file():
        raise RequestError(f"{path} is no regular file", remedy="Give --csv - for standard output.")
    with replace_atomically(target) as file:
        file.write(csv_of(table, badges).encode())
    say(f"{len(table):,} rows in {path}")


def nothing_in(results: str, purpose: str = "") -> RequestError:
    """The error of a command that finds no activations."""
    return RequestError(
        f"there are no activations in {results}{purpose}",
        remedy="`emoact extract --model smollm2-135m` makes some.",
    )


def say(*lines: str, end: str = "\n") -> None:
    """Print a message to standard error; line breaks within a text are shown as escapes."""
    print("\n".join(map(visible, lines)), end=end, file=sys.stderr, flush=True)


def confirmed(*question: str) -> bool:
    """True when the user answers yes; without a terminal no question is asked."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    say(*question, end=" [y/N] ")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def ask_to_agree(question: AgreementError) -> None:
    """Raise the question unless the user can be asked and agrees."""
    accept = f" and accept the {question.terms}" if question.terms else ""
    if not confirmed(f"{question.message}.", f"Download{accept}?"):
        raise question


def print_error(error: EmoactError, *, as_json: bool = False, lead: str = "error") -> None:
    """Print an error with its remedy, as a message, and with `--json` as a document as well."""
    if as_json:
        print_json({"ok": False, "error": {"message": error.message, "remedy": error.remedy}})
    say(f"{lead}: {error.message}", *filter(None, [error.remedy]))
