"""The process that measures the files of a results folder before a page asks.

Started as `python -m emoact.store.summaries.writing RESULTS` by whoever has just saved some.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from emoact.errors import EmoactError
from emoact.store.summaries.grid import measures_of

_NICE = 10
"""Whatever computes meanwhile comes first."""


def main(argv: Sequence[str] | None = None) -> int:
    """Write the summaries that are missing; returns 0, whatever could be measured."""
    parser = argparse.ArgumentParser(description="Measure saved activations for the pages.")
    parser.add_argument("results", help="a results folder")
    arguments = parser.parse_args(argv)
    os.nice(_NICE)
    try:
        measures_of(arguments.results)
    except EmoactError as error:
        # Nobody waits for this; the page that needs a measure will say what is wrong.
        print(f"the measures for the pages were not written: {error.message}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
