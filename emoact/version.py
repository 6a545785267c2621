"""The version of emoact, for checkouts that were never installed as a package."""

__version__ = "0.1.0"
