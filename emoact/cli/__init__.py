"""The command line: one command per capability, each a face of functions that pages use too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emoact.errors import CancelledError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command, by default the words of the process, and return its exit code."""
    try:
        from emoact.cli import entry
    except KeyboardInterrupt:
        # Ctrl-C in the first moment needs no account of what was being imported.
        return CancelledError.exit_code
    return entry.main(argv)
