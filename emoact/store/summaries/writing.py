"""Process that measures the files of a results folder before a page asks.

A run starts it as `python -m emoact.store.summaries.writing RESULTS` after its last file.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from emoact.errors import EmoactError
from emoact.store.summaries.grid import measures_of

_NICE = 10
"""Niceness of the process, so that computations have priority."""


def main(argv: Sequence[str] | None = None) -> int:
    """Write the summaries that are missing; returns 0 even where a file is refused."""
    parser = argparse.ArgumentParser(description="Measure saved activations for the pages.")
    parser.add_argument("results", help="a results folder")
    arguments = parser.parse_args(argv)
    os.nice(_NICE)
    try:
        measures_of(arguments.results)
    except EmoactError as error:
        # No page waits for this process; a page that needs a measure reports the error itself.
        print(f"the measures for the pages were not written: {error.message}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
