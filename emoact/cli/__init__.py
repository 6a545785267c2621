"""The command line: one command per capability, each a face of functions that pages use too."""

from emoact.cli.entry import main

__all__ = ["main"]
